"""Box losses: closures (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar.

`loss.space` says what a loss compares: "deltas" (encoded targets with the raw regression) or
"boxes" (matched boxes with decoded boxes, xyxy px). Only anchors of state 1 count.
"""

import numpy as np
from keras import ops

from .. import boxes as box_math
from .reduction import OBJECT, only, per_object, split

HARMLESS = {"deltas": (0.0,) * 4, "boxes": (0.0, 0.0, 1.0, 1.0)}  # stands in for masked values


def closure(formula, space, name, **arguments):
    """The loss of a `formula` (prediction (B, N, 4), target (B, N, 4)) -> (B, N).

    `config` is what `losses.get` makes the closure from again.
    """

    def loss(y_true, y_pred):
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = ops.equal(state, OBJECT)  # (B, N)
        instead = np.array(HARMLESS[space], "float32")
        predictions = only(objects, ops.cast(y_pred, "float32"), instead)  # (B, N, 4)
        values = formula(predictions, only(objects, targets, instead))  # (B, N)
        return per_object(ops.where(objects, values, 0.0), state)

    loss.space = space
    loss.config = {"name": name, **arguments}
    return loss


def smooth_l1(sigma=3.0):
    """0.5 σ² d² below d = 1/σ², d - 0.5/σ² above, summed over the coordinates; range [0, inf).

    Girshick 2015, "Fast R-CNN", arXiv 1504.08083; σ as in Ren et al. 2015, arXiv 1506.01497.
    """
    squared = sigma**2

    def formula(predictions, targets):
        distance = ops.abs(predictions - targets)  # (B, N, 4)
        inner = 0.5 * squared * distance**2
        values = ops.where(distance < 1 / squared, inner, distance - 0.5 / squared)
        return ops.sum(values, axis=-1)

    return closure(formula, "deltas", "smooth_l1", sigma=sigma)


def l1():
    """|d|, summed over the coordinates; range [0, inf)."""

    def formula(predictions, targets):
        return ops.sum(ops.abs(predictions - targets), axis=-1)

    return closure(formula, "deltas", "l1")


def l2():
    """d² / 2, summed over the coordinates; range [0, inf)."""

    def formula(predictions, targets):
        return ops.sum((predictions - targets) ** 2, axis=-1) / 2

    return closure(formula, "deltas", "l2")


def iou(log=False):
    """1 - IoU, in [0, 1], or with `log` -log(IoU), in [0, inf).

    Yu et al. 2016, "UnitBox", arXiv 1608.01471.
    """

    def formula(predictions, targets):
        overlap = box_math.iou(predictions, targets, xp=ops)
        return -ops.log(ops.maximum(overlap, 1e-6)) if log else 1 - overlap

    return closure(formula, "boxes", "iou", log=log)


def giou():
    """1 - GIoU; range [0, 2].

    Rezatofighi et al. 2019, "Generalized Intersection over Union", arXiv 1902.09630.
    """

    def formula(predictions, targets):
        return 1 - box_math.giou(predictions, targets, xp=ops)

    return closure(formula, "boxes", "giou")


def diou():
    """1 - DIoU; range [0, 2]. Zheng et al. 2020, "Distance-IoU Loss", arXiv 1911.08287."""

    def formula(predictions, targets):
        return 1 - box_math.diou(predictions, targets, xp=ops)

    return closure(formula, "boxes", "diou")


def ciou():
    """1 - DIoU + α v, with v the difference of the aspect ratios and α = v / (1 - IoU + v).

    α carries no gradient; range [0, 3]. Zheng et al. 2020, "Distance-IoU Loss", arXiv 1911.08287.
    """

    def formula(predictions, targets):
        difference = box_math.aspect_difference(predictions, targets, xp=ops)
        overlap = box_math.iou(predictions, targets, xp=ops)
        alpha = ops.stop_gradient(difference / ops.maximum(1 - overlap + difference, 1e-7))
        return 1 - box_math.diou(predictions, targets, xp=ops) + alpha * difference

    return closure(formula, "boxes", "ciou")
