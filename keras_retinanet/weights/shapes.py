"""The shapes of a detector's tensors."""

import numpy as np

from ..errors import InputError
from ..typing import StrPath, Tensors
from .signs import received


def shape_of(path: StrPath, tensors: Tensors, name: str, axes: int = 4) -> tuple[int, ...]:
    """Return the shape of a tensor; InputError if it is missing or has other axes."""
    if name not in tensors:
        raise InputError(
            f"{path}: expected a RetinaNet with a tensor {name}. Received: {received(tensors)}."
        )
    shape = np.shape(tensors[name])
    if len(shape) != axes or 0 in shape:
        raise InputError(
            f"{path}: expected {name} to have {axes} axes, none empty. Received: {shape}."
        )
    return shape


def count_classes(path: StrPath, boxes: int, scores: int, anchors: int, values: int = 4) -> int:
    """Return the number of classes of heads whose outputs have `boxes` and `scores` channels.

    A place has this many `anchors`, and a box this many `values`. Raises an InputError if the
    channels do not fit.
    """
    if boxes != anchors * values or scores % anchors:
        raise InputError(
            f"{path}: expected heads for {anchors} anchors at a place, {anchors * values} channels "
            f"for boxes and a multiple of {anchors} for scores. Received: {boxes} and {scores}."
        )
    return scores // anchors
