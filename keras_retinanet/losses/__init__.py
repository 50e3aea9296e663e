"""Losses, each as its formula: closures (y_true, y_pred) whose last target column is the state.

State -1 is ignored, 0 background, 1 an object; every loss is divided by the number of objects in
the batch, at least 1.
"""

from .classification import cross_entropy, focal, focal_star, quality_focal, varifocal
from .regression import ciou, diou, giou, iou, l1, l2, smooth_l1

CLASSIFICATION_LOSSES = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "focal_star": focal_star,
    "quality_focal": quality_focal,
    "varifocal": varifocal,
}
BOX_LOSSES = {
    "l1": l1,
    "l2": l2,
    "smooth_l1": smooth_l1,
    "iou": iou,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
}
LOSSES = CLASSIFICATION_LOSSES | BOX_LOSSES


def get(config):
    """The closure that a dict {"name": ..., **arguments} describes."""
    arguments = dict(config)
    name = arguments.pop("name")
    if name not in LOSSES:
        raise ValueError(f"Expected a loss among {sorted(LOSSES)}. Received: {name!r}.")
    return LOSSES[name](**arguments)
