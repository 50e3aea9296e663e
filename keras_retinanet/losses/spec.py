"""The description that each loss carries as `loss.spec`, and its defaults for a user's function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import keras

Loss = Callable[[Any, Any], Any]  # (y_true, y_pred) -> scalar

Comparison = Literal["deltas", "boxes", "both"]
Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class LossSpec:
    """The inputs and needs of a loss `(y_true, y_pred)`.

    The defaults describe a function without a spec: as a classification loss it gets
    probabilities of a sigmoid, as a box loss encoded targets and the raw regression.

    Args:
        name: The name in `losses.LOSSES`, or of the user's function.
        arguments: The arguments from which `losses.get` rebuilds the loss; None if it cannot.
        compares: The inputs of a box loss: "deltas" (encoded targets and the raw regression),
            "boxes" (matched and decoded boxes, xyxy px) or "both", boxes and deltas side by side.
        from_logits: True if a classification loss gets logits, False if it gets probabilities.
        activation: The function from logits to probabilities, which the head must share.
        quality: True to replace the label's 1 by the IoU of the decoded box with its object.
        weighted_by_score: True to weight each object by its highest score.
        needs_bins: True if a box loss works only with a coder of distributions over bins.
        density: The layer that holds the loss's state between batches, tracked by the model.
        each: The loss of every anchor, (y_true, y_pred) -> (B, N), which samplers rank anchors by.
    """

    name: str
    arguments: Mapping[str, Any] | None = None
    compares: Comparison = "deltas"
    from_logits: bool = False
    activation: Activation = "sigmoid"
    quality: bool = False
    weighted_by_score: bool = False
    needs_bins: bool = False
    density: keras.layers.Layer | None = None
    each: Loss | None = None

    def __post_init__(self) -> None:
        if self.compares not in (known := get_args(Comparison)):
            raise ValueError(f"compares must be one of {', '.join(known)}, got {self.compares!r}.")

    @property
    def config(self) -> dict[str, Any] | None:
        """The dict {"name": ..., **arguments} for `losses.get`; None for a user's function."""
        return None if self.arguments is None else {"name": self.name, **self.arguments}


def with_spec(loss: Loss, spec: LossSpec) -> Loss:
    """Return the loss with its spec as `loss.spec`."""
    loss.spec = spec  # type: ignore[attr-defined]  # functions take any attribute
    return loss


def spec_of(loss: Loss | str | None) -> LossSpec:
    """Return the spec of a loss, or the defaults of `LossSpec` if the loss has no spec."""
    spec = getattr(loss, "spec", None)
    if isinstance(spec, LossSpec):
        return spec
    return LossSpec(loss if isinstance(loss, str) else getattr(loss, "__name__", repr(loss)))
