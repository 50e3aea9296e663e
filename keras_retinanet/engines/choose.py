"""Choose the fastest of several runtimes for a file by a short measurement, and remember it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..typing import StrPath
from ..utils.threads import usable_threads
from . import PACKAGES, load
from .engine import Engine, Settings

SIDE = 256  # px of the image that is measured with, if the file takes any size
RUNS, SECONDS = 5, 1.0  # most measured runs of an engine, and the time after which none begins
ENDS = 1 << 16  # bytes at both ends of a file that identify it, with its size


def fastest(path: StrPath, names: Sequence[str], settings: Settings) -> Engine:
    """Return the engine that takes the shortest time for one image; print its name on stderr.

    Args:
        names: the names of installed engines that run such a file.

    Raises:
        InputError: if none of the engines can load the file.
    """
    memory, key = Memory(), key_of(path, names, settings)
    name = memory.get(key)
    if name in names:
        say(path, name, "as measured before")
        return load(name, path, settings)
    engines, errors = {}, []
    for name in names:
        try:
            engines[name] = load(name, path, settings)
        except InputError as error:
            errors.append(error)
    if not engines:
        raise errors[0]
    seconds = {name: measure(engine) for name, engine in engines.items()}
    name = min(seconds, key=seconds.__getitem__)
    memory.add(key, name)
    say(path, name, ", ".join(f"{each} {seconds[each]:.3f} s" for each in seconds))
    return engines[name]


def say(path: StrPath, name: str, why: str) -> None:
    print(f"{path}: runs with {name} ({why})", file=sys.stderr, flush=True)


def measure(engine: Engine) -> float:
    """Return the shortest time in s of a few runs on one batch, after a warm-up run."""
    width, height = engine.info.size or (SIDE, SIDE)
    images = np.random.default_rng(0).integers(
        0, 256, (engine.info.batch or 1, height, width, 3), "uint8"
    )
    engine(images)
    times: list[float] = []
    while len(times) < RUNS and sum(times) < SECONDS:
        start = time.perf_counter()
        engine(images)
        times.append(time.perf_counter() - start)
    return min(times)


def key_of(path: StrPath, names: Sequence[str], settings: Settings) -> str:
    """Return a key of the choice; it changes if another engine might become the fastest."""
    threads, precision = settings.threads or usable_threads(), settings.precision or "its precision"
    packages = [f"{name} {version(PACKAGES[name][0])}" for name in names]
    return "; ".join([fingerprint(path), processor(), f"{threads} threads", precision, *packages])


def fingerprint(path: StrPath) -> str:
    """Return a hash of a file's size and of its first and last bytes."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(ENDS)
        file.seek(max(0, size - ENDS))
        return hashlib.blake2b(start + file.read() + b"%d" % size, digest_size=16).hexdigest()


def processor() -> str:
    """Return the processor's model name as the system reports it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Memory:
    """The engines chosen so far, in a file in the user's cache that may be deleted at any time."""

    def __init__(self) -> None:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self.path = Path(base, "keras_retinanet", "engines.json")

    def get(self, key: str) -> str | None:
        return self._read().get(key)

    def add(self, key: str, name: str) -> None:
        """Remember a choice, if the folder can be written to."""
        text = json.dumps({**self._read(), key: name}, indent=1)
        part = self.path.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text)
            part.replace(self.path)

    def _read(self) -> dict[str, str]:
        try:
            held = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return held if isinstance(held, dict) else {}
