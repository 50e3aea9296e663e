"""The anchors and the corners coder on tensors of the running backend."""

from keras import ops

from .. import coders
from ..utils.anchors import anchors_for_shape
from ..utils.anchors import shift as shift_anchors


def bbox_transform_inv(boxes, deltas, mean=None, std=None):
    """Boxes (..., 4) moved by corner values (..., 4), xyxy px: x1 + (d · std + mean) · width, ....

    `mean` defaults to 0 and `std` to 0.2 on each corner; `bbox_transform` is the way back.
    """
    given = {"mean": mean, "std": std}
    coder = coders.corners(**{name: value for name, value in given.items() if value is not None})
    return coder.decode(ops.convert_to_tensor(boxes), ops.convert_to_tensor(deltas), ops)


def shift(shape, stride, anchors):
    """Anchors (A, 4) at every place of a feature map of `shape` (rows, columns): (R·C·A, 4)."""
    return shift_anchors(shape, stride, anchors, ops)


def anchors(image_shape, pyramid_levels=None, anchor_params=None):
    """All anchors of an image of `image_shape` (H, W, ...): (N, 4), xyxy px."""
    return anchors_for_shape(image_shape, pyramid_levels, anchor_params, xp=ops)
