"""Classification losses: closures (y_true (B, N, K + 1), y_pred (B, N, K)) -> scalar.

y_pred holds probabilities, or logits with `from_logits=True`, which is finite for any logit.
Written with x the logit, σ the sigmoid, p = σ(x), y the label, and x_t = x where y is 1, -x where
it is 0, so that p_t = σ(x_t). `loss.activation` is what makes probabilities of the logits:
"sigmoid", or "softmax" for logits relative to that of the background, see `heads.Probabilities`.
"""

import numpy as np
from keras import ops

from .reduction import BACKGROUND, OBJECT, only, per_object, split, weighted_mean


def to_logits(probabilities):
    """The inverse of the sigmoid, with probabilities kept 1e-7 away from 0 and 1."""
    probabilities = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1 - 1e-7)
    return ops.log(probabilities) - ops.log1p(-probabilities)


def to_relative_logits(probabilities):
    """log(p / p₀) of the classes' probabilities (..., K), p₀ = 1 - Σp that of the background."""
    probabilities = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1 - 1e-7)
    background = 1 - ops.sum(probabilities, axis=-1, keepdims=True)
    return ops.log(probabilities) - ops.log(ops.maximum(background, 1e-7))


LOGITS = {"sigmoid": to_logits, "softmax": to_relative_logits}


def closure(formula, from_logits, name, activation="sigmoid", **arguments):
    """The loss of a `formula` (labels (B, N, K), logits (B, N, K)) -> (B, N, any number of terms).

    The closure's `each` gives the loss of every anchor (B, N), 0 where it is ignored; `config` is
    what `losses.get` makes the closure from again.
    """

    def each(y_true, y_pred):
        labels, state = split(ops.cast(y_true, "float32"))  # (B, N, K), (B, N)
        counted = ops.logical_and(state >= BACKGROUND, state <= OBJECT)  # (B, N)
        y_pred = only(counted, y_pred, 0.5)  # (B, N, K): harmless as probability and as logit
        logits = ops.cast(y_pred, "float32") if from_logits else LOGITS[activation](y_pred)
        values = ops.sum(formula(labels, logits), axis=-1)  # (B, N)
        return ops.where(counted, values, 0.0)

    def loss(y_true, y_pred):
        return per_object(each(y_true, y_pred), ops.cast(y_true[..., -1], "float32"))

    loss.each = each
    loss.from_logits = from_logits
    loss.activation = activation
    loss.config = {"name": name, **arguments, "from_logits": from_logits}
    return loss


