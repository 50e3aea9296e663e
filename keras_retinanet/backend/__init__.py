"""Box arithmetic on tensors, by the names that scripts of keras-retinanet import."""

from .common import anchors, bbox_transform_inv, shift

__all__ = ["anchors", "bbox_transform_inv", "shift"]
