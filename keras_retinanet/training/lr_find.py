"""The learning rate range test: train a copy at rising rates, and see where the loss falls most."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..models import RetinaNet
from ..optimizers import unscaled
from ..preprocessing.loader import Loader
from .config import TrainConfig
from .optimizer import new_optimizer
from .overfit import twin_of
from .phases import LossPhase

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
MEMORY = 0.9  # of the moving average that smooths the losses
RISEN = 2.0  # times the lowest loss: the test ends


def find_rate(model: RetinaNet, training: Loader, phase: LossPhase, config: TrainConfig) -> float:
    """Return the learning rate at which the loss falls most steeply, and print it.

    A copy of the model trains on a batch at each of `STEPS` rates from `LOWEST` to `HIGHEST`, with
    the optimizer of the training. Smith 2017, arXiv 1506.01186.

    Raises:
        InputError: the loss falls at no rate.
    """
    print(f"looking for a learning rate in {STEPS} steps ...", flush=True)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    losses = losses_at(rates, model, training, phase, config)
    rate = steepest(rates, losses)
    if rate is None:
        raise InputError("lr_find: the loss falls at no rate; look at the data with preflight.")
    end = rates[len(losses) - 1]
    print(f"lr {rate:.2g}, where the loss falls most steeply; the test ended at {end:.2g}")
    return rate


def losses_at(
    rates: np.ndarray, model: RetinaNet, training: Loader, phase: LossPhase, config: TrainConfig
) -> np.ndarray:
    """Return the smoothed loss at each rate, up to the first that has `RISEN` or is no number."""
    twin = twin_of(model)
    plain = replace(config, average=None, accumulate=1)
    optimizer = new_optimizer(plain, float(rates[0]), twin)
    twin.compile(optimizer, *phase.made())
    found: list[float] = []
    average = 0.0
    for step, rate in enumerate(rates):
        unscaled(optimizer).learning_rate = float(rate)
        twin.reset_metrics()
        values = twin.train_on_batch(*training.batch_at(step), return_dict=True)
        average = MEMORY * average + (1 - MEMORY) * float(values["loss"])
        found.append(average / (1 - MEMORY ** (step + 1)))
        if not np.isfinite(found[-1]) or found[-1] > RISEN * min(found):
            break
    return np.array(found)


def steepest(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """Return the rate (n,) at which the losses (m,) fall most by log rate, None if they do not."""
    finite = losses[np.isfinite(losses)]
    if len(finite) < 2:
        return None
    falling = finite[: np.argmin(finite) + 1]
    if len(falling) < 2:
        return None
    slopes = np.gradient(falling, np.log(rates[: len(falling)]))
    return float(rates[np.argmin(slopes)])
