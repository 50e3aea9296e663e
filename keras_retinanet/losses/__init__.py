"""Losses: closures (y_true, y_pred) -> scalar, whose last target column is the state.

State -1 is ignored, 0 background, 1 an object; a loss is divided by the number of objects in the
batch, at least 1, unless its docstring names another divisor. `loss.spec`, see `losses.spec`, says
what the loss compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..choices import BOX_LOSSES, CLASSIFICATION_LOSSES, LOSSES, lookup
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
from .spec import Loss


def get(config: str | dict[str, Any]) -> Loss:
    """Make a loss from a name or a dict {"name": ..., **arguments}.

    Raises:
        ValueError: No loss has this name; the message lists the known names.
    """
    make, arguments = lookup(LOSSES, config, "loss")
    return make(**arguments)
