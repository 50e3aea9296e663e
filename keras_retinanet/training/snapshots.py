"""Snapshots of a training: the last one and the best one."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import time
import warnings

import keras
import numpy as np

from ..errors import InputError
from ..utils.outputs import replacing
from . import hosts
from .averaging import averaged
from .progress import first_step, state_of
from .run_folder import RunFolder
from .stopping import Stop


class Snapshots(keras.callbacks.Callback):
    """Save the last snapshot of a run now and then, and the best one when `monitor` improves.

    A snapshot carries the optimizer and `progress`, so that a run goes on from it exactly. It is
    saved every `minutes`, before an evaluation, at the end of an epoch, and when a signal comes,
    but never while the loss or a weight is not finite. A save that fails prints a warning and
    leaves the earlier file; the training goes on, and tries again at its end.

    Args:
        steps: the batches in an epoch.
        minutes: between two saves within an epoch.
        before_end: also save after the last batch of an epoch, before it is evaluated.
        stop: asked by signals.
    """

    def __init__(
        self,
        folder: RunFolder,
        monitor: str = "AP",
        steps: int = 0,
        minutes: float = 10.0,
        before_end: bool = False,
        stop: Stop | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.monitor = monitor
        self.steps = steps
        self.minutes = minutes
        self.before_end = before_end
        self.stop = stop or Stop()
        self.failed = False  # the latest save
        self.saved: str | None = None  # "best" or "last" at the end of this epoch
        self.time = time.monotonic()  # of the latest save
        self.epoch = self.first = 0  # this epoch, and the batches of it that an earlier run did

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.first + batch + 1
        if step % hosts.STEPS == 0 or step == self.steps:
            self.stop.agree()
        due = time.monotonic() - self.time >= 60 * self.minutes and hosts.is_first()
        if not (due or self.stop.asked or (self.before_end and step == self.steps)):
            self.stop.saved = None
            return
        loss = float((logs or {}).get("loss", 0))
        if math.isfinite(loss):
            self.model.progress = {**self.model.progress, "epoch": self.epoch, "step": step}
            self.save(f"in epoch {self.epoch + 1}, after {step} of {self.steps} batches")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        self.saved = None
        if not math.isfinite(logs.get("loss", 0)):
            return
        value = logs.get(self.monitor)
        best = self.model.progress.get("best")
        improved = value is not None and (best is None or value > best)
        best = float(value) if improved else best
        progress = {**self.model.progress, "epoch": epoch + 1, "step": 0, "best": best}
        self.model.progress = progress
        self.stop.agree()
        self.save(f"after epoch {epoch + 1}", improved)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.failed:
            self.write(improved=False)

    def save(self, when: str, improved: bool = False) -> None:
        """Save the last snapshot, and the best one if it improved; end there if a signal asked.

        Raises:
            Stopped: says `when`.
        """
        self.stop.saved = None
        if not is_finite(self.model):
            return
        self.model.progress = {**self.model.progress, **state_of(self.model)}
        last_path = self.folder.last
        try:
            self.write(improved)
        except InputError as error:
            if self.stop.asked:
                raise
            self.failed = True
            text = f"{without(error)}{room(last_path)}; the training goes on."
            warnings.warn(text, UserWarning, stacklevel=2)
        else:
            self.failed = False
            self.saved = "best" if improved else "last"
            self.stop.saved = (
                f"Stopped {when}, and saved {last_path}. To go on: retinanet-train --resume "
                f"{shlex.quote(self.folder.path)}"
            )
        self.time = time.monotonic()
        if self.stop.asked:
            self.stop.ask()

    def write(self, improved: bool) -> None:
        """Write the files of a save, the best one first. Raises InputError if they cannot be."""
        if not hosts.is_first():
            return
        best_path, last_path = self.folder.best, self.folder.last
        save_whole(self.model, last_path, best_path if improved else None)


def is_finite(model: keras.Model) -> bool:
    """Return True if no weight of a model is NaN or infinite."""
    return all(
        np.isfinite(keras.ops.convert_to_numpy(weight.value)).all() for weight in model.weights
    )


def save_whole(
    model: keras.Model, path: str | os.PathLike, link: str | os.PathLike | None = None
) -> None:
    """Write a `.keras` file completely or not at all: a crash leaves an earlier file as it was.

    Args:
        link: a second name for the file, which is there before `path` is.

    Raises:
        InputError: it cannot be written, such as on a full disk.
    """
    with averaged(model), hosts.own_devices(), replacing(path) as part:
        model.save(part)
        sync(part)
        if link is not None:
            put_link(part, link)
    sync(os.path.dirname(path) or ".")


def put_link(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Replace `path` by a hard link to a file, or by a copy on a disk that knows no links."""
    with replacing(path) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
            sync(part)


def sync(path: str | os.PathLike) -> None:
    """Wait until a file, or the names in a folder, are on the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        place = os.open(path, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def room(path: str) -> str:
    """Return the free MB of a file's disk, and the MB of the file if it exists, as words."""
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(os.path.dirname(path) or ".").free
        size = f" of {os.path.getsize(path) / 1e6:.1f} MB is kept" if os.path.exists(path) else ""
        return f"; {free / 1e6:.1f} MB are free{size and f', and the earlier file{size}'}"
    return ""


def without(error: InputError) -> str:
    """Return an error's sentence without its full stop."""
    return str(error).removesuffix(".")
