"""The end of a training whose loss is no number any more."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from ..errors import InputError
from ..utils.text import listed
from .progress import first_step


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
    """Raise `Diverged` at the first batch whose loss is NaN or infinite, and name its images.

    Args:
        images_of: returns the paths of the images of a step, counted over all epochs.
        steps: the batches in an epoch.
        snapshot: the file of the last snapshot; None if the training saves none.
    """

    def __init__(
        self, images_of: Callable[[int], list[str]], steps: int, snapshot: str | None
    ) -> None:
        super().__init__()
        self.images_of = images_of
        self.steps = steps
        self.snapshot = snapshot
        self.epoch = self.first = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        step = self.first + batch
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
            "losses": {name: str(float(value)) for name, value in (logs or {}).items()},
        }
        raise Diverged(
            f"The loss is {loss} since batch {step + 1} of epoch {self.epoch + 1}, with the "
            f"images {listed(images, 8)}, at the learning rate {rate:.3g}. Pass a lower lr, or "
            f"check these images and their boxes.{kept}",
            progress.get("peak_rate", rate),
            record,
        )
