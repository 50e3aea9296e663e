"""Snapshots of a training: the last epoch's and the best one's."""

from __future__ import annotations

import contextlib
import glob
import itertools
import math
import os
from collections.abc import Iterator
from typing import TextIO

import keras

from ..errors import InputError
from ..utils.outputs import replacing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Snapshots(keras.callbacks.Callback):
    """Save `<prefix>_last.keras` each epoch, and `<prefix>_best.keras` when `monitor` improves.

    A snapshot carries the optimizer and `progress`, {"epoch", "best", ...}, so that a run goes on
    from it. An epoch whose loss is not finite is not saved. A new training moves the
    snapshots of an earlier one to `<prefix>_<which>.previous.keras`, the next one to
    `.previous2.keras`, and prints it.
    """

    def __init__(self, prefix: str, monitor: str = "AP") -> None:
        super().__init__()
        self.prefix = prefix
        self.monitor = monitor
        self.kept: list[str] = []  # the paths that were written

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.model.progress.get("epoch", 0):
            return
        for path in filter(os.path.exists, snapshot_paths(self.prefix)):
            place = free_place(path)
            os.replace(path, place)
            print(f"moved {path}, of an earlier training, to {place}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0)):
            return
        value = logs.get(self.monitor)
        best = self.model.progress.get("best")
        improved = value is not None and (best is None or value > best)
        best = float(value) if improved else best
        self.model.progress = {**self.model.progress, "epoch": epoch + 1, "best": best}
        best_path, last_path = snapshot_paths(self.prefix)
        for path in [best_path, last_path] if improved else [last_path]:
            save_whole(self.model, path)
            if path not in self.kept:
                self.kept.append(path)


def snapshot_paths(prefix: str) -> tuple[str, str]:
    """Return the files of the best and the last snapshot."""
    return f"{prefix}_best.keras", f"{prefix}_last.keras"


def free_place(path: str) -> str:
    """Return the first of `.previous.keras`, `.previous2.keras`, ... that does not exist yet."""
    stem = path.removesuffix(".keras")
    numbers = itertools.chain([""], itertools.count(2))
    places = (f"{stem}.previous{number}.keras" for number in numbers)
    return next(place for place in places if not os.path.lexists(place))


def save_whole(model: keras.Model, path: str | os.PathLike) -> None:
    """Write a `.keras` file completely or not at all: a crash leaves an earlier file as it was."""
    with replacing(path) as part:
        model.save(part)


def _locked_file(path: str) -> TextIO:
    """Open and lock a file; OSError if another process holds the lock.

    The holder removes the file before it lets go. Whoever opened it in between has the lock of a
    file that is no longer at the path, and tries again.
    """
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  `locked` closes it
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    return file
        except OSError:
            file.close()
            raise
        file.close()


@contextlib.contextmanager
def locked(prefix: str) -> Iterator[None]:
    """Keep other trainings from writing the same snapshots; remove files of killed trainings.

    Raises:
        InputError: when another training writes them.
    """
    os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
    path = f"{prefix}.lock"
    try:
        file = _locked_file(path)
    except OSError:
        raise InputError(
            f"{prefix}_last.keras is being written by another training; choose another "
            "snapshot_path."
        ) from None
    with file:
        folder, name = os.path.split(glob.escape(prefix))
        for unfinished in glob.glob(os.path.join(folder, f".{name}_*.unfinished.keras")):
            os.remove(unfinished)
        try:
            yield
        finally:
            os.remove(path)
