"""Box losses: closures (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar.

A loss compares deltas (encoded targets with the raw regression) or boxes (matched with decoded
ones, xyxy px), see `LossSpec.compares`. Only anchors of a state above 0 count, and the state is
their weight: 1, or their highest score if the loss is weighted by it. Ranges hold for boxes that
are not inverted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from .. import boxes as box_math
from ..typing import Tensor
from .reduction import only, split, weighted_mean
from .sampling import highest
from .spec import Comparison, Loss, LossSpec, spec_of, with_spec

HARMLESS = (0.0, 0.0, 1.0, 1.0)  # the box that replaces masked ones; masked deltas are 0


def closure(
    formula: Callable,
    compares: Comparison,
    name: str,
    weighted_by_score: bool = False,
    needs_bins: bool = False,
    **arguments: Any,
) -> Loss:
    """Return the loss of a formula, averaged over the objects.

    Args:
        formula: Maps predictions (B, N, V) and targets (B, N, V) to values (B, N).
        compares: "deltas", "boxes" or "both", see `LossSpec`.
        name: The name in `losses.LOSSES`.
        weighted_by_score: True to weight each object by its highest score.
        needs_bins: True if the loss works only with a coder of distributions over bins.
        **arguments: The arguments from which `losses.get` rebuilds the loss.
    """

    def masked(values: Tensor, objects: Tensor) -> Tensor:
        boxes = 0 if compares == "deltas" else 4
        harmless = np.array([*HARMLESS[:boxes], *[0.0] * (values.shape[-1] - boxes)], "float32")
        return only(objects, values, harmless)

    def each(y_true: Tensor, y_pred: Tensor) -> Tensor:
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = state > 0  # (B, N)
        predictions = masked(ops.cast(y_pred, "float32"), objects)  # (B, N, V)
        values = formula(predictions, masked(targets, objects))  # (B, N)
        return ops.where(objects, values, 0.0)

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        weights = ops.maximum(ops.cast(y_true[..., -1], "float32"), 0.0)  # (B, N)
        return weighted_mean(each(y_true, y_pred), weights)

    needs: dict[str, Any] = {"weighted_by_score": weighted_by_score, "needs_bins": needs_bins}
    return with_spec(loss, LossSpec(name, arguments, compares, **needs, each=each))


def smooth_l1(sigma: float = 3.0) -> Loss:
    """Smooth L1, 0.5 σ² d² below d = 1/σ² and d - 0.5/σ² above, summed over the coordinates;
    range [0, inf).

    Girshick 2015, "Fast R-CNN", arXiv 1504.08083; σ as in Ren et al. 2015, arXiv 1506.01497.

    Args:
        sigma: Sharpness of the bend: the loss is quadratic below a difference of 1/σ².

    Returns:
        A loss (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar.

    >>> y_true = np.array([[[0, 0, 0, 0, 1]]], "float32")  # the deltas of one object, its state
    >>> y_pred = np.array([[[1, 0.1, 0, 0]]], "float32")
    >>> loss = smooth_l1()(y_true, y_pred)  # (1 - 0.5 / 9) + 0.5 · 9 · 0.1²
    >>> print(f"{float(loss):.6f}")
    0.989444
    """
    squared = sigma**2

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        distance = ops.abs(predictions - targets)  # (B, N, 4)
        inner = 0.5 * squared * distance**2
        values = ops.where(distance < 1 / squared, inner, distance - 0.5 / squared)
        return ops.sum(values, axis=-1)

    return closure(formula, "deltas", "smooth_l1", sigma=sigma)


def ohem_smooth_l1(sigma: float = 3.0, share: float = 0.5) -> Loss:
    """Smooth L1 of the hardest `share` of the batch's objects, rounded down but at least one,
    divided by their number; range [0, inf).

    Online hard example mining, Shrivastava et al. 2016, arXiv 1604.03540.
    """
    each: Any = spec_of(smooth_l1(sigma)).each

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        values = each(y_true, y_pred)  # (B, N)
        weights = ops.maximum(ops.cast(y_true[..., -1], "float32"), 0.0)  # (B, N)
        objects = weights > 0  # (B, N)
        number = ops.maximum(share * ops.sum(ops.cast(objects, "float32")), 1)
        ranked = ops.reshape(ops.where(objects, values, -1.0), (1, -1))  # (1, B·N)
        kept = ops.reshape(highest(ranked, number[None]), ops.shape(values))  # (B, N)
        return weighted_mean(values, ops.where(kept, weights, 0.0))

    return with_spec(loss, LossSpec("ohem_smooth_l1", {"sigma": sigma, "share": share}))


def l1() -> Loss:
    """L1, |d| summed over the coordinates; range [0, inf)."""

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        return ops.sum(ops.abs(predictions - targets), axis=-1)

    return closure(formula, "deltas", "l1")


def l2() -> Loss:
    """L2, d² / 2 summed over the coordinates; range [0, inf)."""

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        return ops.sum((predictions - targets) ** 2, axis=-1) / 2

    return closure(formula, "deltas", "l2")


def iou(log: bool = False) -> Loss:
    """IoU loss, 1 - IoU, in [0, 1], or with `log` -log(IoU), in [0, inf).

    Yu et al. 2016, "UnitBox", arXiv 1608.01471.
    """

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        overlap = box_math.iou(predictions, targets, xp=ops)
        return -ops.log(ops.maximum(overlap, 1e-6)) if log else 1 - overlap

    return closure(formula, "boxes", "iou", log=log)


def giou() -> Loss:
    """GIoU loss, 1 - GIoU = 1 - IoU + (share of the hull outside both boxes); range [0, 2].

    Rezatofighi et al. 2019, "Generalized Intersection over Union", arXiv 1902.09630.

    Returns:
        A loss (y_true (B, N, 5), y_pred (B, N, 4)) -> scalar, boxes as xyxy px.

    >>> y_true = np.array([[[0, 0, 10, 10, 1]]], "float32")  # the box of one object, its state
    >>> y_pred = np.array([[[0, 0, 10, 5]]], "float32")
    >>> print(f"{float(giou()(y_true, y_pred)):.6f}")  # IoU 0.5, and the hull is the object's box
    0.500000
    """
    return closure(giou_distance, "boxes", "giou")


def giou_distance(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return 1 - GIoU of boxes (B, N, 4) and targets (B, N, 4): (B, N)."""
    return 1 - box_math.giou(predictions, targets, xp=ops)


def diou() -> Loss:
    """DIoU loss, 1 - DIoU; range [0, 2].

    Zheng et al. 2020, "Distance-IoU Loss", arXiv 1911.08287.
    """

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        return 1 - box_math.diou(predictions, targets, xp=ops)

    return closure(formula, "boxes", "diou")


def ciou() -> Loss:
    """CIoU loss, 1 - DIoU + α v; range [0, 3].

    v is the difference of the aspect ratios and α = v / (1 - IoU + v), without gradient.
    Zheng et al. 2020, "Distance-IoU Loss", arXiv 1911.08287.
    """

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        difference = box_math.aspect_difference(predictions, targets, xp=ops)
        overlap = box_math.iou(predictions, targets, xp=ops)
        alpha = ops.stop_gradient(difference / ops.maximum(1 - overlap + difference, 1e-7))
        return 1 - box_math.diou(predictions, targets, xp=ops) + alpha * difference

    return closure(formula, "boxes", "ciou")
