"""Classification losses: closures (y_true (B, N, K + 1), y_pred (B, N, K)) -> scalar.

y_pred holds probabilities, or logits with `from_logits=True`, which is finite for any logit.
Written with x the logit, σ the sigmoid, p = σ(x), y the label, and x_t = x where y is 1, -x where
it is 0, so that p_t = σ(x_t). Softmax logits are relative to the background's logit, see
`heads.Probabilities`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from keras import ops

from ..typing import Tensor
from .reduction import BACKGROUND, OBJECT, only, per_object, split, weighted_mean
from .spec import Activation, Loss, LossSpec, with_spec

Alpha = float | Sequence[float] | None


def to_logits(probabilities: Tensor) -> Tensor:
    """Invert the sigmoid, with probabilities kept 1e-7 away from 0 and 1."""
    probabilities = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1 - 1e-7)
    return ops.log(probabilities) - ops.log1p(-probabilities)


def to_relative_logits(probabilities: Tensor) -> Tensor:
    """Return log(p / p₀) of probabilities (..., K), where p₀ = 1 - Σp is the background's."""
    probabilities = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1 - 1e-7)
    background = 1 - ops.sum(probabilities, axis=-1, keepdims=True)
    return ops.log(probabilities) - ops.log(ops.maximum(background, 1e-7))


LOGITS = {"sigmoid": to_logits, "softmax": to_relative_logits}


