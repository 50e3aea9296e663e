"""The losses of batches, read once a second, and the end of a training that has diverged."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from ..errors import InputError
from ..utils.text import listed
from .progress import first_step

SECONDS = 1.0  # between two readings


class Diverged(InputError):
    """A loss that is NaN or infinite.

    Attributes:
        peak: the peak learning rate of the training.
        record: the batch: its epoch, number, images, learning rate and losses.
    """

    def __init__(self, sentence: str, peak: float, record: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.peak = peak
        self.record = record


class StopAtDivergence(keras.callbacks.Callback):
    """Read the losses once a second, and raise `Diverged` if one is NaN or infinite.

    A reading waits until the device has done its batches, so most batches are not read. No
    divergence is missed: a loss in the logs is the mean of the epoch so far, which stays NaN or
    infinite, and the last batch of an epoch is read. The losses of the batches since the last
    reading are kept, so the batch that is named is the first.

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

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)
        self.unread.clear()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.first + batch
        self.unread.append((step, logs or {}))
        now = time.monotonic()
        self.just_read = now - self.time >= SECONDS or step + 1 == self.steps
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
        self.unread.clear()

    def diverged(self, step: int, losses: dict[str, float]) -> Diverged:
        """Return the error that names the images of a batch."""
        images = self.images_of(self.epoch * self.steps + step)
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
        }
        return Diverged(
            f"The loss is {losses['loss']} since batch {step + 1} of epoch {self.epoch + 1}, with "
            f"the images {listed(images, 8)}, at the learning rate {rate:.3g}. Pass a lower lr, or "
            f"check these images and their boxes.{kept}",
            progress.get("peak_rate", rate),
            record,
        )


def read(logs: dict) -> dict[str, float]:
    """Return the losses of a batch, read from the device."""
    return {name: float(value) for name, value in logs.items()}
