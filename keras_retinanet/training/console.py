"""What a training prints: a line on the epoch that redraws, and a table with a row for each epoch.

epoch   loss    box  class      lr     AP   AP50   best  saved  time
 1/50  0.944  0.394  0.550  2.1e-4  0.213  0.455  0.213  best    31s
 2/50  0.812  0.301  0.511  4.2e-4   24%  34 img/s  wait 3%  left 31s/2h14m  1.2 GB
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TextIO

import keras

from ..preprocessing.loader import Loader
from ..utils.terminal import one_line, paint
from .divergence import StopAtDivergence
from .memory import memory_in_use
from .progress import first_step, sync_state
from .snapshots import Snapshots

EVERY = 30.0  # seconds between two lines of a file
REDRAWN = 0.2  # seconds between two drawings of a line
WINDOW = 30  # readings that speed and waiting are measured over
OF_CLASS = "AP "  # begins the names of the APs of classes in the logs
PARTS = {"regression_loss": "box", "classification_loss": "class", "iou_loss": "iou"}


class Live:
    """A line of a terminal that is drawn again and again, or in a file a line now and then.

    Args:
        stream: of the terminal; None for the standard output, which a log may replace meanwhile.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.given = stream
        self.moves = can_redraw(self.stream)
        self.width = 0  # of the text on the line
        self.time = time.monotonic()  # of the latest text

    @property
    def stream(self) -> TextIO:
        return self.given or sys.stdout

    def draw(self, fields: list[str]) -> None:
        """Draw fields, those that the terminal has room for; in a file, if it is time."""
        now = time.monotonic()
        if now - self.time < (REDRAWN if self.moves else EVERY):
            return
        self.time = now
        if not self.moves:
            print(" ".join(fields), file=self.stream, flush=True)
            return
        columns = shutil.get_terminal_size().columns - 1
        while len(fields) > 1 and len(" ".join(fields)) > columns:
            fields = fields[:-1]
        text = " ".join(fields)[:columns]
        print(f"\r{text.ljust(self.width)}\r", end="", file=self.stream, flush=True)
        self.width = len(text)

    def replace(self, text: str) -> None:
        """Print a line in place of the one that is drawn."""
        self.clear()
        print(text, file=self.stream, flush=True)
        self.time = time.monotonic()

    def clear(self) -> None:
        """Remove the text of the line, so that others can print."""
        if self.width:
            print(f"\r{' ' * self.width}\r", end="", file=self.stream, flush=True)
        self.width = 0


def counting(live: Live, verb: str, total: int) -> Callable[..., None]:
    """Return a function to call after each image, which draws how many are done."""
    done = itertools.count(1)

    def show(*_: object) -> None:
        live.draw([f"{verb} image {next(done)} of {total}"])

    return show


def can_redraw(stream: TextIO) -> bool:
    """Return True for a terminal or notebook, unless it is a job of Slurm."""
    if "SLURM_JOB_ID" in os.environ or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty() or "ipykernel" in sys.modules


class Reading(NamedTuple):
    """A time in seconds, and the batches done and the seconds waited for them until then."""

    time: float
    batches: int
    waited: float


class Speed:
    """How fast batches are trained on, and how long the training waits for them.

    Each epoch has its own speed, over its latest readings.
    """

    def __init__(self) -> None:
        self.readings: deque[Reading] = deque(maxlen=WINDOW)
        self.batches = 0
        self.waited = self.since = 0.0  # in all, and since the latest reading

    def restart(self) -> None:
        self.readings.clear()

    def batch(self, waited: float) -> None:
        """Count a batch that the training waited for."""
        self.batches += 1
        self.since += waited

    def read(self, now: float, took: float) -> None:
        """Note the time of a reading that waited for the device.

        If it took longer than a batch, the device still had batches to train on: it has not waited.
        """
        last = self.readings[-1] if self.readings else None
        if not last or took * (self.batches - last.batches) <= now - last.time:
            self.waited += self.since
        self.since = 0.0
        self.readings.append(Reading(now, self.batches, self.waited))

    @property
    def rate(self) -> float | None:
        """Batches a second; None before the second reading."""
        first, last = self.readings[0], self.readings[-1]
        return (last.batches - first.batches) / (last.time - first.time) if last > first else None

    @property
    def waiting(self) -> float:
        """The share of the time spent waiting for data."""
        first, last = self.readings[0], self.readings[-1]
        return min((last.waited - first.waited) / (last.time - first.time), 1.0)


