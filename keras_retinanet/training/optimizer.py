"""The learning rate, schedule and optimizer of a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras

from ..errors import InputError
from ..optimizers import OPTIMIZERS, WarmupSchedule, unscaled
from ..weights.transfer import backbone_of
from .averaging import swap_averages
from .config import TrainConfig
from .progress import first_step

if TYPE_CHECKING:
    from ..models import RetinaNet

# AdamW's peak rate by start, at a batch of 8 and a pyramid of 64 features; chosen by experiment
ADAMW_RATES = {"pretrained": 1.4e-3, "scratch": 4e-3}
BATCH, WIDTH = 8, 64
SGD_RATE, SGD_BATCH = 0.01, 16  # Lin et al. 2017, arXiv 1708.02002
WEIGHT_DECAY = 1e-4
WARMUP = 0.05  # of all batches, at most LONGEST_WARMUP updates
LONGEST_WARMUP = 1000


def peak_rate(config: TrainConfig, model: RetinaNet) -> float:
    """Return the peak learning rate: given, found, or the one that suits optimizer and batch.

    SGD's grows with the batch size (Goyal et al. 2017, arXiv 1706.02677). AdamW's grows with its
    root (Malladi et al. 2022, arXiv 2205.10287) and falls with the pyramid's width (Yang et al.
    2022, arXiv 2203.03466).
    """
    if config.lr:
        return config.lr
    if config.lr_find:
        return model.progress["peak_rate"]
    batch = (config.batch_size or 1) * config.accumulate
    if config.optimizer == "sgd":
        return SGD_RATE * batch / SGD_BATCH
    width = model.get_layer(f"P{model.pyramid_levels[0]}").output.shape[-1]
    rate = ADAMW_RATES[model.progress.get("start", "pretrained")]
    return rate * math.sqrt(batch / BATCH) * WIDTH / width


def schedule_of(config: TrainConfig, peak: float, batches: int) -> WarmupSchedule | float:
    """Return the learning rate over all `batches`, a number if it falls on a plateau of AP.

    Keras reads a schedule at the number of batches, also when an update takes several of them.
    """
    if config.kind_of_schedule == "plateau":
        return peak
    warmup = min(round(WARMUP * batches), LONGEST_WARMUP * config.accumulate)
    if config.warmup_steps is not None:
        warmup = min(config.warmup_steps * config.accumulate, batches)
    return WarmupSchedule(config.kind_of_schedule, peak, batches, warmup, config.final_lr)


def new_optimizer(
    config: TrainConfig, rate: WarmupSchedule | float, model: RetinaNet
) -> keras.optimizers.Optimizer:
    """Return an optimizer that has not trained yet, with the rate times the loss's scale where
    the model calculates in float16."""
    slower = []
    if config.backbone_lr_factor != 1:
        slower = [variable.path for variable in backbone_of(model).trainable_variables]
    momentum = {"momentum": config.momentum} if config.optimizer == "sgd" else {}
    optimizer = OPTIMIZERS[config.optimizer](
        rate,
        **momentum,
        weight_decay=WEIGHT_DECAY if config.weight_decay is None else config.weight_decay,
        global_clipnorm=config.optimizer_clipnorm,
        gradient_accumulation_steps=config.accumulate if config.accumulate > 1 else None,
        slower=slower,
        slower_factor=config.backbone_lr_factor,
        average=config.average,
    )
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def make_optimizer(
    config: TrainConfig, model: RetinaNet, steps: int, first: int
) -> keras.optimizers.Optimizer:
    """Return the optimizer to train with from epoch `first` on; an epoch has `steps` batches.

    A snapshot keeps its optimizer's state, unless it has a schedule and the config wants none.

    Raises:
        InputError: when a snapshot accumulates another number of batches.
    """
    peak = peak_rate(config, model)
    rate = schedule_of(config, peak, config.epochs * steps)
    same = peak == model.progress.get("peak_rate", peak if not config.lr else None)
    model.progress = {**model.progress, "peak_rate": peak}
    if not model.compiled:
        return new_optimizer(config, rate, model)
    optimizer = unscaled(model.optimizer)
    held = optimizer.gradient_accumulation_steps or 1
    if held != config.accumulate:
        raise InputError(
            f"accumulate must be {held} as in {config.snapshot}, got {config.accumulate}."
        )
    constant = isinstance(optimizer.get_config()["learning_rate"], float)
    if isinstance(rate, float) and not constant:
        return new_optimizer(config, rate, model)
    if not isinstance(rate, float):
        # where the schedule of this run is, should its steps differ from the snapshot's
        done = first * steps + first_step(model, first, steps)
        next(v for v in optimizer.variables if v.name == "iteration").assign(done)
    if not (constant and same):  # else it keeps the reduced rate
        optimizer.learning_rate = rate
    swap_averages(model)
    return model.optimizer
