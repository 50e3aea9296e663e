"""Targets and scores in the form that the losses take."""

from keras import ops

from ..losses.classification import LOGITS
from ..losses.reduction import BACKGROUND, IGNORE, OBJECT
from ..nms import gather
from .heads import ACTIVATIONS


def dense_targets(y, coder, anchors, num_classes):
    """{regression (B, N, 5), classification (B, N, K + 1)} of compact targets.

    `y` is {boxes (B, M, 4) px, labels (B, M), matches (B, N)} of anchors (1, N, 4), px.
    """
    matches = ops.cast(y["matches"], "int32")  # (B, N)
    objects = matches >= 0
    others = ops.where(ops.equal(matches, -1), float(BACKGROUND), float(IGNORE))
    state = ops.where(objects, float(OBJECT), others)  # (B, N)
    boxes = ops.cast(y["boxes"], "float32")  # (B, M, 4)
    # Keras traces models on PyTorch with targets of ones, whatever M and K are
    rows = ops.minimum(ops.maximum(matches, 0), ops.shape(boxes)[1] - 1)  # (B, N)
    deltas = coder.encode(anchors, gather(boxes, rows), ops)  # (B, N, 4)
    labels = gather(ops.cast(y["labels"], "int32"), rows)[..., None]  # (B, N, 1)
    own = ops.equal(labels, ops.arange(num_classes, dtype="int32"))  # (B, N, K)
    labels = ops.cast(ops.logical_and(objects[..., None], own), "float32")
    return {"regression": with_state(deltas, state), "classification": with_state(labels, state)}


def with_state(values, state):
    """The targets (B, N, V + 1) of values (B, N, V) and state (B, N)."""
    return ops.concatenate([values, ops.cast(state, values.dtype)[..., None]], axis=-1)


def in_form_of(loss, scores, are_logits):
    """Scores (B, N, K) as logits or as probabilities, whichever `loss` takes."""
    wants_logits = getattr(loss, "from_logits", False)
    activation = getattr(loss, "activation", "sigmoid")
    if are_logits == wants_logits:
        return scores
    return LOGITS[activation](scores) if wants_logits else ACTIVATIONS[activation](scores)
