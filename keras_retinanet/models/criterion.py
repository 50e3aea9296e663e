"""The criterion: turns targets and outputs of a training model into the inputs of each loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from ..boxes import iou
from ..coders import BoxCoder
from ..errors import InputError
from ..losses.reduction import IGNORE, OBJECT, OMITTED, split
from ..losses.sampling import Sampler
from ..losses.spec import Loss, LossSpec, spec_of
from ..typing import Tensor
from .heads import ACTIVATIONS
from .targets import dense_targets, in_form_of, with_state


@dataclass(frozen=True)
class Outputs:
    """The meaning of a model's raw outputs.

    Args:
        names: The outputs' names, in the model's order.
        coder: The box coder of the regression.
        activation: The function from the classification's logits to probabilities, a key of
            `ACTIVATIONS`.
        gives_logits: True if the classification gives logits while training.
        anchors_for: Maps the sides (H, W) of the images to the anchors (N, 4), px.
    """

    names: tuple[str, ...]
    coder: BoxCoder
    activation: str
    gives_logits: bool
    anchors_for: Callable


class Criterion:
    """The losses of a model's outputs and a sampler, checked against the model's heads.

    Args:
        outputs: The meaning of the model's outputs.
        losses: Losses by the name of their output.
        sampler: The sampler of anchors for the classification loss; None for all anchors.

    Raises:
        InputError: A loss or the sampler does not suit the heads.
    """

    def __init__(
        self, outputs: Outputs, losses: Mapping[str, Loss | None], sampler: Sampler | None = None
    ) -> None:
        self.outputs = outputs
        self.sampler = sampler
        self.specs = {name: spec_of(loss) for name, loss in losses.items() if loss is not None}
        if "classification" in self.specs:
            check_activation(self.specs["classification"], outputs)
        if "regression" in self.specs:
            check_coder(self.specs["regression"], outputs.coder)
        self.box_loss, self.class_loss = map(self.spec, ("regression", "classification"))
        if sampler and self.class_loss.each is None:
            raise InputError(
                f"The sampler {sampler.name} needs the loss of each anchor, and "
                f"{self.class_loss.name} does not give it; choose another classification loss."
            )
        self.compares_boxes = bool(
            self.box_loss.compares != "deltas"
            or self.class_loss.quality
            or "iou" in self.specs
            or sampler
        )

    def spec(self, name: str) -> LossSpec:
        """Return the spec of an output's loss, or a default spec if it has no loss."""
        return self.specs.get(name, LossSpec("none"))

    def compared(
        self, x: Tensor, y: Any, y_pred: Sequence[Tensor], training: bool
    ) -> tuple[list, list]:
        """Return (targets, predictions) of the outputs that have targets, in the model's order.

        Args:
            x: Images (B, H, W, 3).
            y: Compact targets {boxes (B, M, 4) px, labels (B, M), matches (B, N)}, or the dense
                (regression (B, N, 5), classification (B, N, K + 1), *others), in the model's order
                or by name.
            y_pred: The model's outputs.
            training: True if the outputs come from a training step.
        """
        predicted = dict(zip(self.outputs.names, y_pred, strict=True))
        scores = predicted["classification"]  # (B, N, K), logits or probabilities
        compact = isinstance(y, dict) and "matches" in y
        if compact or self.compares_boxes:
            anchors = self.outputs.anchors_for(ops.shape(x)[1:3])[None]  # (1, N, 4)
        if compact:
            true = dense_targets(y, self.outputs.coder, anchors, scores.shape[-1])
        else:
            true = dict(y) if isinstance(y, dict) else dict(zip(predicted, y, strict=False))
        as_logits = training and self.outputs.gives_logits
        for name in [name for name in ("classification", "iou") if name in predicted]:
            predicted[name] = in_form_of(self.spec(name), predicted[name], as_logits)
        if self.compares_boxes:
            if as_logits and self.box_loss.weighted_by_score:
                scores = ACTIVATIONS[self.outputs.activation](scores)
            self._compare_boxes(anchors, true, predicted, scores)
        for spec in self.specs.values():
            if spec.density is not None:
                spec.density.updating = training
        names = [name for name in predicted if name in true]
        return [true[name] for name in names], [predicted[name] for name in names]

    def _compare_boxes(self, anchors: Tensor, true: dict, predicted: dict, scores: Tensor) -> None:
        """Add the values that need decoded boxes to `true` and `predicted`.

        These are the IoU as label of the classification and as target of the output iou, the
        sampled anchors, the highest of `scores` (B, N, K) as weights, and boxes instead of deltas.
        """
        deltas, weight = split(ops.convert_to_tensor(true["regression"]))  # (B, N, 4), (B, N)
        labels, state = split(ops.convert_to_tensor(true["classification"]))  # (B, N, K), (B, N)
        raw = predicted["regression"]  # (B, N, V)
        decode = self.outputs.coder.decode
        matched, decoded = (decode(anchors, values, ops) for values in (deltas, raw))  # (B, N, 4)
        overlap = ops.stop_gradient(iou(decoded, matched, ops))[..., None]  # (B, N, 1)
        if "iou" in predicted:
            true["iou"] = with_state(overlap, weight)
        if self.class_loss.quality:
            labels = labels * overlap
        if self.sampler:
            each: Any = self.class_loss.each  # not None, which __init__ checks
            values = each(with_state(labels, state), predicted["classification"])
            left_out = ops.where(ops.equal(state, OBJECT), float(OMITTED), float(IGNORE))
            state = ops.where(self.sampler(values, state, decoded), state, left_out)  # (B, N)
        if self.box_loss.weighted_by_score:
            best = ops.stop_gradient(ops.max(scores, axis=-1))  # (B, N)
            weight = ops.where(weight > 0, best, weight)
        if self.box_loss.compares == "boxes":
            deltas, predicted["regression"] = matched, decoded
        elif self.box_loss.compares == "both":
            deltas = ops.concatenate([matched, deltas], axis=-1)  # (B, N, 8)
            predicted["regression"] = ops.concatenate([decoded, raw], axis=-1)  # (B, N, 4 + V)
        true["regression"] = with_state(deltas, weight)
        true["classification"] = with_state(labels, state)


def check_activation(loss: LossSpec, outputs: Outputs) -> None:
    """Raise an InputError if a classification loss and the head have different activations."""
    if outputs.gives_logits and loss.activation != outputs.activation:
        raise InputError(
            f"The classification loss {loss.name} needs a {loss.activation} head, and the model's "
            f"head is {outputs.activation}; choose a loss for {outputs.activation}."
        )


def check_coder(loss: LossSpec, coder: BoxCoder) -> None:
    """Raise an InputError if a box loss cannot compare the coder's values."""
    has_bins, name = coder.size > 4, coder.config["name"]
    if loss.needs_bins and not has_bins:
        raise InputError(
            f"The box loss {loss.name} needs a box coder with bins, and the model's coder is "
            f"{name}; choose another loss, or a coder such as distances with bins=16."
        )
    if has_bins and loss.compares == "deltas" and not loss.needs_bins:
        raise InputError(
            f"The box loss {loss.name} compares deltas, but the coder {name} with bins predicts "
            "distributions; choose a loss that compares boxes, such as giou, or a coder without "
            "bins."
        )
