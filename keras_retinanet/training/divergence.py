"""The losses of batches, read once a second, and the end of a training that has diverged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from ..utils.text import listed
from . import hosts
from .progress import first_step, sync_state

SECONDS = 1.0  # between two readings
COPYING = 0.01  # the share of time that copies of the weights may take


class Diverged(InputError):
    """A loss that is NaN or infinite.

    Attributes:
        peak: the peak learning rate of the training.
        record: the batch: its epoch, number, images and learning rate, and the means of the losses
            from the beginning of the epoch until then.
        step: the batch, counted over all epochs.
        weights: finite ones from before the batch; None if there are none.
    """

    def __init__(
        self,
        sentence: str,
        peak: float,
        record: dict[str, Any],
        step: int,
        weights: list[np.ndarray] | None,
    ) -> None:
        super().__init__(sentence)
        self.peak = peak
        self.record = record
        self.step = step
        self.weights = weights


class StopAtDivergence(keras.callbacks.Callback):
    """Read the losses once a second, and raise `Diverged` if one is NaN or infinite.

    A reading waits until the device has done its batches, so most batches are not read. No
    divergence is missed: a loss in the logs is the mean of the epoch so far, which stays NaN or
    infinite, and the last batch of an epoch is read. The losses of the batches since the last
    reading are kept, so the batch that is named is the first. With snapshots, a copy of the weights
    is kept from a reading that found them finite, to search for the layer that went first.

    Args:
        images_of: returns the paths of the images of a step, counted over all epochs.
        steps: the batches in an epoch.
        snapshot: the file of the last snapshot; None if the training saves none.

    Attributes:
        latest: the means of the losses that were read last.
        just_read: True if those are of this batch.
        took: the seconds that the reading took.
    """

    def __init__(
        self, images_of: Callable[[int], list[str]], steps: int, snapshot: str | None
    ) -> None:
        super().__init__()
        self.images_of = images_of
        self.steps = steps
        self.snapshot = snapshot
        self.epoch = self.first = 0
        self.unread: list[tuple[int, dict]] = []  # batches and their logs
        self.time = -math.inf  # of the latest reading
        self.latest: dict[str, float] = {}
        self.just_read = False
        self.took = 0.0
        self.weights: list[np.ndarray] | None = None
        self.batch_of_weights: str | None = None
        self.began, self.copying = time.monotonic(), 0.0  # a time, and the seconds spent on copies

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)
        self.unread.clear()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.first + batch
        self.unread.append((step, logs or {}))
        now = time.monotonic()
        due = now - self.time >= SECONDS
        if hosts.count() > 1:  # which have to read at the same step
            due = (step + 1) % hosts.STEPS == 0
        self.just_read = due or step + 1 == self.steps
        if self.just_read:
            self.read()
            self.time = time.monotonic()
            self.took = self.time - now

    def read(self) -> None:
        """Read the losses of the latest batch. Raises `Diverged` at the first that is no number."""
        self.latest = read(self.unread[-1][1])
        if not math.isfinite(self.latest.get("loss", 0.0)):
            for step, logs in self.unread:
                losses = read(logs)
                if not math.isfinite(losses["loss"]):
                    raise self.diverged(step, losses)
        self.keep_weights(self.unread[-1][0])
        self.unread.clear()

    def keep_weights(self, step: int) -> None:
        """Copy the weights if they are finite, unless copies take more than their share of time."""
        now = time.monotonic()
        if self.snapshot is None or self.copying > COPYING * (now - self.began):
            return
        sync_state(self.model)
        weights = [np.array(ops.convert_to_numpy(each.value)) for each in self.model.weights]
        if all(np.isfinite(each).all() for each in weights):
            self.weights = weights
            self.batch_of_weights = f"batch {step + 1} of epoch {self.epoch + 1}"
        self.copying += time.monotonic() - now

    def diverged(self, step: int, losses: dict[str, float]) -> Diverged:
        """Return the error that names the images of a batch."""
        total = self.epoch * self.steps + step
        images = self.images_of(total)
        sync_state(self.model)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        progress = self.model.progress
        saved = progress.get("epoch") or progress.get("step")
        kept = (
            f" {self.snapshot} holds the training before that." if self.snapshot and saved else ""
        )
        record = {
            "epoch": self.epoch + 1,
            "batch": step + 1,
            "images": images,
            "learning_rate": rate,
            "losses": {name: str(value) for name, value in losses.items()},
            "weights_after": self.batch_of_weights,
        }
        return Diverged(
            f"The loss is {losses['loss']} since batch {step + 1} of epoch {self.epoch + 1}, with "
            f"the images {listed(images, 8)}, at the learning rate {rate:.3g}. Pass a lower lr, or "
            f"check these images and their boxes.{kept}",
            progress.get("peak_rate", rate),
            record,
            total,
            self.weights,
        )


def read(logs: dict) -> dict[str, float]:
    """Return the losses of a batch, read from the device."""
    return {name: float(value) for name, value in logs.items()}
