"""Box losses: closures (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar.

`loss.space` says what a loss compares: "deltas" (encoded targets with the raw regression) or
"boxes" (matched boxes with decoded boxes, xyxy px). Only anchors of state 1 count.
"""

from keras import ops

from .. import boxes as box_math
from .reduction import OBJECT, only, per_object, split

UNIT_BOX = (0.0, 0.0, 1.0, 1.0)  # stands in for masked boxes: finite in every formula


def smooth_l1(sigma=3.0):
    """0.5 σ² d² below d = 1/σ², d - 0.5/σ² above, summed over the coordinates; range [0, inf).

    Girshick 2015, "Fast R-CNN", arXiv 1504.08083; σ as in Ren et al. 2015, arXiv 1506.01497.
    """
    squared = sigma**2

    def loss(y_true, y_pred):
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = ops.equal(state, OBJECT)  # (B, N)
        distance = ops.abs(only(objects, ops.cast(y_pred, "float32") - targets))  # (B, N, 4)
        values = ops.where(
            distance < 1 / squared, 0.5 * squared * distance**2, distance - 0.5 / squared
        )
        return per_object(ops.sum(values, axis=-1), state)

    loss.space = "deltas"
    loss.config = {"name": "smooth_l1", "sigma": sigma}
    return loss


def giou():
    """1 - GIoU of the decoded box with its matched box; range [0, 2].

    Rezatofighi et al. 2019, "Generalized Intersection over Union", arXiv 1902.09630.
    """

    def loss(y_true, y_pred):
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = ops.equal(state, OBJECT)  # (B, N)
        boxes = only(objects, ops.cast(y_pred, "float32"), UNIT_BOX)  # (B, N, 4)
        targets = only(objects, targets, UNIT_BOX)  # (B, N, 4)
        values = 1 - box_math.giou(boxes, targets, xp=ops)  # (B, N)
        return per_object(ops.where(objects, values, 0.0), state)

    loss.space = "boxes"
    loss.config = {"name": "giou"}
    return loss
