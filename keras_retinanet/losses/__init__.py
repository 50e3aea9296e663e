"""Losses, each as its formula: closures (y_true, y_pred) whose last target column is the state.

State -1 is ignored, 0 background, 1 an object; a loss is divided by the number of objects in the
batch, at least 1, unless its docstring names another divisor.
"""

from ..lookup import lookup
from .classification import (
    cross_entropy,
    focal,
    focal_star,
    iou_entropy,
    quality_focal,
    softmax_focal,
    varifocal,
)
from .distribution import dfl, gfl
from .harmonizing import ghm_classification, ghm_regression
from .regression import ciou, diou, giou, iou, l1, l2, ohem_smooth_l1, smooth_l1

CLASSIFICATION_LOSSES = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "focal_star": focal_star,
    "ghm_classification": ghm_classification,
    "softmax_focal": softmax_focal,
    "quality_focal": quality_focal,
    "varifocal": varifocal,
}
BOX_LOSSES = {
    "l1": l1,
    "l2": l2,
    "smooth_l1": smooth_l1,
    "ohem_smooth_l1": ohem_smooth_l1,
    "ghm_regression": ghm_regression,
    "iou": iou,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
    "dfl": dfl,
    "gfl": gfl,
}
LOSSES = CLASSIFICATION_LOSSES | BOX_LOSSES | {"iou_entropy": iou_entropy}


def get(config):
    """The closure that a dict {"name": ..., **arguments} describes."""
    make, arguments = lookup(LOSSES, config, "a loss")
    return make(**arguments)
