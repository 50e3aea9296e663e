"""The shapes of a detector's tensors."""

import numpy as np

from ..errors import InputError
from ..typing import StrPath, Tensors
from .signs import received


def shape_of(path: StrPath, tensors: Tensors, name: str, axes: int = 4) -> tuple[int, ...]:
    """Return the shape of a tensor; InputError if it is missing or has other axes."""
    if name not in tensors:
        raise InputError(f"{path}: it has no {name} but {received(tensors)}.")
    shape = np.shape(tensors[name])
    if len(shape) != axes or 0 in shape:
        raise InputError(f"{path}: {name} must have {axes} axes, none empty, got {shape}.")
    return shape


def count_classes(path: StrPath, boxes: int, scores: int, anchors: int, values: int = 4) -> int:
    """Return the number of classes of heads whose outputs have `boxes` and `scores` channels.

    A location has `anchors` anchors, and a box `values` values. Raises an InputError if the
    channels do not fit.
    """
    if boxes != anchors * values or scores % anchors:
        raise InputError(
            f"{path}: the heads of {anchors} anchors per location must have {anchors * values} "
            f"channels for boxes and a multiple of {anchors} for scores, got {boxes} and {scores}."
        )
    return scores // anchors
