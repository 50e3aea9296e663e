"""The choices of a command line: their names, and NAME or NAME:argument=value,argument=value."""

import argparse
import ast
import re

from ..errors import InputError

INVERSE_FREQUENCY = "inverse_frequency"  # as alpha: from the data set
ARGUMENT = re.compile(r"\w+=(?:\([^()]*\)|[^,()]+)")  # name=value, the value perhaps a tuple

# named here too, for the modules that define them import Keras
CLASSIFICATION_LOSSES = (
    "cross_entropy",
    "focal",
    "softmax_focal",
    "focal_star",
    "ghm_classification",
    "quality_focal",
    "varifocal",
)
BOX_LOSSES = (
    "l1",
    "l2",
    "smooth_l1",
    "ohem_smooth_l1",
    "ghm_regression",
    "iou",
    "giou",
    "diou",
    "ciou",
    "dfl",
    "gfl",
)
SELECTORS = ("ohem", "hard_negative")
ASSIGNERS = ("iou", "atss")
CODERS = ("center_size", "corners", "distances")
AUGMENTATIONS = ("none", "light", "default", "strong")
OPERATIONS = (
    "flip",
    "vertical_flip",
    "scale",
    "large_scale",
    "affine",
    "crop",
    "colour",
    "blur",
    "noise",
    "jpeg",
    "cutout",
    "mosaic",
    "mixup",
)

SIGNED = (("focal_star", "beta"), ("corners", "mean"))  # the arguments that may be below 0
SHARES = ("cutoff", "overlap", "share", "positive_overlap", "negative_overlap")  # 0 to 1
SWITCHES = ("best_anchor", "log")  # True or False
LARGEST = 1e6  # beyond it float32 overflows in squares


def choice_of(names):
    """A reader of a choice as {"name": ..., argument: ...}, for argparse."""

    def read(text):
        name, _, arguments = text.partition(":")
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(names)}. Received: {name!r}"
            )
        pairs = [pair.split("=", 1) for pair in ARGUMENT.findall(arguments)]
        try:
            given = {key: value_of(value) for key, value in pairs}
        except (ValueError, SyntaxError):
            given = None
        whole = ",".join(map("=".join, pairs)) == arguments
        if given is None or not whole or {"name", "from_logits"} & set(given):
            raise argparse.ArgumentTypeError(
                f"expected {name}:argument=value,... Received: {text!r}"
            )
        return {"name": name, **given}

    return read


def value_of(text):
    """A number, True, False, None or a tuple of them; a word stands for itself."""
    return text if text == INVERSE_FREQUENCY else ast.literal_eval(text)


def check_values(config):
    """InputError where an argument is out of its range: 0 to a million, if it is no exception."""
    name = config["name"]
    for key, value in config.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        low = -LARGEST if (name, key) in SIGNED else 0
        high = 1 if key in SHARES else LARGEST
        if any(not low <= number <= high for number in numbers):
            raise InputError(f"{name}: expected {key} from {low} to {high:g}. Received: {value}")
        if key in SWITCHES and not isinstance(value, bool):
            raise InputError(f"{name}: expected {key} True or False. Received: {value}")
        if key in ("share", "positive_overlap", "top_k") and value == 0:
            raise InputError(f"{name}: expected {key} above 0. Received: {value}")
