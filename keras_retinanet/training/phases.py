"""The loss phases of a training: losses and sampler until an epoch."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .. import losses
from ..choices import INVERSE_FREQUENCY, LOSSES, SAMPLERS, check_values, lookup
from ..errors import InputError
from ..losses import sampling
from ..losses.classification import inverse_frequency
from ..losses.spec import Loss
from ..models import RetinaNet
from ..preprocessing.dataset import Dataset
from .config import TrainConfig

LOGITS = "from_logits"  # an argument of losses that no user gives


@dataclasses.dataclass(frozen=True)
class LossPhase:
    """Losses, as dicts by output, and the sampler that a model trains with until an epoch.

    `until` is None for the end of the training.
    """

    loss: dict[str, dict]
    sampler: dict | None = None
    until: int | None = None

    def made(self) -> tuple[dict[str, Loss], sampling.Sampler | None]:
        """Return the loss closures by output, and the sampler."""
        closures = {output: losses.get(config) for output, config in self.loss.items()}
        return closures, sampling.get(self.sampler)

    def compile(
        self, model: RetinaNet, optimizer: keras.optimizers.Optimizer, jit: bool | None = None
    ) -> None:
        """Compile the model for this phase, unless it is already: the optimizer keeps its state.

        `jit` compiles the step with XLA; None leaves the choice to Keras.
        """
        if model.compiled and model.optimizer is optimizer and jit is None:
            held = model.get_compile_config()
            if held.get("loss") == self.loss and held.get("sampler") == self.sampler:
                return
        model.compile(optimizer, *self.made(), jit_compile="auto" if jit is None else jit)


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


def planned(config: TrainConfig, classification: dict, train: Dataset | None = None) -> LossPhase:
    """Return the phase of a classification loss, with every argument of its losses written out.

    Without `train`, an alpha that depends on the data set has the loss's default.

    Raises:
        InputError: for arguments that a loss or the sampler does not take.
    """
    chosen = {"regression": config.box_loss, "classification": with_alpha(classification, train)}
    if config.iou_branch:
        chosen["iou"] = {"name": "iou_entropy", LOGITS: True}
    loss = {output: closure_of(each, losses.get).spec.config for output, each in chosen.items()}
    sampler = config.sampler and closure_of(config.sampler, sampling.get).config
    return LossPhase(loss, sampler)


def with_alpha(classification: dict, train: Dataset | None = None) -> dict:
    """Return a classification loss on logits, with the alpha of a data set if it asks for one.

    Without `train`, such an alpha is left out.
    """
    chosen = {**classification, LOGITS: True}
    alpha = chosen.get("alpha")
    if alpha == INVERSE_FREQUENCY:
        del chosen["alpha"]
        if train is not None:
            labels = np.concatenate([record.labels[~record.ignore] for record in train.records])
            counts = np.bincount(labels, minlength=train.num_classes)
            chosen["alpha"] = inverse_frequency(counts)
    elif train is not None and isinstance(alpha, (list, tuple)) and len(alpha) != train.num_classes:
        raise InputError(
            f"{chosen['name']}: alpha must be a number, or one for each of the "
            f"{train.num_classes} classes, got {alpha}."
        )
    return chosen


def closure_of(config: dict, get: Callable[[dict], Any]) -> Any:
    """Return the closure that `get` builds from a config; InputError for unsuitable arguments."""
    check_values(config)
    try:
        return get(config)
    except (TypeError, ValueError, ArithmeticError) as error:
        reason = str(error)
        if unknown := re.search(r"unexpected keyword argument ('\w+')", reason):
            function, _ = lookup({**LOSSES, **SAMPLERS}, config["name"], "loss or sampler")
            known = [name for name in inspect.signature(function).parameters if name != LOGITS]
            reason = f"unknown argument {unknown[1]}; known: {', '.join(known)}."
        raise InputError(f"{config['name']}: {reason}") from None
