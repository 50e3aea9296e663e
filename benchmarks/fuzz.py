"""Coverage-guided fuzzing of the readers of annotations, weights and images, with atheris.

    pip install atheris
    python -m benchmarks.fuzz --seconds 600 --findings findings [TARGET ...]

libFuzzer keeps inputs that reach new code of the package. It changes them by its own mutations and
by the ones in `benchmarks.hostile`, which know the formats. An exception other than InputError, a
run of 20 s and 2 GB of memory are findings: each is saved once as a file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

from .hostile import datasets, files, structures, weights
from .hostile.mutations import mutate

MODULES = ("preprocessing.source", "preprocessing.readers.recognise", "weights.files",
           "preprocessing.image_info", "utils.image")  # fmt: skip
PATHS = {"csv": "train.csv"}  # the file to be read, by default the folder
WITH_SPLIT = ("coco", "pascal", "kitti", "oid", "yolo")
WEIGHTS = {"pickle": "a.pkl", "torch": "a.pth", "safetensors": "a.safetensors", "hdf5": "a.h5"}
LIMITS = ("-timeout=20", "-rss_limit_mb=2500", "-max_len=100000", "-print_final_stats=1")
STRUCTURED = 0.6  # share of mutations that know the format


class Target:
    """A reader, and the folder of files that it reads; an input is a file's number and bytes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        if name in datasets.FORMATS:
            self.files = dict(datasets.FORMATS[name]())
            self.fuzzed = datasets.annotations_of(self.files)
        elif name in WEIGHTS:
            self.files = {WEIGHTS[name]: weights.SEEDS[WEIGHTS[name]][1]()}
            self.fuzzed = [*self.files]
        else:
            self.files = {f"x.{end}": datasets.image(f"x.{end}") for end in datasets.FORMAT}
            self.fuzzed = [*self.files]
        files.write(self.files, folder)

    def seeds(self) -> list[bytes]:
        return [bytes([i]) + self.files[name] for i, name in enumerate(self.fuzzed)]

    def write(self, data: bytes) -> str:
        """Write an input into its file; return the file's name."""
        name = self.fuzzed[data[0] % len(self.fuzzed)]
        (self.folder / name).write_bytes(data[1:])
        return name

    def restore(self, name: str) -> None:
        (self.folder / name).write_bytes(self.files[name])

    def mutated(self, data: bytes, seed: int) -> bytes:
        """Return an input after a mutation that knows its format."""
        rng = Random(seed)
        name = self.fuzzed[data[0] % len(self.fuzzed)]
        if self.name in WEIGHTS:
            return data[:1] + structures.mutate(name, data[1:], rng)
        return data[:1] + mutate(name, data[1:], rng)[1]

    def call(self, name: str) -> None:
        """Read the files, of a data set both tolerantly and strictly."""
        modules = [importlib.import_module(f"keras_retinanet.{module}") for module in MODULES]
        source, recognise, weight_files, image_info, image = modules
        path = self.folder / name
        if self.name == "image":
            image_info.image_info(path)
            image.read_image_rgb(path)
        elif self.name in WEIGHTS:
            weight_files.read_tensors(path)
        else:
            place = str(self.folder / PATHS.get(self.name, ""))
            classes = self.folder / "classes.csv" if self.name == "csv" else None
            options = {"parent_label": "all"} if self.name == "oid" else {}
            data = source.DataSource(self.name, place, classes, options=options)
            split = "train" if self.name in WITH_SPLIT else None
            data.read(split, faults=[])
            data.read(split)
            recognise.kind_of(place)


TARGETS = (*datasets.FORMATS, *WEIGHTS, "image")


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one target, in a process of which libFuzzer takes over the rest."""
    import atheris

    with atheris.instrument_imports(include=["keras_retinanet"]):
        for module in MODULES:
            importlib.import_module(f"keras_retinanet.{module}")
    from keras_retinanet.errors import InputError

    scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
    target = Target(name, scratch / "data")
    known: set[str] = {path.name for path in folder.iterdir()}
    warnings.simplefilter("ignore")

    def once(data: bytes) -> None:
        if not data:
            return
        file = target.write(data)
        try:
            target.call(file)
        except InputError:
            pass
        except Exception as error:
            save(folder, known, f"{name}-{place_of(error)}", data)
        finally:
            target.restore(file)

    def change(data: bytes, most: int, seed: int) -> bytes:
        if data and seed % 100 < 100 * STRUCTURED:
            return target.mutated(data, seed)[:most]
        return atheris.Mutate(data, most)

    corpus = scratch / "corpus"
    files.write({str(i): seed for i, seed in enumerate(target.seeds())}, corpus)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/{name}-", *LIMITS]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=change)
    atheris.Fuzz()


def place_of(error: Exception) -> str:
    """Return the exception's name, and the last line of the package that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "keras_retinanet" in frame.filename]
    last = ours[-1]
    return f"{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}"


def save(folder: Path, known: set[str], name: str, data: bytes) -> None:
    """Save the input of a finding, the first of its place."""
    if name not in known:
        known.add(name)
        (folder / name).write_bytes(data)
        print(f"finding: {name}", flush=True)


def repeat(name: str, seconds: int, folder: Path) -> int:
    """Fuzz a target for some seconds, and again where it ends early; return its executions."""
    end, executions = time.monotonic() + seconds, 0
    while (left := int(end - time.monotonic())) > 0:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--only", name]
        command += ["--seconds", str(left), "--findings", str(folder)]
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:  # libFuzzer leaves its files
            how = {"env": {**os.environ, "TMPDIR": scratch}, "text": True, "errors": "replace"}
            output = subprocess.run(command, capture_output=True, **how)
        lines = (output.stdout + output.stderr).splitlines()
        for line in lines:
            if line.startswith("finding"):
                print(line, flush=True)
        counts = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
        executions += sum(map(int, counts))
        if not counts and "==" not in output.stderr:
            raise RuntimeError(output.stderr[-2000:])
    return executions


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="of each target (%(default)s)")
    parser.add_argument("--findings", type=Path, default=Path("findings"), metavar="DIR")
    parser.add_argument("--only", choices=TARGETS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.findings.mkdir(parents=True, exist_ok=True)
    if args.only:
        fuzz(args.only, args.seconds, args.findings)
    for name in args.targets or TARGETS:
        executions = repeat(name, args.seconds, args.findings)
        found = [path.name for path in args.findings.glob(f"{name}-*")]
        print(f"{name}: {executions} executions, findings: {', '.join(sorted(found)) or 'none'}")
    return int(any(args.findings.iterdir()))


if __name__ == "__main__":
    sys.exit(main())
