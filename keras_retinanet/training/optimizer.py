"""The learning rate, schedule and optimizer of a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras

from ..errors import InputError
from .config import TrainConfig
from .progress import first_step

if TYPE_CHECKING:
    from ..models import RetinaNet

# peak rate and weight decay at a batch of 8 and a pyramid of 64 features; chosen by experiment
RECIPES = {
    "pretrained": {"learning_rate": 1.4e-3, "weight_decay": 1e-4},
    "scratch": {"learning_rate": 4e-3, "weight_decay": 1e-4},
}
BATCH, WIDTH = 8, 64
WARMUP = 0.05  # of all batches, at most LONGEST_WARMUP updates
LONGEST_WARMUP = 1000


def recipe_of(model: RetinaNet) -> dict[str, float]:
    """Return the entry of `RECIPES` for the weights that a model's training began with."""
    return RECIPES[model.progress.get("start", "pretrained")]


def peak_rate(config: TrainConfig, model: RetinaNet) -> float:
    """Return the peak learning rate: `config.lr`, or the recipe's.

    The recipe's grows with the root of the batch size (Malladi et al. 2022, arXiv 2205.10287) and
    falls with the width (Yang et al. 2022, arXiv 2203.03466), as Adam's should.
    """
    if config.lr:
        return config.lr
    width = model.get_layer(f"P{model.pyramid_levels[0]}").output.shape[-1]
    batch = config.batch_size * config.accumulate
    return recipe_of(model)["learning_rate"] * math.sqrt(batch / BATCH) * WIDTH / width


def cosine(
    peak: float, batches: int, accumulate: int = 1
) -> keras.optimizers.schedules.CosineDecay:
    """Return a linear warm-up to `peak`, then half a cosine to 0, over `batches`.

    Keras reads a schedule at the number of batches, also when an update takes `accumulate` of them.
    """
    warmup = min(round(WARMUP * batches), LONGEST_WARMUP * accumulate)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, batches - warmup), warmup_target=peak, warmup_steps=warmup
    )


def adamw(
    rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float,
    clipnorm: float | None = None,
    accumulate: int = 1,
) -> keras.optimizers.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on gradients averaged over
    `accumulate` batches.

    `clipnorm` bounds the norm of all gradients together.
    """
    return keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        global_clipnorm=clipnorm,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )


def make_optimizer(
    config: TrainConfig, model: RetinaNet, steps: int, first: int
) -> keras.optimizers.Optimizer:
    """Return the optimizer to train with from epoch `first` on; an epoch has `steps` batches.

    A snapshot keeps its optimizer's state, unless it has a schedule and the config wants none.

    Raises:
        InputError: when a snapshot accumulates another number of batches.
    """
    rate = peak_rate(config, model)
    if config.reduce_lr_patience is None:
        rate = cosine(rate, config.epochs * steps, config.accumulate)
    if model.compiled:  # a snapshot
        optimizer = model.optimizer
        held = optimizer.gradient_accumulation_steps or 1
        if held != config.accumulate:
            raise InputError(
                f"accumulate must be {held} as in {config.snapshot}, got {config.accumulate}."
            )
        if config.reduce_lr_patience is None:
            optimizer.learning_rate = rate
            # where the schedule of this run is, should its steps differ from the snapshot's
            done = first * steps + first_step(model, first, steps)
            next(v for v in optimizer.variables if v.name == "iteration").assign(done)
            return optimizer
        if isinstance(optimizer.get_config()["learning_rate"], float):
            if config.lr:  # else it keeps the reduced rate
                optimizer.learning_rate = config.lr
            return optimizer
    decay = recipe_of(model)["weight_decay"]
    decay = decay if config.weight_decay is None else config.weight_decay
    return adamw(rate, decay, config.optimizer_clipnorm, config.accumulate)