def closure(
    formula: Callable,
    from_logits: bool,
    name: str,
    activation: Activation = "sigmoid",
    quality: bool = False,
    **arguments: Any,
) -> Loss:
    """Return the loss of a formula, with ignored anchors masked and divided by the objects.

    Args:
        formula: Maps labels (B, N, K) and logits (B, N, K) to terms (B, N, T), which are summed.
        from_logits: True if y_pred holds logits.
        name: The name in `losses.LOSSES`.
        activation: The function from logits to probabilities, "sigmoid" or "softmax".
        quality: True if labels are the IoU of the decoded box with its object.
        **arguments: The arguments from which `losses.get` rebuilds the loss.
    """

    def each(y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels, state = split(ops.cast(y_true, "float32"))  # (B, N, K), (B, N)
        counted = ops.logical_and(state >= BACKGROUND, state <= OBJECT)  # (B, N)
        y_pred = only(counted, y_pred, 0.5)  # (B, N, K): harmless as probability and as logit
        logits = ops.cast(y_pred, "float32") if from_logits else LOGITS[activation](y_pred)
        values = ops.sum(formula(labels, logits), axis=-1)  # (B, N)
        return ops.where(counted, values, 0.0)

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return per_object(each(y_true, y_pred), ops.cast(y_true[..., -1], "float32"))

    arguments["from_logits"] = from_logits
    spec = LossSpec(
        name, arguments, from_logits=from_logits, activation=activation, quality=quality, each=each
    )
    return with_spec(loss, spec)


def entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Return -y log p - (1 - y) log(1 - p), (B, N, K), for labels in 0..1."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def balance(positive: Tensor, alpha: Alpha) -> Tensor:
    """Return α_t: `alpha`, a number or one for each class, on objects and 1 - alpha elsewhere."""
    if alpha is None:
        return 1.0
    weight = ops.convert_to_tensor(alpha, "float32")
    return ops.where(positive, weight, 1 - weight)


def modulation(positive: Tensor, logits: Tensor, gamma: float) -> Tensor:
    """Return (1 - p_t)^γ as exp(γ log σ(-x_t)), whose gradient is finite at any logit and γ."""
    return ops.exp(gamma * ops.log_sigmoid(ops.where(positive, -logits, logits)))


def smoothed(labels: Tensor, share: float) -> Tensor:
    """Return y (1 - share) + share / 2. Szegedy et al. 2016, arXiv 1512.00567."""
    return labels * (1 - share) + share / 2


def cross_entropy(
    alpha: Alpha = None, from_logits: bool = False, label_smoothing: float = 0.0
) -> Loss:
    """Cross entropy, CE(p_t) = -α_t log(p_t), unweighted without `alpha`. Range: [0, inf).

    `label_smoothing` is a share of 0 to 1, see `smoothed`.
    """

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        return balance(labels > 0.5, alpha) * entropy(smoothed(labels, label_smoothing), logits)

    arguments: dict[str, Any] = {"alpha": alpha, "label_smoothing": label_smoothing}
    return closure(formula, from_logits, "cross_entropy", **arguments)


def focal(
    alpha: Alpha = 0.25,
    gamma: float = 2.0,
    cutoff: float = 0.5,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Loss:
    """Focal loss, FL(p_t) = -α_t (1 - p_t)^γ log(p_t). Range: [0, inf).

    Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002.

    Args:
        alpha: Weight of objects: a number, one for each class, or None for no weights. The
            background's weight is 1 - alpha.
        gamma: Exponent that lowers the loss of easy examples.
        cutoff: Labels above it count as objects in α_t and in the modulating factor.
        from_logits: True if y_pred holds logits.
        label_smoothing: share of 0 to 1 by which the cross entropy's labels, but not α_t and the
            modulating factor, move towards 1/2.

    Returns:
        A loss (y_true (B, N, K + 1), y_pred (B, N, K)) -> scalar.

    >>> y_true = np.array([[[1, 0, 1]]], "float32")  # one object of class 0, then the state
    >>> y_pred = np.array([[[0.9, 0.2]]], "float32")
    >>> loss = focal()(y_true, y_pred)  # 0.25 · 0.1² · -log 0.9 + 0.75 · 0.2² · -log 0.8
    >>> print(f"{float(loss):.6f}")
    0.006958
    """

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        positive = labels > cutoff  # (B, N, K)
        weight = balance(positive, alpha) * modulation(positive, logits, gamma)
        return weight * entropy(smoothed(labels, label_smoothing), logits)

    arguments: dict[str, Any] = {"alpha": alpha, "gamma": gamma, "cutoff": cutoff}
    return closure(formula, from_logits, "focal", **arguments, label_smoothing=label_smoothing)


def softmax_focal(alpha: Alpha = 0.25, gamma: float = 2.0, from_logits: bool = False) -> Loss:
    """Focal loss, FL(p_t) = -α_t (1 - p_t)^γ log(p_t), of K classes and the background.

    p_t is the softmax probability of the anchor's class; with `gamma=0` and `alpha=None` this is
    the cross entropy. The background's α_t is 1 minus the mean α of the classes. Range: [0, inf).
    """

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        background = 1 - ops.sum(labels, axis=-1, keepdims=True)  # (B, N, 1)
        labels = ops.concatenate([labels, background], axis=-1)  # (B, N, K + 1)
        logits = ops.concatenate([logits, ops.zeros_like(logits[..., :1])], axis=-1)
        log_p = ops.log_softmax(logits)  # (B, N, K + 1)
        log_p_t = ops.sum(labels * log_p, axis=-1)  # (B, N)
        log_others = ops.logsumexp(ops.where(labels > 0.5, -1e9, log_p), axis=-1)  # log(1 - p_t)
        weight = ops.exp(gamma * log_others)  # (B, N)
        if alpha is not None:
            alphas = np.append(np.broadcast_to(alpha, labels.shape[-1] - 1), 1 - np.mean(alpha))
            alphas = ops.convert_to_tensor(alphas, "float32")  # (K + 1,)
            weight = weight * ops.sum(labels * alphas, axis=-1)
        return -(weight * log_p_t)[..., None]

    return closure(formula, from_logits, "softmax_focal", "softmax", alpha=alpha, gamma=gamma)


def focal_star(
    alpha: Alpha = None, gamma: float = 2.0, beta: float = 1.0, from_logits: bool = False
) -> Loss:
    """Focal loss star, FL*(p_t) = -α_t log σ(γ x_t + β) / γ. Range: [0, inf).

    Lin et al. 2017, arXiv 1708.02002, appendix A.
    """

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        positive = labels > 0.5  # (B, N, K)
        x_t = ops.where(positive, logits, -logits)
        return -balance(positive, alpha) * ops.log_sigmoid(gamma * x_t + beta) / gamma

    return closure(formula, from_logits, "focal_star", alpha=alpha, gamma=gamma, beta=beta)


def quality_focal(beta: float = 2.0, from_logits: bool = False) -> Loss:
    """Quality focal loss, QFL(p) = |y - p|^β (-(1 - y) log(1 - p) - y log p). Range: [0, inf).

    The label of the object's class is the IoU y of the decoded box with its object, without
    gradient. Li et al. 2020, "Generalized Focal Loss", arXiv 2006.04388.
    """

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        distance = ops.abs(labels - ops.sigmoid(logits))  # (B, N, K)
        return ops.power(ops.maximum(distance, 1e-6), beta) * entropy(labels, logits)

    return closure(formula, from_logits, "quality_focal", quality=True, beta=beta)


def varifocal(alpha: float = 0.75, gamma: float = 2.0, from_logits: bool = False) -> Loss:
    """Varifocal loss, VFL(p) = y CE(p, y) on objects, α p^γ CE(p, 0) elsewhere. Range: [0, inf).

    Labels as for `quality_focal`. Zhang et al. 2021, "VarifocalNet", arXiv 2008.13367.

    Raises:
        TypeError: `alpha` is not a number.
    """
    if not isinstance(alpha, (int, float)):
        raise TypeError(f"alpha must be a number, got {alpha}.")

    def formula(labels: Tensor, logits: Tensor) -> Tensor:
        positive = labels > 0  # (B, N, K)
        background = alpha * ops.exp(gamma * ops.log_sigmoid(logits))
        return ops.where(positive, labels, background) * entropy(labels, logits)

    return closure(formula, from_logits, "varifocal", quality=True, alpha=alpha, gamma=gamma)


def iou_entropy(from_logits: bool = False) -> Loss:
    """Cross entropy -t log p - (1 - t) log(1 - p) of the IoU branch: y_true (B, N, 2), y_pred
    (B, N, 1).

    The branch predicts the IoU t of an object's decoded box with the object; the score is
    multiplied by it. Only objects count. Range: [0, inf). Wu et al. 2020, "IoU-aware Single-stage
    Object Detector", arXiv 1912.05992.
    """

    def loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
        overlap, state = split(ops.cast(y_true, "float32"))  # (B, N, 1), (B, N)
        objects = state > 0  # (B, N)
        y_pred = only(objects, y_pred, 0.5)  # (B, N, 1)
        logits = ops.cast(y_pred, "float32") if from_logits else to_logits(y_pred)
        values = entropy(only(objects, overlap), logits)[..., 0]  # (B, N)
        return weighted_mean(values, ops.cast(objects, "float32"))

    arguments = {"from_logits": from_logits}
    return with_spec(loss, LossSpec("iou_entropy", arguments, from_logits=from_logits))


def inverse_frequency(counts: Iterable[int]) -> list[float]:
    """Return `alpha` for each class from the number of its boxes: odds α / (1 - α) = Σn / (K n_c).

    A class of mean frequency gets 0.5, a rarer one more, and one without boxes 0.5.
    """
    counts = [int(count) for count in counts]
    total = sum(counts)
    return [total / (total + len(counts) * count) if count else 0.5 for count in counts]
