"""What the shapes of a detector's tensors tell."""

import numpy as np

from ..errors import InputError
from .signs import received


def shape_of(path, tensors, name, axes=4):
    """The shape of the tensor of that name; InputError where there is none with so many axes."""
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


def count_classes(path, boxes, scores, anchors, values=4):
    """The number of classes of heads with so many channels for `boxes` and `scores`, where a place
    has so many `anchors` and a box so many `values`.
    """
    if boxes != anchors * values or scores % anchors:
        raise InputError(
            f"{path}: expected heads for {anchors} anchors at a place, {anchors * values} channels "
            f"for boxes and a multiple of {anchors} for scores. Received: {boxes} and {scores}."
        )
    return scores // anchors
