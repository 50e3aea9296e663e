"""Choices by name: the tables of known names, how a choice is written, and how it is looked up.

A table maps a name to the module that defines it, "module" for a function of the same name or
"module:function", so that `--help` lists the names where nothing is installed.
"""

from __future__ import annotations

import ast
import re
import reprlib
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from .errors import InputError

CLASSIFICATION_LOSSES = {
    "cross_entropy": "losses.classification",
    "focal": "losses.classification",
    "softmax_focal": "losses.classification",
    "focal_star": "losses.classification",
    "ghm_classification": "losses.harmonizing",
    "quality_focal": "losses.classification",
    "varifocal": "losses.classification",
}
BOX_LOSSES = {
    "l1": "losses.regression",
    "l2": "losses.regression",
    "smooth_l1": "losses.regression",
    "ohem_smooth_l1": "losses.regression",
    "ghm_regression": "losses.harmonizing",
    "iou": "losses.regression",
    "giou": "losses.regression",
    "diou": "losses.regression",
    "ciou": "losses.regression",
    "dfl": "losses.distribution",
    "gfl": "losses.distribution",
}
LOSSES = CLASSIFICATION_LOSSES | BOX_LOSSES | {"iou_entropy": "losses.classification"}
SAMPLERS = {"ohem": "losses.sampling", "hard_negative": "losses.sampling"}
CODERS = {"center_size": "coders", "corners": "coders", "distances": "coders"}
ASSIGNERS = {"iou": "assigners.iou:assign", "atss": "assigners.atss:assign"}
NMS = {
    "hard": "nms",
    "soft_linear": "nms",
    "soft_gaussian": "nms",
    "diou": "nms:by_diou",
    "class_agnostic": "nms",
    "none": "nms:top",
}
ENGINES = {  # the runtimes of model files
    "keras": "engines.keras:load",
    "saved_model": "engines.saved_model:load",
    "onnxruntime": "engines.onnxruntime:load",
    "openvino": "engines.openvino:load",
    "litert": "engines.litert:load",
}
ENGINE_PRECISIONS = ("float32", "bfloat16", "float16")  # to compute in
NMS_ARGUMENTS = {"soft_gaussian": {"sigma": 0.5}}  # with their defaults

# in the order in which they act; each image of a mosaic or mixup goes through all the others
OPERATIONS = (
    *("flip", "vertical_flip", "scale", "large_scale", "affine"),  # one matrix
    "crop",
    *("colour", "blur", "noise", "jpeg"),  # pixels
    *("cutout", "mosaic", "mixup"),
)
USUAL = {"chance": 0.5, "strength": 1.0}  # defaults of every operation that is named
STRONGEST = 10
LIGHT = {"flip": USUAL}
DEFAULT = {
    **LIGHT,
    "scale": {"chance": 1.0, "strength": 1.0},
    "colour": {"chance": 1.0, "strength": 1.0},
}
STRONG = {
    **DEFAULT,
    "scale": {"chance": 1.0, "strength": 2.1},  # factors of 0.63 to 1.6
    "affine": {"chance": 0.5, "strength": 1.0},
    **{name: {"chance": 0.2, "strength": 1.0} for name in ("crop", "blur", "noise", "jpeg")},
    "cutout": {"chance": 0.2, "strength": 1.0},
}
AUGMENTATIONS = {"none": {}, "light": LIGHT, "default": DEFAULT, "strong": STRONG}

TRAIN_SPLITS = ("train", "train2017", "training", "trainval")  # most preferred first
VAL_SPLITS = ("val", "val2017", "valid", "validation")
TEST_SPLITS = ("test", *VAL_SPLITS)

GROUPINGS = ("bucket", "ratio", "random", "none")  # rules that choose the images of a batch

INVERSE_FREQUENCY = "inverse_frequency"  # the value of alpha that is computed from the data set
ARGUMENT = re.compile(r"\w+=(?:\([^()]*\)|[^,()]+)")  # name=value, the value perhaps a tuple
SIGNED = (("focal_star", "beta"), ("corners", "mean"))  # the arguments that may be below 0
SHARES = (  # 0 to 1
    *("cutoff", "label_smoothing", "overlap", "share", "positive_overlap", "negative_overlap"),
)
POSITIVE = ("share", "positive_overlap", "top_k")
SWITCHES = ("best_anchor", "log")  # True or False
WORDS = ("name", "alpha", "clamp")
WHOLE = {"bins": 256, "top_k": 10_000, "count": 10_000, "pool": 16}  # the largest
LARGEST = 1e6  # beyond it float32 overflows in squares


def lookup(choices: Mapping, config: str | dict, what: str) -> tuple[Any, dict]:
    """Return the entry and the arguments of a name or a dict {"name": ..., **arguments}.

    A text entry is replaced by the function that it names.

    Raises:
        ValueError: lists the known names when the name is unknown; `what` is the kind of choice.
    """
    arguments = {"name": config} if isinstance(config, str) else dict(config)
    name = arguments.pop("name")
    if name not in choices:
        raise ValueError(f"Unknown {what} {name!r}; known: {', '.join(sorted(choices))}.")
    entry = choices[name]
    if isinstance(entry, str):
        module, _, function = entry.partition(":")
        entry = getattr(import_module(f"{__package__}.{module}"), function or name)
    return entry, arguments


