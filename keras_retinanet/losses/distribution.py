"""Losses of distances to a box's sides that are predicted as distributions over bins.

Li et al. 2020, "Generalized Focal Loss", arXiv 2006.04388.
"""

from __future__ import annotations

from keras import ops

from ..typing import Tensor
from .regression import closure, giou_distance
from .spec import Loss


def two_hot(distances: Tensor, bins: int) -> Tensor:
    """Return distances (..., 4) as weights of their two nearest bins: (..., 4, bins + 1).

    The weights are linear: distance = Σ weight · bin, for distances within 0..bins.
    """
    distances = ops.clip(distances, 0, bins)[..., None]  # (..., 4, 1)
    return ops.maximum(1 - ops.abs(distances - ops.arange(bins + 1, dtype="float32")), 0)


def distribution_entropy(logits: Tensor, distances: Tensor) -> Tensor:
    """Return -Σ_sides ((i + 1 - y) log S_i + (y - i) log S_i+1), with i <= y <= i + 1: (B, N).

    S is the softmax of a side's logits, of which there are (B, N, 4 · (bins + 1)), and y its
    distance (B, N, 4).
    """
    bins = logits.shape[-1] // 4 - 1
    log_s = ops.log_softmax(ops.reshape(logits, (*ops.shape(logits)[:-1], 4, bins + 1)))
    return -ops.sum(two_hot(distances, bins) * log_s, axis=(-2, -1))


def dfl() -> Loss:
    """Distribution Focal Loss, summed over the four sides; range [0, inf).

    For the coder `distances` with bins: y_true (B, N, 5), y_pred (B, N, 4 · (bins + 1)).
    """
    return closure(distribution_entropy, "deltas", "dfl", needs_bins=True)


def gfl(giou: float = 2.0, dfl: float = 0.25) -> Loss:
    """The box part of Generalized Focal Loss, giou · (1 - GIoU) + dfl · DFL; range [0, inf).

    Each object is weighted by its highest score, and the sum divided by the sum of the weights.
    The distances need no bins when `dfl` is 0.
    """

    def formula(predictions: Tensor, targets: Tensor) -> Tensor:
        value = giou * giou_distance(predictions[..., :4], targets[..., :4])
        if dfl:
            value = value + dfl * distribution_entropy(predictions[..., 4:], targets[..., 4:])
        return value

    needs = {"weighted_by_score": True, "needs_bins": bool(dfl)}
    return closure(formula, "both", "gfl", **needs, giou=giou, dfl=dfl)
