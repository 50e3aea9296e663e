"""Reduce the learning rate when a figure stops to improve, across interruptions."""

from __future__ import annotations

import math

import keras


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """`ReduceLROnPlateau` whose state is in the model's `progress`, which snapshots keep."""

    best: float
    wait: int

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        held = self.model.progress.get("plateau")
        if held:
            if held["best"] is not None:
                self.best = held["best"]
            self.wait = held["wait"]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.monitor not in (logs or {}):  # nothing to judge by in this epoch
            return
        super().on_epoch_end(epoch, logs)
        best = float(self.best)
        state = {"best": best if math.isfinite(best) else None, "wait": int(self.wait)}
        self.model.progress = {**self.model.progress, "plateau": state}
