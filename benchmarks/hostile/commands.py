"""Command lines that work, every option of every command, and values for options."""

from __future__ import annotations

import argparse
import ast
import importlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from unittest import mock

import keras_retinanet
from keras_retinanet import choices

from . import datasets, values, weights
from .files import NODES, Node

AFTER_START = [
    *("--image-min-side=64", "--image-max-side=64", "--epochs=1", "--steps=1"),
    *("--no-evaluation", "--snapshot-path=out/s", "csv", "in/train.csv"),
]
SMALL = ["--backbone=mobilenet224_0.25", "--feature-size=8", "--head-depth=0"]
TRAIN = ["--no-weights", *SMALL, *AFTER_START]
CSV = ["csv", "in/train.csv", "in/classes.csv"]
USUAL = {
    "train": TRAIN,
    "evaluate": ["--image-max-side=64", *CSV, "in/training.keras"],
    "detect": ["--json=out/d.json", "in/training.keras", "in/images"],
    "doctor": ["--no-html", *CSV],
    "debug": ["--no-gui", "--output-dir=out/debug", *CSV],
    "convert_dataset": [*CSV, "yolo", "out/set"],
    "convert_model": ["in/training.keras", "out/m.keras"],
    "import_weights": ["backbone", "in/a.h5", "out/w.keras"],
}
OF_KIND = {  # options that only data sets of one kind have
    **dict.fromkeys(("--labels-filter", "--parent-label", "--version"), "oid"),
    **dict.fromkeys(("--image-extension", "--zero-based", "--skip-difficult"), "pascal"),
    **dict.fromkeys(("--set", "--train-set", "--val-set"), "coco"),
    "--classes": "cvat",
}
PATHS = (
    "in/none.json", "in/train.csv", "in/images/a.png", *(f"in/nodes/{name}" for name in NODES),
    "out/x", "out/x.json", "out/x/y/z.keras", "in/train.csv/x", "", ".", "A" * 300, "a/" * 2000,
    "out/\x1b[31m", "out/one\ntwo", "out/\udcff", "in/training.keras", "in/anchors.ini",
)  # fmt: skip
INI = ("[anchor_parameters]\nsizes = 16 32 64\nstrides = 8 16 32\nratios = 1\nscales = 1\n"
       "[pyramid_levels]\nlevels = 3 4 5\n")  # fmt: skip
CHOICES = {
    **dict.fromkeys(("classification_loss", "warmup_loss"), choices.CLASSIFICATION_LOSSES),
    "box_loss": choices.BOX_LOSSES,
    "sampler": choices.SAMPLERS,
    "coder": choices.CODERS,
    "assigner": choices.ASSIGNERS,
    "nms": choices.NMS,
    "augment": dict.fromkeys(choices.OPERATIONS, ""),
}
ARGUMENTS = (
    "nan", "1e308", "1e999", "-1", "0", "0.5", "1.5", "10**9", "99999999999999999999", "None",
    "True", "'a'", "(1,2)", "()", "(0.5,)*9", "[1]", "{}", "1j", "inverse_frequency", "b'a'",
    "-" * 100_000 + "1", "(" * 1000, "0x10", "1_0", "\x1b[31m",
)  # fmt: skip
TEXTS = tuple(text.replace("\0", "?") for text in values.TEXTS if text != "\ud800")
_makers: list[Callable[[], dict[str, bytes]]] = []


def use_models(make: Callable[[], dict[str, bytes]]) -> None:
    """Set the function that makes the models of specimens, {file name: bytes}."""
    _makers[:] = [make]
    models.cache_clear()


@cache
def models() -> dict[str, bytes]:
    return _makers[0]()


def files() -> dict:
    """Return the input files of a command line."""
    nodes = {f"nodes/{name}": node for name, node in NODES.items()}
    more = {"anchors.ini": INI.encode(), "a.h5": weights.hdf5()}
    kinds = {f"{k}/{n}": data for k in set(OF_KIND.values()) for n, data in _dataset(k).items()}
    return {**datasets.csv(), **nodes, **more, **kinds, **models()}


def _dataset(kind: str) -> dict[str, bytes]:
    return datasets.FORMATS[kind]()


def usual(name: str, flag: str) -> list[str]:
    """Return the arguments that a command works with, on data that has the option."""
    argv, kind = USUAL[name], OF_KIND.get(flag)
    if kind is None or "csv" not in argv:
        return argv
    start = argv.index("csv")
    paths = sum(arg in CSV for arg in argv)
    return [*argv[:start], kind, f"in/{kind}", *argv[start + paths :]]


