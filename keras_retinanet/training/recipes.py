"""The learning rate, schedule and optimizer of a training."""

from __future__ import annotations

import math

import keras

# peak rate and weight decay at a batch of 8 and a pyramid of 64 features; chosen by experiment
RECIPES = {
    "pretrained": {"learning_rate": 1.4e-3, "weight_decay": 1e-4},
    "scratch": {"learning_rate": 4e-3, "weight_decay": 1e-4},
}
BATCH, WIDTH = 8, 64
WARMUP = 0.05  # of all batches, at most LONGEST_WARMUP updates
LONGEST_WARMUP = 1000


def peak_rate(start: str, batch_size: int, width: int) -> float:
    """Return the peak learning rate of a start, a key of `RECIPES`.

    It grows with the root of the batch size (Malladi et al. 2022, arXiv 2205.10287) and falls with
    the width (Yang et al. 2022, arXiv 2203.03466), as Adam's should.
    """
    return RECIPES[start]["learning_rate"] * math.sqrt(batch_size / BATCH) * WIDTH / width


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
    """Return AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on means of `accumulate` batches.

    `clipnorm` bounds the norm of all gradients together.
    """
    return keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        global_clipnorm=clipnorm,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
