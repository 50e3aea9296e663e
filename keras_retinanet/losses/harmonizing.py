"""GHM losses, which weight an example by the rarity of the norm of its gradient.

Li et al. 2019, "Gradient Harmonized Single-stage Detector", arXiv 1811.05181. `loss.spec.density`
is the layer that remembers how often each norm was seen: a model that trains with the loss tracks
it, so that its weight is saved and, on JAX, updated.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..typing import Shape, Tensor
from .classification import entropy, to_logits
from .reduction import BACKGROUND, OBJECT, only, split, weighted_mean
from .spec import Loss, LossSpec, with_spec


@keras.saving.register_keras_serializable("keras_retinanet")
class GradientDensity(keras.layers.Layer):
    """Layer that maps gradient norms (..., V) in 0..1, and a mask of the ones that count, to
    weights β.

    With S the moving counts of the examples in `bins` equal bins, S <- momentum S + (1 - momentum)
    counts, an example of bin j weighs β = ΣS / (bins S_j), and 0 if it does not count. The start
    at S = 0 cancels out. β carries no gradient.

    While `updating` is False, S stays, and S_j is at least the (1 - momentum) counts that this
    batch would add. So the weight of a norm not seen recently stays bounded, and before training
    the batch is weighted by its own counts.
    """

    def __init__(self, bins: int, momentum: float, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be 0 or more and below 1, got {momentum}.")
        self.bins = bins
        self.momentum = momentum
        self.updating = True
        self.counts = self.add_weight(
            shape=(bins,), initializer="zeros", trainable=False, aggregation="mean", name="counts"
        )
        self.built = True

    def call(self, norms: Tensor, counted: Tensor) -> Tensor:
        norms = ops.stop_gradient(norms)
        bins = ops.clip(ops.cast(norms * self.bins, "int32"), 0, self.bins - 1)
        bins = ops.where(counted, bins, self.bins)  # (..., V): a bin more for what does not count
        fresh = (1 - self.momentum) * self.histogram(bins)[:-1]  # (bins,)
        if self.updating:
            moving = self.momentum * self.counts + fresh
            self.counts.assign(moving)
        else:
            moving = ops.maximum(self.counts, fresh)
        weights = ops.divide_no_nan(ops.sum(moving), self.bins * moving)
        return ops.take(ops.pad(weights, [[0, 1]]), bins, axis=0)

    def histogram(self, bins: Tensor) -> Tensor:
        """Count how many of bins (..., V) are 0, 1, ...: (bins + 1,).

        Each column of V is counted separately first, because a count in float32 stops at 2²⁴.
        """
        size, columns = self.bins + 1, bins.shape[-1]
        places = ops.reshape(bins + size * ops.arange(columns, dtype="int32"), (-1,))
        ones = ops.ones_like(places, "float32")
        counts = ops.segment_sum(ones, places, size * columns)
        return ops.sum(ops.reshape(counts, (columns, size)), axis=0)

    def compute_output_shape(self, norms_shape: Shape, counted_shape: Shape) -> Shape:
        return norms_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "bins": self.bins, "momentum": self.momentum}


def ghm_classification(bins: int = 30, momentum: float = 0.75, from_logits: bool = False) -> Loss:
    """GHM-C: Σ β CE(p, y) over every class of every anchor, with |p - y| the norm of the gradient.

    The sum is divided by the number of (anchor, class) examples, not of objects; if all norms are
    equally frequent, this is the mean cross entropy. Range: [0, inf).
    """
    density = GradientDensity(bins, momentum)

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, state = split(ops.cast(y_true, "float32"))  # (B, N, K), (B, N)
        counted = ops.logical_and(state >= BACKGROUND, state <= OBJECT)  # (B, N)
        y_pred = only(counted, y_pred, 0.5)  # (B, N, K): harmless as probability and as logit
        logits = ops.cast(y_pred, "float32") if from_logits else to_logits(y_pred)
        labels = only(counted, labels)
        weights = density(ops.abs(ops.sigmoid(logits) - labels), counted[..., None])  # (B, N, K)
        values = ops.mean(weights * entropy(labels, logits), axis=-1)  # (B, N)
        return weighted_mean(values, ops.cast(counted, "float32"))

    arguments = {"bins": bins, "momentum": momentum, "from_logits": from_logits}
    spec = LossSpec("ghm_classification", arguments, from_logits=from_logits, density=density)
    return with_spec(loss, spec)


def ghm_regression(mu: float = 0.02, bins: int = 10, momentum: float = 0.75) -> Loss:
    """GHM-R: β (sqrt(d² + μ²) - μ), summed over the coordinates; range [0, inf).

    The norm of the gradient is |d| / sqrt(d² + μ²); examples are the coordinates of the objects.
    """
    density = GradientDensity(bins, momentum)

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        targets, state = split(ops.cast(y_true, "float32"))  # (B, N, 4), (B, N)
        objects = state > 0  # (B, N)
        difference = only(objects, ops.cast(y_pred, "float32") - targets)  # (B, N, 4)
        root = ops.sqrt(difference**2 + mu**2)  # (B, N, 4)
        weights = density(ops.abs(difference) / root, objects[..., None])  # (B, N, 4)
        values = difference**2 / (root + mu)  # root - μ, without cancellation
        values = ops.sum(weights * values, axis=-1)  # (B, N)
        return weighted_mean(values, ops.maximum(state, 0.0))

    arguments = {"mu": mu, "bins": bins, "momentum": momentum}
    return with_spec(loss, LossSpec("ghm_regression", arguments, density=density))
