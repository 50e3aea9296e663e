"""Where a training is within an epoch: what a snapshot keeps so that a run goes on exactly.

`RetinaNet.progress` is saved with the model. It has {"epoch": epochs that are done, "step": batches
of the next one that are done, "best", "metrics", "seeds", ...}.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..models import RetinaNet


def first_step(model: RetinaNet, epoch: int, steps: int) -> int:
    """Return the batches of an epoch that are done before the run begins."""
    if model.progress.get("epoch", 0) != epoch:
        return 0
    return min(model.progress.get("step", 0), steps)


def is_finished(model: RetinaNet, epochs: int) -> bool:
    """Return True if a training of `epochs` has nothing left to do."""
    return model.progress.get("epoch", 0) >= epochs or model.progress.get("finished", False)


def state_of(model: keras.Model) -> dict[str, list]:
    """Return the sums of the metrics and the states of the random generators as plain values."""
    sync_state(model)
    return {"metrics": values_of(model.metrics_variables), "seeds": values_of(seeds(model))}


def sync_state(model: keras.Model) -> None:
    """Give the variables of a model their values, which JAX's `fit` keeps elsewhere."""
    if hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


def restore_metrics(model: RetinaNet) -> None:
    """Set the metrics to the sums in `progress`, so that the epoch's means are those of all."""
    assign(model.metrics_variables, model.progress.get("metrics"))


def restore_seeds(model: RetinaNet) -> None:
    """Set the random generators of dropout to their states in `progress`."""
    assign(seeds(model), model.progress.get("seeds"))


def seeds(model: keras.Model) -> list[Any]:
    """Return the variables of the random generators of all layers; `weights` leaves them out."""
    known = {id(variable) for variable in (*model.weights, *model.metrics_variables)}
    return [variable for variable in model.variables if id(variable) not in known]


def values_of(variables: list[Any]) -> list:
    """Return the values of variables as numbers and lists of them."""
    return [keras.ops.convert_to_numpy(variable.value).tolist() for variable in variables]


def assign(variables: list[Any], values: list | None) -> None:
    """Give variables the `values_of` others, unless there are none, or of another model."""
    if values is None or [np.shape(value) for value in values] != [v.shape for v in variables]:
        return
    for variable, value in zip(variables, values, strict=True):
        variable.assign(np.asarray(value, variable.dtype))