def entropy(labels, logits):
    """-y log p - (1 - y) log(1 - p), for labels in 0..1: (B, N, K)."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def balance(positive, alpha):
    """α_t: `alpha`, a number or one for each class, on objects and 1 - alpha elsewhere."""
    if alpha is None:
        return 1.0
    alpha = ops.convert_to_tensor(alpha, "float32")
    return ops.where(positive, alpha, 1 - alpha)


def modulation(positive, logits, gamma):
    """(1 - p_t)^γ as exp(γ log σ(-x_t)): its gradient is finite at any logit and any γ."""
    return ops.exp(gamma * ops.log_sigmoid(ops.where(positive, -logits, logits)))


def cross_entropy(alpha=None, from_logits=False):
    """CE(p_t) = -α_t log(p_t); without `alpha`, unweighted. Range: [0, inf)."""

    def formula(labels, logits):
        return balance(labels > 0.5, alpha) * entropy(labels, logits)

    return closure(formula, from_logits, "cross_entropy", alpha=alpha)


def focal(alpha=0.25, gamma=2.0, cutoff=0.5, from_logits=False):
    """FL(p_t) = -α_t (1 - p_t)^γ log(p_t). Range: [0, inf).

    Labels above `cutoff` count as objects in α_t and in the modulating factor.
    Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002.
    """

    def formula(labels, logits):
        positive = labels > cutoff  # (B, N, K)
        weight = balance(positive, alpha) * modulation(positive, logits, gamma)
        return weight * entropy(labels, logits)

    return closure(formula, from_logits, "focal", alpha=alpha, gamma=gamma, cutoff=cutoff)


def softmax_focal(alpha=0.25, gamma=2.0, from_logits=False):
    """FL(p_t) = -α_t (1 - p_t)^γ log(p_t) of K + 1 classes, the last one the background.

    p_t is the softmax probability of the anchor's own class; with `gamma=0` and `alpha=None` this
    is the cross entropy. The background's α_t is 1 less the mean of the classes'. Range: [0, inf).
    """

    def formula(labels, logits):
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


def focal_star(alpha=None, gamma=2.0, beta=1.0, from_logits=False):
    """FL*(p_t) = -α_t log σ(γ x_t + β) / γ. Range: [0, inf). arXiv 1708.02002, appendix A."""

    def formula(labels, logits):
        positive = labels > 0.5  # (B, N, K)
        x_t = ops.where(positive, logits, -logits)
        return -balance(positive, alpha) * ops.log_sigmoid(gamma * x_t + beta) / gamma

    return closure(formula, from_logits, "focal_star", alpha=alpha, gamma=gamma, beta=beta)


def quality_focal(beta=2.0, from_logits=False):
    """QFL(p) = |y - p|^β (-(1 - y) log(1 - p) - y log p). Range: [0, inf).

    The label of the object's class is the IoU y of the decoded box with its object, without
    gradient. Li et al. 2020, "Generalized Focal Loss", arXiv 2006.04388.
    """

    def formula(labels, logits):
        distance = ops.abs(labels - ops.sigmoid(logits))  # (B, N, K)
        return ops.power(ops.maximum(distance, 1e-6), beta) * entropy(labels, logits)

    loss = closure(formula, from_logits, "quality_focal", beta=beta)
    loss.quality = True
    return loss


def varifocal(alpha=0.75, gamma=2.0, from_logits=False):
    """VFL(p) = y CE(p, y) on objects, α p^γ CE(p, 0) elsewhere, α a number. Range: [0, inf).

    Labels as for `quality_focal`. Zhang et al. 2021, "VarifocalNet", arXiv 2008.13367.
    """

    if not isinstance(alpha, (int, float)):
        raise TypeError(f"Expected a number as alpha. Received: {alpha}")

    def formula(labels, logits):
        positive = labels > 0  # (B, N, K)
        background = alpha * ops.exp(gamma * ops.log_sigmoid(logits))
        return ops.where(positive, labels, background) * entropy(labels, logits)

    loss = closure(formula, from_logits, "varifocal", alpha=alpha, gamma=gamma)
    loss.quality = True
    return loss


def iou_entropy(from_logits=False):
    """-t log p - (1 - t) log(1 - p) of the objects alone: y_true (B, N, 2), y_pred (B, N, 1).

    For a branch that predicts the IoU t of the decoded box with its object, which the score is
    multiplied by. Range: [0, inf). Wu et al. 2020, "IoU-aware Single-stage Object Detector", arXiv
    1912.05992.
    """

    def loss(y_true, y_pred):
        overlap, state = split(ops.cast(y_true, "float32"))  # (B, N, 1), (B, N)
        objects = state > 0  # (B, N)
        y_pred = only(objects, y_pred, 0.5)  # (B, N, 1)
        logits = ops.cast(y_pred, "float32") if from_logits else to_logits(y_pred)
        values = entropy(only(objects, overlap), logits)[..., 0]  # (B, N)
        return weighted_mean(values, ops.cast(objects, "float32"))

    loss.from_logits = from_logits
    loss.config = {"name": "iou_entropy", "from_logits": from_logits}
    return loss


def inverse_frequency(counts):
    """`alpha` for each class from the numbers of its boxes: odds α / (1 - α) = Σn / (K n_c).

    A class of mean frequency gets 0.5, a rarer one more; 0.5 too one without boxes.
    """
    counts = [int(count) for count in counts]
    total = sum(counts)
    return [total / (total + len(counts) * count) if count else 0.5 for count in counts]