def parse(text: str, choices: Collection[str]) -> dict:
    """Return {"name": ..., argument: value} of NAME or NAME:argument=value,argument=value.

    Raises:
        InputError: for an unknown name, or text of another form.
    """
    name, _, arguments = text.partition(":")
    if name not in choices:
        raise InputError(f"unknown name {name[:100]!r}; known: {', '.join(choices)}.")
    pairs = [pair.split("=", 1) for pair in ARGUMENT.findall(arguments)]
    whole = ",".join(map("=".join, pairs)) == arguments
    try:
        given = {key: _value(value) for key, value in pairs}
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        whole = False
    if not whole or {"name", "from_logits"} & set(given):
        raise InputError(f"write {name}:argument=value,argument=value, not {text[:100]!r}.")
    return {"name": name, **given}


def _value(text: str) -> Any:
    """Return a number, a word, True, False, None or a tuple of them; ValueError for others."""
    value = text if text == INVERSE_FREQUENCY else ast.literal_eval(text[:1000])
    for each in value if isinstance(value, tuple) else (value,):
        if each is not None and not isinstance(each, (int, float, str)):
            raise ValueError("not a number or a word")
    return value


def written(config: str | float | dict) -> str:
    """Return a choice as it is written on a command line, such as soft_gaussian:sigma=0.3."""
    if not isinstance(config, dict):
        return str(config)
    arguments = [f"{key}={value}" for key, value in config.items() if key != "name"]
    return f"{config['name']}:{','.join(arguments)}" if arguments else config["name"]


def check_values(config: dict) -> None:
    """Check that every argument of a choice is in its range, by default 0 to a million.

    Raises:
        InputError: names the choice and the argument.
    """
    name = config["name"]
    for key, value in config.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        low = -LARGEST if (name, key) in SIGNED else 0
        high = 1 if key in SHARES else WHOLE.get(key, LARGEST)
        got = f"got {reprlib.repr(value)}."
        for each in values:
            if isinstance(each, str) and key not in WORDS:
                raise InputError(f"{name}: {key} must be a number, {got}")
            number = isinstance(each, (int, float)) and not isinstance(each, bool)
            if number and not low <= each <= high:
                raise InputError(f"{name}: {key} must be from {low} to {high:g}, {got}")
            if key in WHOLE and not isinstance(each, int | None):
                raise InputError(f"{name}: {key} must be a whole number, {got}")
        if key in SWITCHES and not isinstance(value, bool):
            raise InputError(f"{name}: {key} must be True or False, {got}")
        if key in POSITIVE and value == 0:
            raise InputError(f"{name}: {key} must be more than 0, {got}")


def nms_config(nms: str | bool | dict) -> str | dict:
    """Return a choice of NMS as a name or a dict {"name": ..., **arguments}.

    Equal choices have equal values: arguments at their defaults are left out, True is "hard" and
    False "none".

    Raises:
        InputError: for an unknown name or argument, or a `sigma` out of range.
    """
    if nms in (True, False):
        return "hard" if nms else "none"
    given = dict(nms) if isinstance(nms, dict) else {"name": nms}
    name = given.pop("name", None)
    if name not in NMS:
        raise InputError(f"Unknown NMS {name!r}; known: {', '.join(NMS)}.")
    known = NMS_ARGUMENTS.get(name, {})
    if not set(given) <= set(known):
        unknown = ", ".join(sorted(set(given) - set(known)))
        allowed = ", ".join(known) or "none"
        raise InputError(f"{name}: unknown argument {unknown}; known: {allowed}.")
    sigma = given.get("sigma", 0.5)
    if not (isinstance(sigma, (int, float)) and 1e-3 <= sigma <= 1e3):
        raise InputError(f"{name}: sigma must be from 0.001 to 1000, got {sigma!r}.")
    return name if {**known, **given} == known else {"name": name, **given}


def complete(operations: Mapping[str, Mapping]) -> dict[str, dict[str, float]]:
    """Return augmentation operations as {name: {"chance", "strength"}}, with defaults filled in.

    Raises:
        ValueError: for unknown operations and arguments, and values out of range.
    """
    completed = {}
    for name, arguments in operations.items():
        if name not in OPERATIONS:
            raise ValueError(f"Unknown augmentation {name!r}; known: {', '.join(OPERATIONS)}.")
        if not isinstance(arguments, dict) or not set(arguments) <= set(USUAL):
            raise ValueError(f"{name}: the arguments are {', '.join(USUAL)}, got {arguments!r}.")
        values = completed[name] = {**USUAL, **arguments}
        numbers = all(isinstance(value, int | float) for value in values.values())
        if not (numbers and 0 <= values["chance"] <= 1 and 0 <= values["strength"] <= STRONGEST):
            raise ValueError(
                f"{name}: chance must be from 0 to 1 and strength from 0 to {STRONGEST}, "
                f"got {values}."
            )
    return completed
