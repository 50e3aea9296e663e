"""The anchors and the corners coder on tensors of the running backend."""

from collections.abc import Sequence

from keras import ops

from .. import coders
from ..typing import Tensor
from ..utils.anchors import AnchorParameters, anchors_for_shape
from ..utils.anchors import shift as shift_anchors


def bbox_transform_inv(
    boxes: Tensor,
    deltas: Tensor,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Tensor:
    """Move boxes (..., 4) px by corner values (..., 4): x1 + (d · std + mean) · width, ...

    `mean` defaults to 0 and `std` to 0.2 on each corner; `bbox_transform` is the way back.
    """
    given = {"mean": mean, "std": std}
    coder = coders.corners(**{name: value for name, value in given.items() if value is not None})
    return coder.decode(ops.convert_to_tensor(boxes), ops.convert_to_tensor(deltas), ops)


def shift(shape: Sequence[int], stride: int | tuple[int, int], anchors: Tensor) -> Tensor:
    """Return anchors (A, 4) at each place of a feature map (rows, columns): (R·C·A, 4) px."""
    return shift_anchors(shape, stride, anchors, ops)


def anchors(
    image_shape: Sequence[int],
    pyramid_levels: Sequence[int] | None = None,
    anchor_params: AnchorParameters | None = None,
) -> Tensor:
    """Return all anchors of an image of `image_shape` (H, W, ...): (N, 4), xyxy px."""
    return anchors_for_shape(image_shape, pyramid_levels, anchor_params, xp=ops)
