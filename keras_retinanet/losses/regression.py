"""Box losses: closures (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar.

`loss.space` says what a loss compares: "deltas" (encoded targets with the raw regression) or
"boxes" (matched boxes with decoded boxes, xyxy px), or "both", boxes and deltas side by side. Only
anchors of a state above 0 count, and the state is their weight: 1, or for a loss `by_score` their
highest score, as `compute_loss` fills in. Ranges are those of boxes that are not inverted.
"""

import numpy as np
from keras import ops

from .. import boxes as box_math
from .reduction import only, split, weighted_mean
from .selection import highest

HARMLESS = (0.0, 0.0, 1.0, 1.0)  # the box that stands in for masked ones; masked deltas are 0


def closure(formula, space, name, **arguments):
    """The loss of a `formula` (prediction (B, N, 4), target (B, N, 4)) -> (B, N).

    The closure's `each` gives the loss of every anchor (B, N), 0 where it is no object; `config` is
    what `losses.get` makes the closure from again.
    """

    def masked(values, objects):
        boxes = 0 if space == "deltas" else 4
        harmless = np.array([*HARMLESS[:boxes], *[0.0] * (values.shape[-1] - boxes)], "float32")
        return only(objects, values, harmless)

    def each(y_true, y_pred):
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = state > 0  # (B, N)
        predictions = masked(ops.cast(y_pred, "float32"), objects)  # (B, N, V)
        values = formula(predictions, masked(targets, objects))  # (B, N)
        return ops.where(objects, values, 0.0)

    def loss(y_true, y_pred):
        weights = ops.maximum(ops.cast(y_true[..., -1], "float32"), 0.0)  # (B, N)
        return weighted_mean(each(y_true, y_pred), weights)

    loss.each = each
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


def ohem_smooth_l1(sigma=3.0, share=0.5):
    """`smooth_l1` of the hardest `share` of the batch's objects alone, rounded down but one at
    least, divided by the number of these; range [0, inf).

    Online hard example mining, Shrivastava et al. 2016, arXiv 1604.03540.
    """
    plain = smooth_l1(sigma)

    def loss(y_true, y_pred):
        values = plain.each(y_true, y_pred)  # (B, N)
        weights = ops.maximum(ops.cast(y_true[..., -1], "float32"), 0.0)  # (B, N)
        objects = weights > 0  # (B, N)
        number = ops.maximum(share * ops.sum(ops.cast(objects, "float32")), 1)
        ranked = ops.reshape(ops.where(objects, values, -1.0), (1, -1))  # (1, B·N)
        kept = ops.reshape(highest(ranked, number[None]), ops.shape(values))  # (B, N)
        return weighted_mean(values, ops.where(kept, weights, 0.0))

    loss.space = "deltas"
    loss.config = {"name": "ohem_smooth_l1", "sigma": sigma, "share": share}
    return loss


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

    return closure(giou_distance, "boxes", "giou")


def giou_distance(predictions, targets):
    """1 - GIoU of boxes (B, N, 4) and targets (B, N, 4): (B, N)."""
    return 1 - box_math.giou(predictions, targets, xp=ops)


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
