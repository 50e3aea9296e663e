"""Snapshots of a training: the last epoch's and the best one's."""

import itertools
import math
import os

import keras

from ..utils.outputs import replacing


class Snapshots(keras.callbacks.Callback):
    """Saves `<prefix>_last.keras` each epoch, and `<prefix>_best.keras` when `monitor` improves.

    A snapshot carries the optimizer and `progress`, {"epoch", "best", ...}, so that a run goes on
    from it. An epoch whose loss is not finite is not saved. A training that starts anew moves the
    snapshots of an earlier one to `<prefix>_<which>.previous.keras`, the next one to
    `.previous2.keras`, and says so.
    """

    def __init__(self, prefix, monitor="AP"):
        super().__init__()
        self.prefix = prefix
        self.monitor = monitor
        self.kept = []  # the paths that were written

    def on_train_begin(self, logs=None):
        if self.model.progress.get("epoch", 0):
            return
        for path in filter(os.path.exists, self.paths):
            place = free_place(path)
            os.replace(path, place)
            print(f"moved {path}, of an earlier training, to {place}")

    @property
    def paths(self):
        """The files that are written."""
        return [self.path_of(which) for which in ("best", "last")]

    def path_of(self, which):
        return f"{self.prefix}_{which}.keras"

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0)):
            return
        value = logs.get(self.monitor)
        best = self.model.progress.get("best")
        improved = value is not None and (best is None or value > best)
        best = float(value) if improved else best
        self.model.progress = {**self.model.progress, "epoch": epoch + 1, "best": best}
        if improved:
            self._save("best")
        self._save("last")

    def _save(self, which):
        path = self.path_of(which)
        save_whole(self.model, path)
        if path not in self.kept:
            self.kept.append(path)


def free_place(path):
    """The first of `.previous.keras`, `.previous2.keras`, ... beside a file that is not there."""
    stem = path.removesuffix(".keras")
    numbers = itertools.chain([""], itertools.count(2))
    places = (f"{stem}.previous{number}.keras" for number in numbers)
    return next(place for place in places if not os.path.lexists(place))


def save_whole(model, path):
    """Write a `.keras` file completely or not at all: a crash leaves an earlier file as it was."""
    with replacing(path) as part:
        model.save(part)
