"""What a training that diverged leaves in its folder: the batch, and the layer that went first."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from ..models import RetinaNet
from ..preprocessing.loader import Batch, Loader
from ..typing import Tensor
from ..utils.outputs import replacing, write_text
from .divergence import Diverged
from .run_folder import RunFolder


@contextlib.contextmanager
def divergence_recorded(
    folder: RunFolder | None, model: RetinaNet, training: Loader
) -> Iterator[None]:
    """Write the batch at which the block diverges into the run's folder, and raise its error.

    The model is left with weights that are of no use.
    """
    try:
        yield
    except Diverged as error:
        if folder:
            images, targets = training.batch_at(error.step)
            held: dict[str, Any] = {"images": images, "names": error.record["images"], **targets}
            with replacing(folder.diverged_batch) as part:
                np.savez_compressed(part, **held)
            error.record |= first_failure(model, error.weights, (images, targets))
            write_text(folder.divergence, json.dumps(error.record, indent=2) + "\n")
        raise


def first_failure(
    model: RetinaNet, weights: list[np.ndarray] | None, batch: Batch
) -> dict[str, str | None]:
    """Return what is first not finite when a model trains on a batch.

    Args:
        weights: the last ones that are known to be finite; None if there are none.

    Returns:
        "layer", the path of the first layer whose output is not finite, or "images". If all are
        finite, "gradient", the variable nearest to the losses whose gradient is not finite. Both
        are None if nothing fails, such as with weights from a few batches before.
    """
    found: dict[str, str | None] = {"layer": None, "gradient": None}
    images, targets = batch
    if not np.isfinite(images).all():
        return {**found, "layer": "images"}
    if weights is None:
        return found
    model.set_weights(weights)
    try:
        found["layer"] = failing_layer(model, images)
        if found["layer"] is None:
            found["gradient"] = failing_gradient(model, images, targets)
    except Exception as error:  # such as memory that is full: the other findings still count
        found["search_failed"] = f"{type(error).__name__}: {error}"
    return found


def failing_layer(model: RetinaNet, images: np.ndarray) -> str | None:
    """Return the path of the first layer whose output is not finite, None if all are."""
    failed: list[str] = []

    def watched(layer: keras.layers.Layer) -> Any:
        call = layer.call

        def watch(*args: Any, **kwargs: Any) -> Any:
            outputs = call(*args, **kwargs)
            if not failed and not all(map(is_finite, keras.tree.flatten(outputs))):
                failed.append(layer.path or layer.name)
            return outputs

        return watch

    layers = list(model._flatten_layers(include_self=False))
    for layer in layers:
        layer.call = watched(layer)
    try:
        model(images, training=True)
    finally:
        for layer in layers:
            del layer.call  # and the method of the class is there again
    return failed[0] if failed else None


def is_finite(value: Tensor) -> bool:
    if "float" not in keras.backend.standardize_dtype(value.dtype):
        return True
    return bool(ops.convert_to_numpy(ops.all(ops.isfinite(value))))


def failing_gradient(
    model: RetinaNet, images: np.ndarray, targets: dict[str, np.ndarray]
) -> str | None:
    """Return the path of the variable nearest to the losses whose gradient is not finite.

    The model is compiled again, and its variables become their gradients.
    """
    model.recompile(Gradients(learning_rate=0.0), run_eagerly=True)
    model.train_on_batch(images, targets)
    for variable in reversed(model.trainable_variables):
        if not is_finite(variable.value):
            return variable.path
    return None


class Gradients(keras.optimizers.Optimizer):
    """Set each variable to its gradient."""

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        self.assign(variable, ops.cast(gradient, variable.dtype))
