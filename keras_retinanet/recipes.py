"""What to train with: learning rate, schedule and optimizer."""

import math

import keras

# peak rate and weight decay at a batch of 8 and a pyramid of 64 features; chosen by experiment
RECIPES = {
    "pretrained": {"learning_rate": 1.4e-3, "weight_decay": 1e-4},
    "scratch": {"learning_rate": 4e-3, "weight_decay": 1e-4},
}
BATCH, WIDTH = 8, 64
WARMUP = 0.05  # of all steps, at most LONGEST_WARMUP
LONGEST_WARMUP = 1000


def peak_rate(start, batch_size, width):
    """The peak learning rate of a start, a key of `RECIPES`.

    It grows with the root of the batch size (Malladi et al. 2022, arXiv 2205.10287) and falls with
    the width (Yang et al. 2022, arXiv 2203.03466), as Adam's should.
    """
    return RECIPES[start]["learning_rate"] * math.sqrt(batch_size / BATCH) * WIDTH / width


def cosine(peak, steps):
    """A linear warm-up to `peak`, then half a cosine to 0, over `steps` updates."""
    warmup = min(round(WARMUP * steps), LONGEST_WARMUP)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=peak, warmup_steps=warmup
    )


def adamw(rate, weight_decay, clipnorm=None, accumulate=1):
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) on the mean of `accumulate` batches.

    `rate` is a number or a schedule; `clipnorm` bounds the norm of all gradients together.
    """
    return keras.optimizers.AdamW(
        rate,
        weight_decay=weight_decay,
        global_clipnorm=clipnorm,
        gradient_accumulation_steps=accumulate if accumulate > 1 else None,
    )
