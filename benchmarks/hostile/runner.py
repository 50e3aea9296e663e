"""Running specimens in workers, one for the commands with Keras and one for those without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import files
from .worker import LIGHT

SECONDS, MEMORY = 20, 2_000_000_000  # of a run; bytes beyond the worker's
BOX = "box"  # the folder that a command runs in, with in and out


@dataclass(frozen=True)
class Specimen:
    """Input files, and the command line that reads them, relative to the folder `in` is in."""

    name: str  # kind/number
    recipe: str
    command: str  # a module of keras_retinanet.bin
    argv: list[str]
    files: files.Files
    encoding: str = "utf-8"  # of the terminal
    outputs: tuple[str, ...] = ()  # further places where new files may be made, beside out


@dataclass(frozen=True)
class Result:
    """The end of a run."""

    status: int
    stopped: str  # "time", "memory" or "output" if a limit ended it
    seconds: float
    cpu: float
    memory: int
    out: str
    err: str
    changed: tuple[str, ...]  # paths changed or removed, or made where no output was named


class Runner:
    """Runs specimens in `folder`."""

    def __init__(self, folder: Path, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        self.folder = folder
        self.limits = {"seconds": seconds, "memory": memory}
        self.workers: dict[str, subprocess.Popen] = {}

    def run(self, specimen: Specimen) -> Result:
        """Write the files of a specimen, run its command and return its `Result`."""
        folder = self.folder / "run"
        remove(folder)
        place = folder / "place"
        for name in ("tmp", "box/in", "box/out"):
            (place / name).mkdir(parents=True)
        files.write(specimen.files, place / "box/in")
        before = files.tree(place)
        job = {
            "command": specimen.command,
            "argv": specimen.argv,
            "encoding": specimen.encoding,
            "folder": str(folder),
            **self.limits,
        }
        end = self._ask("light" if specimen.command in LIGHT else "keras", job)
        after = files.tree(place)
        outputs = [f"{BOX}/{name}" for name in ("out", *specimen.outputs)]
        texts = [(folder / name).read_bytes() for name in ("stdout", "stderr")]
        out, err = (text.decode(specimen.encoding, "backslashreplace") for text in texts)
        changed = files.changes(before, after, outputs)
        return Result(**end, out=out, err=err, changed=tuple(changed))

    def _ask(self, room: str, job: dict) -> dict:
        """Let the worker of a room do a job; start one first if there is none."""
        worker = self.workers.get(room)
        if worker is None or worker.poll() is not None:
            worker = self.workers[room] = self._start(room)
        worker.stdin.write(json.dumps(job) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    def _start(self, room: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "benchmarks.hostile.worker", room]
        environment = {**os.environ, "KERAS_HOME": str(self.folder), "KERAS_BACKEND": "tensorflow"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        worker = subprocess.Popen(command, text=True, env=environment, **pipes)
        if worker.stdout.readline() != "ready\n":
            raise RuntimeError(f"{' '.join(command)} did not start")
        return worker

    def models(self) -> dict[str, bytes]:
        """Return {file name: bytes} of a training model and its inference model."""
        names = "training.keras", "detector.keras"
        specimen = Specimen("models/seed", "", "seeds", [f"out/{name}" for name in names], {})
        result = self.run(specimen)
        if result.status:
            raise RuntimeError(f"the seed models cannot be made: {result.err}")
        return {name: (self.folder / "run/place/box/out" / name).read_bytes() for name in names}

    def close(self) -> None:
        for worker in self.workers.values():
            worker.stdin.close()
            worker.wait()


def remove(folder: Path) -> None:
    """Remove a folder of any depth; `shutil.rmtree` calls itself for each level."""
    subprocess.run(["rm", "-rf", "--", os.fspath(folder)], check=False)
