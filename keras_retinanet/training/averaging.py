"""The moving average of a model's weights: what is evaluated, saved and returned.

Between batches a training swaps the averages into the model, and back to go on. A snapshot so holds
the averages as its weights, and the weights that were trained in its optimizer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from ..optimizers import ByVariable, unscaled
from .progress import sync_state


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give a model the averages of its weights inside the block."""
    swap_averages(model)
    try:
        yield
    finally:
        swap_averages(model)


def swap_averages(model: keras.Model) -> None:
    """Exchange a model's weights and their averages, if its optimizer keeps averages."""
    optimizer = unscaled(getattr(model, "optimizer", None))
    if not isinstance(optimizer, ByVariable) or optimizer.average is None:
        return
    if not optimizer.built or int(optimizer.iterations) == 0:  # there are no averages yet
        return
    sync_state(model)
    averages = optimizer._model_variables_moving_average
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        # JAX's arrays do not change, and on several hosts no single one can copy them
        held = weight.value if hasattr(model, "jax_state_sync") else ops.copy(weight.value)
        weight.assign(average.value)
        average.assign(held)
