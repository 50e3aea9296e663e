"""The epochs of a training, from the batch on at which an earlier run ended."""

from __future__ import annotations

from typing import Any

import keras

from ..models import RetinaNet
from ..preprocessing.loader import Loader
from .config import TrainConfig
from .progress import first_step, restore_metrics

Callbacks = list[keras.callbacks.Callback]


class Unread(keras.callbacks.CallbackList):
    """Callbacks that get the logs of a batch as arrays of the backend.

    Keras reads them after each batch, and so waits each time until the device has done it.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs)


def fit_epochs(
    config: TrainConfig,
    model: RetinaNet,
    training: Loader,
    validation: Loader | None,
    epochs: range,
    steps: int,
    callbacks: Callbacks,
) -> None:
    """Train for some epochs, and raise an InputError of the loading threads as it was."""
    how = {"workers": config.workers, "ahead": config.max_queue_size}
    validating: dict[str, Any] = {}  # arguments of `fit`
    if config.compute_val_loss and validation:
        validating = {
            "validation_data": validation.stream(**how),
            "validation_steps": len(validation),
        }
    try:
        for part, done in parts(epochs, first_step(model, epochs.start, steps)):
            if done == steps:
                end_epoch(model, part.start, epochs.stop, steps, callbacks, validating)
            elif part and not model.stop_training:
                batches = training.stream(part.start * steps + done, **how)
                resuming = [RestoreMetrics()] if done else []
                fit(model, batches, steps - done, part, [*resuming, *callbacks], validating)
    except Exception:
        failure = training.failure or (validation and validation.failure)
        if failure:
            raise failure from None
        raise


def parts(epochs: range, done: int) -> list[tuple[range, int]]:
    """Return the epochs in parts, each with the batches of its first epoch that are done."""
    if not done:
        return [(epochs, 0)]
    second = epochs.start + 1
    return [(range(epochs.start, second), done), (range(second, epochs.stop), 0)]


def fit(
    model: RetinaNet,
    batches: Any,
    steps: int,
    epochs: range,
    callbacks: Callbacks,
    validating: dict[str, Any],
) -> None:
    """Train for some epochs of `steps` batches."""
    called = Unread(callbacks, add_history=True, model=model, epochs=epochs.stop, steps=steps)
    model.fit(
        batches,
        steps_per_epoch=steps,
        epochs=epochs.stop,
        initial_epoch=epochs.start,
        shuffle=False,
        verbose=0,
        callbacks=called,
        **validating,
    )


def end_epoch(
    model: RetinaNet,
    epoch: int,
    epochs: int,
    steps: int,
    callbacks: Callbacks,
    validating: dict[str, Any],
) -> None:
    """End an epoch whose batches are done as `fit` does: validate, and call the callbacks."""
    every = Unread([RestoreMetrics(), *callbacks], model=model, epochs=epochs, steps=steps)
    every.on_train_begin()
    every.on_epoch_begin(epoch)
    logs = {name: float(value) for name, value in model.get_metrics_result().items()}
    if validating:
        data, steps = validating.values()
        values = model.evaluate(data, steps=steps, verbose=0, return_dict=True)
        logs.update((f"val_{name}", value) for name, value in values.items())
    every.on_epoch_end(epoch, logs)
    every.on_train_end(logs)


class RestoreMetrics(keras.callbacks.Callback):
    """Begin an epoch with the sums of its batches that are done."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        restore_metrics(self.model)