class Console(keras.callbacks.Callback):
    """Print the line and the table of a training.

    Args:
        losses: reads the losses; comes before this callback.
        loader: of the training data.
        steps: the batches in an epoch.
        epochs: in all.
        figures: names of columns between the losses and "saved", each a key of the logs.
        snapshots: comes before this callback; None if the training saves none.
        live: the line.
    """

    def __init__(
        self,
        losses: StopAtDivergence,
        loader: Loader,
        steps: int,
        epochs: int,
        figures: Sequence[str] = (),
        snapshots: Snapshots | None = None,
        live: Live | None = None,
    ) -> None:
        super().__init__()
        self.losses = losses
        self.loader = loader
        self.steps = steps
        self.epochs = epochs
        self.figures = figures
        self.snapshots = snapshots
        self.live = live or Live()
        self.names: list[str] = []  # of the losses, once they are known
        self.epoch = self.first = 0
        self.began = self.begin = self.pause = 0.0  # of epoch and batch; between two epochs
        self.speed = Speed()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)
        self.began = time.monotonic()
        self.speed.restart()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.begin = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.speed.batch(max(0.0, self.loader.arrival() - self.begin))
        if not self.losses.just_read:
            return
        self.speed.read(time.monotonic(), self.losses.took)
        done = self.first + batch + 1
        self.show_head(self.losses.latest)
        self.live.draw([self.losses_of(self.losses.latest), *self.progress(done)])
        if done == self.steps:
            self.live.clear()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        now = time.monotonic()
        if self.speed.readings:
            self.pause = now - self.speed.readings[-1].time
        self.show_head(logs)
        self.live.replace(f"{self.losses_of(logs)}{self.results(logs, now - self.began)}")
        if words := by_class(logs):
            self.live.replace(words)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.live.clear()

    def show_head(self, logs: dict) -> None:
        """Print the head of the table if it is not there yet."""
        if self.names:
            return
        outputs = (f"{output}_loss" for output in self.model.output_names)
        self.names = ["loss", *(name for name in outputs if name in logs)]
        parts = [PARTS.get(name, name.removesuffix("_loss")) for name in self.names]
        figures = ["val" if name == "val_loss" else name for name in self.figures]
        best = ["best"] if "AP" in self.figures else []
        head = f"{'epoch':>7}{row(parts)} {'lr':>6}{row([*figures, *best])}"
        self.live.replace(f"{head}  saved  time")

    def losses_of(self, logs: dict) -> str:
        """Return the first columns: the epoch, its losses so far and the learning rate."""
        sync_state(self.model)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        words = f"{rate:.1e}".replace("e-0", "e-") if rate else "0"
        epoch = f"{self.epoch + 1}/{self.epochs}"
        return f"{epoch:>7}{row([rounded(logs.get(name)) for name in self.names])} {words:>6}"

    def progress(self, done: int) -> list[str]:
        """Return how far the epoch is, how fast it goes, what is left of it and of the run."""
        share = f"{done / self.steps:.0%}"
        rate, memory = self.speed.rate, memory_in_use()
        words = [] if memory is None else [f"{memory / 1e9:.1f}GB"]
        if rate is None:
            return [share, *words]
        images = rate * self.loader.batching.batch_size
        epoch = (self.steps - done) / rate
        run = epoch + (self.epochs - self.epoch - 1) * (self.steps / rate + self.pause)
        return [
            share,
            f"{images:.0f} img/s" if images >= 10 else f"{images:.1f} img/s",
            f"wait {self.speed.waiting:.0%}",
            f"left {duration(epoch)}/{duration(run)}",
            *words,
        ]

    def results(self, logs: dict, seconds: float) -> str:
        """Return the last columns: figures, the best AP, the snapshot that was saved, the time."""
        cells = [rounded(logs.get(name)) for name in self.figures]
        if "AP" in self.figures:
            rows = self.model.progress.get("figures", ())
            cells.append(rounded(max((row["AP"] for row in rows if "AP" in row), default=None)))
        saved = f"{(self.snapshots and self.snapshots.saved) or '-':5}"
        if saved == "best ":
            saved = paint(saved, "good", self.live.stream)
        return f"{row(cells)}  {saved} {duration(seconds):>5}"


def by_class(logs: dict) -> str | None:
    """Return the APs of the classes as a line, the lowest first; None without two of them."""
    found = {
        name.removeprefix(OF_CLASS): value
        for name, value in logs.items()
        if name.startswith(OF_CLASS)
    }
    if len(found) < 2:
        return None
    words = [f"{one_line(name, 24)} {found[name]:.3f}" for name in sorted(found, key=found.get)]
    return one_line(f"{'':7}AP by class: {', '.join(words)}", 79)


def row(cells: Sequence[str]) -> str:
    """Return cells as columns of 6 characters."""
    return "".join(f" {cell:>5}" for cell in cells)


def rounded(value: float | None) -> str:
    """Return a number in 5 characters, unless it is huge.

    >>> rounded(0.98765), rounded(12.3456), rounded(123456.0), rounded(None)
    ('0.988', '12.35', '1.2e+05', '-')
    """
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:#.4g}"


def duration(seconds: float) -> str:
    """Return a time in at most 5 characters.

    >>> duration(31), duration(750), duration(8040), duration(500000)
    ('31s', '12m', '2h14m', '5d18h')
    """
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{int(seconds)}s"
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 24 else f"{hours // 24}d{hours % 24:02}h"
