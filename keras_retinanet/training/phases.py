"""The loss phases of a training: losses and sampler until an epoch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..choices import INVERSE_FREQUENCY, check_values
from ..errors import InputError
from .config import TrainConfig

if TYPE_CHECKING:
    import keras

    from ..models import RetinaNet
    from ..preprocessing.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class LossPhase:
    """Losses, as dicts by output, and the sampler that a model trains with until an epoch.

    `until` is None for the end of the training.
    """

    loss: dict[str, dict]
    sampler: dict | None = None
    until: int | None = None

    def made(self) -> tuple[dict[str, Callable], Callable | None]:
        """Return the loss closures by output, and the sampler."""
        from .. import losses
        from ..losses import sampling

        closures = {output: losses.get(config) for output, config in self.loss.items()}
        return closures, sampling.get(self.sampler)

    def compile(self, model: RetinaNet, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile the model for this phase, unless it is already: the optimizer keeps its state."""
        if model.compiled and model.optimizer is optimizer:
            held = model.get_compile_config()
            if held.get("loss") == self.loss and held.get("sampler") == self.sampler:
                return
        model.compile(optimizer, *self.made())


def phases_of(config: TrainConfig, model: RetinaNet, train: Dataset) -> list[LossPhase]:
    """Return the loss phases that the options ask for; a snapshot keeps those that it has."""
    if "stages" in model.progress:
        return [
            LossPhase(stage["loss"], stage.get("sampler", stage.get("selector")), stage["until"])
            for stage in model.progress["stages"]
        ]
    if model.compiled:
        held = model.get_compile_config()
        return [LossPhase(held["loss"], held["sampler"])]
    main = planned(config, config.classification_loss, train)
    if config.warmup_loss is None:
        return [main]
    if config.warmup_loss_epochs >= config.epochs:
        print(
            f"The warm-up loss lasts for all {config.epochs} epochs; a later run goes on with "
            f"{config.classification_loss['name']}."
        )
    warmup = planned(config, config.warmup_loss, train)
    return [dataclasses.replace(warmup, until=config.warmup_loss_epochs), main]


def planned(config: TrainConfig, classification: dict, train: Dataset) -> LossPhase:
    """Return the phase of a classification loss, with every argument of its losses written out.

    Raises:
        InputError: for arguments that a loss or the sampler does not take.
    """
    from .. import losses
    from ..losses import sampling

    alpha = classification.get("alpha")
    if alpha == INVERSE_FREQUENCY:
        classification = {**classification, "alpha": inverse_frequencies(train)}
    elif isinstance(alpha, (list, tuple)) and len(alpha) != train.num_classes:
        raise InputError(
            f"{classification['name']}: alpha must be a number, or one for each of the "
            f"{train.num_classes} classes, got {alpha}."
        )
    classification = {**classification, "from_logits": True}
    chosen = {"regression": config.box_loss, "classification": classification}
    if config.iou_branch:
        chosen["iou"] = {"name": "iou_entropy", "from_logits": True}
    loss = {output: closure_of(each, losses.get).spec.config for output, each in chosen.items()}
    sampler = config.sampler and closure_of(config.sampler, sampling.get).config
    return LossPhase(loss, sampler)


def inverse_frequencies(dataset: Dataset) -> list[float]:
    """Return the `alpha` of each class by the inverse frequency of its boxes: (K,)."""
    import numpy as np

    from ..losses.classification import inverse_frequency

    labels = np.concatenate([record.labels[~record.ignore] for record in dataset.records])
    return inverse_frequency(np.bincount(labels, minlength=len(dataset.class_names)))


def without_data(classification: dict) -> dict:
    """Return a classification loss without an alpha that depends on the data."""
    depends = classification.get("alpha") == INVERSE_FREQUENCY
    kept = {key: v for key, v in classification.items() if not (depends and key == "alpha")}
    return {**kept, "from_logits": True}


def closure_of(config: dict, get: Callable[[dict], Any]) -> Any:
    """Return the closure that `get` makes of a config; InputError for arguments that do not fit."""
    check_values(config)
    try:
        return get(config)
    except (TypeError, ValueError, ArithmeticError) as error:
        unknown = re.search(r"unexpected keyword argument ('\w+')", str(error))
        reason = f"unknown argument {unknown[1]}" if unknown else error
        raise InputError(f"{config['name']}: {reason}") from None