@cache
def option_cases() -> list[tuple[str, str, argparse.Action]]:
    """Return (command, flag, action) of every option of every command."""
    return [
        (name, flag, action)
        for name in USUAL
        for action in parser_of(name)._actions
        for flag in action.option_strings[-1:]
        if flag != "--help"
    ]


class _Parser(Exception):
    """Carries the parser of a command."""


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser that a command makes."""

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Parser(parser)

    module = importlib.import_module(f"keras_retinanet.bin.{name}")
    methods = dict.fromkeys(("error", "parse_args", "parse_intermixed_args"), stop)
    with mock.patch.multiple(argparse.ArgumentParser, **methods):
        try:
            module.parse_args([])
        except _Parser as found:
            return found.args[0]
    raise RuntimeError(f"{name} makes no parser")


def value_for(name: str, action: argparse.Action, rng: Random) -> str:
    """Return an extreme value for an option."""
    if action.dest in CHOICES and rng.random() < 0.85:
        return choice(CHOICES[action.dest], rng)
    if action.metavar in ("FILE", "DIR", "PATH", "INI", "CSV") and rng.random() < 0.8:
        return rng.choice(PATHS)
    if action.choices and rng.random() < 0.7:
        return rng.choice(list(action.choices))
    return rng.choice((*values.NUMBERS, *values.NUMBERS, *TEXTS))


def choice(known: dict[str, str], rng: Random) -> str:
    """Return a choice with an argument of an extreme value, NAME:argument=value."""
    name = rng.choice(sorted(known))
    arguments = arguments_of(known[name], name) or ["chance", "strength"]
    chosen = rng.sample(arguments, min(len(arguments), rng.choice((1, 1, 2))))
    return f"{name}:{','.join(f'{key}={rng.choice(ARGUMENTS)}' for key in chosen)}"


@cache
def arguments_of(entry: str, name: str) -> list[str]:
    """Return the names of the arguments of an entry of a table of `choices`, from its source."""
    module, _, function = entry.partition(":")
    path = Path(keras_retinanet.__file__).parent / f"{module.replace('.', '/')}.py"
    if not module or not path.exists():
        return []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == (function or name):
            named = [*node.args.args, *node.args.kwonlyargs]
            return [arg.arg for arg in named if arg.arg not in ("from_logits", "xp")] or ["x"]
    return ["x"]


@cache
def output_cases() -> list[tuple[str, list[str], dict, str]]:
    """Return (command, argv, files, output) of output options that name what is already there."""
    return [*_onto_inputs(), *_onto_nodes()]


def _onto_inputs() -> Iterator[tuple[str, list[str], dict, str]]:
    """Yield command lines whose output is an input of a data set, or an input's folder."""
    for kind in datasets.FORMATS:
        made, data = _dataset(kind), (CSV if kind == "csv" else [kind, "in"])
        for name in datasets.annotations_of(made):
            file = f"in/{name}"
            folder = file.rpartition("/")[0]
            yield "doctor", ["--html", file, *data], made, file
            yield "doctor", ["--no-html", "--write-config", file, *data], made, file
            yield "doctor", ["--no-html", "--fix", folder, *data], made, folder
            yield "debug", ["--no-gui", "--output-dir", folder, *data], made, folder
            yield "convert_dataset", [*data, "yolo", folder], made, folder
            for flag in ("--json", "--detections", "--ground-truth"):
                yield "evaluate", [flag, file, *data, "in/detector.keras"], made, file


def _onto_nodes() -> Iterator[tuple[str, list[str], dict, str]]:
    """Yield command lines whose output is no regular file."""
    made = {**files(), "nodes/linked": Node("link", "../train.csv")}
    detect = ["in/detector.keras", "in/images"]
    for node in ("fifo", "folder", "loop", "dangling", "linked"):
        path = f"in/nodes/{node}"
        yield "doctor", ["--html", path, *CSV], made, path
        yield "doctor", ["--no-html", "--write-config", path, *CSV], made, path
        yield "doctor", ["--no-html", "--fix", f"{path}/fix", *CSV], made, path
        yield "detect", [*detect, "--json", path], made, path
        yield "detect", [*detect, "--output", path], made, path
        yield "evaluate", ["--json", path, *CSV, "in/detector.keras"], made, path
        yield "convert_model", ["in/training.keras", path], made, path
        yield "convert_dataset", [*CSV, "coco", path], made, path
        yield "train", [*TRAIN, f"--snapshot-path={path}"], made, path
