"""The choices of a command line: their names, and NAME or NAME:argument=value,argument=value."""

import argparse
import ast
import re

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
