"""The models of the server: versions, loading, and replacing them under load."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..detector import Detector
from ..errors import InputError
from .batching import Batcher
from .limits import Refused
from .worker import WorkerEngine

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True)
class Running:
    """The settings of loaded models.

    Attributes:
        batch: largest number of images in a batch.
        wait: seconds that an image waits for others of its padding bucket.
        queue: number of images that may wait.
        workers: number of processes for each model.
        settings: arguments of `engines.open_engine`.
    """

    batch: int = 8
    wait: float = 0.005
    queue: int = 64
    workers: int = 1
    settings: dict[str, Any] = field(default_factory=dict)


class Version:
    """A loaded version of a model, in some processes."""

    def __init__(self, number: int, engines: Sequence[WorkerEngine], running: Running) -> None:
        self.number = number
        self.engines = engines
        self.info = engines[0].info
        held = self.info.postprocess
        detectors = [
            Detector(
                engine, score_threshold=held.score_threshold, max_detections=held.max_detections
            )
            for engine in engines
        ]
        self.prepare = detectors[0].prepare
        most = self.info.batch or running.batch
        calls = [detector.detect_prepared for detector in detectors]
        self.batcher = Batcher(calls, most, running.wait, running.queue)

    @property
    def restarts(self) -> int:
        """The number of times that a process of this version died and was restarted."""
        return sum(engine.restarts for engine in self.engines)

    async def close(self) -> None:
        """Answer the waiting requests, then end the processes."""
        await self.batcher.close()
        for engine in self.engines:
            await asyncio.to_thread(engine.close)


@dataclass
class Served:
    """A model by name, from a file or from a folder of numbered versions.

    Attributes:
        seen: the fingerprint of each version's file at the last attempt to load it.
    """

    name: str
    path: Path
    versions: dict[int, Version] = field(default_factory=dict)
    seen: dict[int, tuple] = field(default_factory=dict)

    def latest(self) -> Version:
        """Return the version with the highest number. Raises `Refused` if none is loaded."""
        if not self.versions:
            raise Refused(503, f"The model {self.name} is not loaded yet.")
        return self.versions[max(self.versions)]

    def version(self, number: int | None) -> Version:
        """Return a version, the latest for None. Raises `Refused` if there is none."""
        if number is None:
            return self.latest()
        if number not in self.versions:
            known = ", ".join(map(str, sorted(self.versions)))
            raise Refused(404, f"Model {self.name} has no such version; known: {known}.")
        return self.versions[number]

    def found(self, count: int) -> dict[int, Path]:
        """Return the files of the newest `count` versions by number; a single file is version 1."""
        if not self.path.is_dir() or (self.path / "saved_model.pb").exists():
            return {1: self.path}
        numbered = {
            int(folder.name): folder for folder in self.path.iterdir() if folder.name.isdecimal()
        }
        newest = sorted(numbered, reverse=True)[:count]
        return {number: model_in(numbered[number]) for number in newest}


class Models:
    """All models of a server.

    Args:
        paths: model files, or folders of versions 1/, 2/, ..., by name.
        running: the settings of the models.
        versions: number of newest versions in a folder to serve.
    """

    def __init__(
        self, paths: dict[str, Path], running: Running = Running(), versions: int = 1
    ) -> None:
        self.served = {name: Served(name, path) for name, path in paths.items()}
        self.running = running
        self.count = versions
        self.turn = asyncio.Lock()
        self.observe: Callable[[str, int, float], None] = lambda name, images, seconds: None

    def named(self, name: str | None) -> Served:
        """Return a model; None for the only one. Raises `Refused` if there is none."""
        known = ", ".join(self.served)
        if name is None and len(self.served) == 1:
            [name] = self.served
        if name is None:
            raise Refused(400, f"Name a model; known: {known}.")
        if name not in self.served:
            raise Refused(404, f"No such model; known: {known}.")
        return self.served[name]

    @property
    def ready(self) -> bool:
        """True if every model has a loaded version."""
        return all(served.versions for served in self.served.values())

    async def refresh(self) -> list[str]:
        """Load new and changed versions, then close old ones; return the failures.

        Requests that wait for an old version are answered by it.
        """
        failures = []
        async with self.turn:
            for served in self.served.values():
                try:
                    found = await asyncio.to_thread(served.found, self.count)
                except (InputError, OSError) as error:
                    failures.append(f"{served.name}: {error}")
                    continue
                for number, path in found.items():
                    failures += await self.load(served, number, path)
                for number in served.versions.keys() - found.keys():
                    if len(served.versions) > 1:  # a model is never left without a version
                        self.retire(served.versions.pop(number))
        return failures

    async def load(self, served: Served, number: int, path: Path) -> list[str]:
        """Load a version if its file is new or has changed; return the failure, if any."""
        mark = fingerprint(path)
        if served.seen.get(number) == mark:
            return []
        served.seen[number] = mark
        try:
            engines = await asyncio.to_thread(self.start, path)
        except InputError as error:
            return [f"{served.name}: {error}"]
        version = Version(number, engines, self.running)
        version.batcher.observe = lambda images, seconds: self.observe(served.name, images, seconds)
        old, served.versions[number] = served.versions.get(number), version
        if old:
            self.retire(old)
        return []

    def start(self, path: Path) -> list[WorkerEngine]:
        """Start the processes of a model file."""
        settings = self.running.settings
        return [WorkerEngine(path, **settings) for _ in range(self.running.workers)]

    def retire(self, version: Version) -> None:
        """Close a version in the background."""
        self.closing = asyncio.create_task(version.close())

    async def close(self) -> None:
        """Answer the waiting requests, then end all processes."""
        for served in self.served.values():
            for version in served.versions.values():
                await version.close()


def model_in(folder: Path) -> Path:
    """Return the model of a version's folder: the SavedModel itself, or the only model file.

    Raises:
        InputError: if there is no model, or several.
    """
    if (folder / "saved_model.pb").exists():
        return folder
    suffixes = (".keras", ".onnx", ".xml", ".tflite")
    files = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    if len(files) != 1:
        raise InputError(f"{folder} must hold one model file, found {len(files)}.")
    return files[0]


def fingerprint(path: Path) -> tuple:
    """Return a value that changes if a file, or the files of a SavedModel, are written again."""
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    except OSError:
        return ()


def named_paths(texts: Sequence[str]) -> dict[str, Path]:
    """Return {name: path} of PATH or NAME=PATH; by default a model has its file's name.

    Raises:
        InputError: if there is no such file, or a name is unfit for a URL or used twice.
    """
    paths: dict[str, Path] = {}
    for text in texts:
        name, _, place = text.rpartition("=")
        path = Path(text if os.path.exists(text) else place)
        name = name if path != Path(text) else path.stem
        if not path.exists():
            raise InputError(f"{path}: no such file or folder.")
        if not NAME.fullmatch(name):
            raise InputError(
                f"{name[:100]!r} cannot be a model's name; give NAME={path} with letters, digits, "
                "dots, dashes and underscores."
            )
        if name in paths:
            raise InputError(f"Two models are named {name}; give NAME=PATH for one of them.")
        paths[name] = path
    return paths
