"""Targets and scores in the form that the losses take."""

from __future__ import annotations

from keras import ops

from ..coders import BoxCoder
from ..losses.classification import LOGITS
from ..losses.reduction import BACKGROUND, IGNORE, OBJECT
from ..losses.spec import LossSpec
from ..nms import gather
from ..typing import Tensor
from .heads import ACTIVATIONS


def dense_targets(y: dict, coder: BoxCoder, anchors: Tensor, num_classes: int) -> dict:
    """Expand compact targets to {regression (B, N, 5), classification (B, N, K + 1)}.

    Args:
        y: {boxes (B, M, 4) px, labels (B, M), matches (B, N)}, matches as `assigners` give them.
        coder: The box coder of the regression.
        anchors: Boxes (1, N, 4) px.
        num_classes: K, which may exceed the largest label + 1.
    """
    matches = ops.cast(y["matches"], "int32")  # (B, N)
    objects = matches >= 0
    others = ops.where(ops.equal(matches, -1), float(BACKGROUND), float(IGNORE))
    state = ops.where(objects, float(OBJECT), others)  # (B, N)
    boxes = ops.cast(y["boxes"], "float32")  # (B, M, 4)
    # Keras traces models on PyTorch with targets of ones, for any M and K
    rows = ops.minimum(ops.maximum(matches, 0), ops.shape(boxes)[1] - 1)  # (B, N)
    deltas = coder.encode(anchors, gather(boxes, rows), ops)  # (B, N, 4)
    labels = gather(ops.cast(y["labels"], "int32"), rows)[..., None]  # (B, N, 1)
    own = ops.equal(labels, ops.arange(num_classes, dtype="int32"))  # (B, N, K)
    labels = ops.cast(ops.logical_and(objects[..., None], own), "float32")
    return {"regression": with_state(deltas, state), "classification": with_state(labels, state)}


def with_state(values: Tensor, state: Tensor) -> Tensor:
    """Append the state (B, N) to values (B, N, V) as their last column: (B, N, V + 1)."""
    return ops.concatenate([values, ops.cast(state, values.dtype)[..., None]], axis=-1)


def in_form_of(spec: LossSpec, scores: Tensor, are_logits: bool) -> Tensor:
    """Return scores (B, N, K) as logits or as probabilities, whichever the loss takes."""
    if are_logits == spec.from_logits:
        return scores
    return (LOGITS if spec.from_logits else ACTIVATIONS)[spec.activation](scores)
