"""Classification losses: closures (y_true (B, N, K + 1), y_pred (B, N, K)) -> scalar."""

from keras import ops

from .reduction import IGNORE, only, per_object, split


def to_logits(probabilities):
    """The inverse of the sigmoid, with probabilities kept 1e-7 away from 0 and 1."""
    probabilities = ops.clip(ops.cast(probabilities, "float32"), 1e-7, 1 - 1e-7)
    return ops.log(probabilities) - ops.log1p(-probabilities)


def focal(alpha=0.25, gamma=2.0, cutoff=0.5, from_logits=False):
    """FL(p_t) = -α_t (1 - p_t)^γ log(p_t), summed over the anchors, over the number of objects.

    Labels above `cutoff` count as objects in α_t and in the modulating factor. y_pred holds
    probabilities, or logits with `from_logits=True` (finite for any logit). Range: [0, inf).
    Lin et al. 2017, "Focal Loss for Dense Object Detection", arXiv 1708.02002.
    """

    def loss(y_true, y_pred):
        labels, state = split(ops.cast(y_true, "float32"))  # (B, N, K), (B, N)
        counted = ops.not_equal(state, IGNORE)  # (B, N)
        y_pred = only(counted, y_pred, 0.5)  # (B, N, K): harmless as probability and as logit
        logits = ops.cast(y_pred, "float32") if from_logits else to_logits(y_pred)
        positive = labels > cutoff  # (B, N, K)
        alpha_t = ops.where(positive, alpha, 1 - alpha)
        # (1 - p_t)^γ as exp(γ log σ(-x_t)): its gradient is finite at any logit and any γ
        modulating = ops.exp(gamma * ops.log_sigmoid(ops.where(positive, -logits, logits)))
        entropy = ops.binary_crossentropy(labels, logits, from_logits=True)
        values = ops.sum(alpha_t * modulating * entropy, axis=-1)  # (B, N)
        return per_object(ops.where(counted, values, 0.0), state)

    loss.from_logits = from_logits
    loss.config = {
        "name": "focal",
        "alpha": alpha,
        "gamma": gamma,
        "cutoff": cutoff,
        "from_logits": from_logits,
    }
    return loss
