"""The folder of one training run: its arguments, environment, figures, log and snapshots."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import itertools
import os
from collections.abc import Iterator
from datetime import date
from typing import TextIO

from ..errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The paths of a run.

    Attributes:
        last: the latest snapshot, to resume from.
        best: the snapshot with the highest AP.
        arguments: JSON of what the run was started with.
        environment: JSON of the machine, the packages and the data of the latest start.
        metrics: one line of JSON for each epoch.
        table: the same figures as CSV.
        log: everything that the run printed.
        curves: PNG of losses, rate and AP by epoch.
        report: the folder of the report on the best snapshot.
        tensorboard: the folder of the logs for TensorBoard.
        divergence: JSON of the batch at which the loss stopped being a number.
        diverged_batch: this batch as NumPy arrays.
    """

    path: str

    @property
    def last(self) -> str:
        return os.path.join(self.path, "last.keras")

    @property
    def best(self) -> str:
        return os.path.join(self.path, "best.keras")

    @property
    def arguments(self) -> str:
        return os.path.join(self.path, "arguments.json")

    @property
    def environment(self) -> str:
        return os.path.join(self.path, "environment.json")

    @property
    def metrics(self) -> str:
        return os.path.join(self.path, "metrics.jsonl")

    @property
    def table(self) -> str:
        return os.path.join(self.path, "metrics.csv")

    @property
    def divergence(self) -> str:
        return os.path.join(self.path, "divergence.json")

    @property
    def diverged_batch(self) -> str:
        return os.path.join(self.path, "divergence.npz")

    @property
    def log(self) -> str:
        return os.path.join(self.path, "log.txt")

    @property
    def curves(self) -> str:
        return os.path.join(self.path, "curves.png")

    @property
    def report(self) -> str:
        return os.path.join(self.path, "report")

    @property
    def tensorboard(self) -> str:
        return os.path.join(self.path, "tensorboard")

    def snapshots(self) -> list[str]:
        """Return the snapshots that exist, the best one first."""
        return [path for path in (self.best, self.last) if os.path.exists(path)]


def folder_of(parent: str, run: str | None, snapshot: str | None, words: list[str]) -> RunFolder:
    """Return the folder that a training writes to.

    That is `parent/run`; without `run` the folder of the run that wrote `snapshot`, else a new one
    in `parent`, named after the date and `words`.

    Raises:
        InputError: `run` already holds a training, and `snapshot` is not from it.
    """
    home = snapshot and RunFolder(os.path.dirname(snapshot) or ".")
    if run is None:
        if home and os.path.exists(home.arguments):
            return home
        name = "_".join([date.today().isoformat(), *words])
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
        paths = (os.path.join(parent, each) for each in names)
        return RunFolder(next(path for path in paths if not os.path.lexists(path)))
    folder = RunFolder(os.path.join(parent, run))
    taken = os.path.exists(folder.last)
    if taken and not (home and os.path.realpath(home.path) == os.path.realpath(folder.path)):
        raise InputError(
            f"{folder.path} holds a training; pass resume to go on with it, or choose another run."
        )
    return folder


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
def locked(folder: RunFolder) -> Iterator[None]:
    """Make the folder, keep other trainings out of it, and remove files of killed trainings.

    Raises:
        InputError: another training writes there.
    """
    os.makedirs(folder.path, exist_ok=True)
    path = os.path.join(folder.path, ".lock")
    try:
        file = _locked_file(path)
    except OSError:
        raise InputError(
            f"{folder.path} is being written by another training; choose another run."
        ) from None
    with file:
        for unfinished in glob.glob(os.path.join(glob.escape(folder.path), ".*.unfinished.*")):
            os.remove(unfinished)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # someone removed the folder
                os.remove(path)
