"""The end of a training before its last epoch: nothing gets better, or the time is over."""

from __future__ import annotations

import time

import keras

from .stopping import Stop


class EarlyStopping(keras.callbacks.Callback):
    """End a training when a figure has not improved for some epochs, counted over all its runs.

    Args:
        monitor: the figure, which `progress["figures"]` holds for each epoch that was evaluated.
        patience: epochs.
        mode: "max" if higher is better, "min" if lower is.
    """

    def __init__(self, monitor: str, patience: int, mode: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.patience = patience
        self.sign = 1 if mode == "max" else -1

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        rows = [row for row in self.model.progress["figures"] if self.monitor in row]
        if not rows:
            return
        best = max(rows, key=lambda row: self.sign * row[self.monitor])  # the first of equals
        if epoch + 1 - best["epoch"] >= self.patience:
            print(f"The training ends: no better {self.monitor} since epoch {best['epoch']}.")
            self.model.stop_training = True
            self.model.progress = {**self.model.progress, "finished": True}


class TimeBudget(keras.callbacks.Callback):
    """End a training after some minutes as a signal does; without snapshots, end its epoch."""

    def __init__(self, minutes: float, stop: Stop | None) -> None:
        super().__init__()
        self.until = time.monotonic() + 60 * minutes
        self.stop = stop

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if time.monotonic() < self.until:
            return
        if self.stop:
            self.stop.note()
        else:
            self.model.stop_training = True
