"""RetinaNets from `.keras` files, with one sentence for a file that holds something else."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

import keras

from ..errors import InputError
from ..typing import StrPath
from ..utils.anchors import AnchorParameters
from ..utils.config import read_anchors
from ..utils.text import listed
from . import load_model, same_backbone
from .detector import RetinaNet


def load_keras(path: StrPath, compile: bool = True) -> keras.Model:
    """Load the model in a `.keras` file, compiled as it was saved if `compile`.

    Raises:
        InputError: when there is no such file, or it holds no model of Keras.
    """
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder, not a .keras file.")
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file.")
    try:
        return load_model(path, compile=compile)
    except Exception as error:  # Keras raises many kinds for a file that is not its own
        unknown = re.search(r"Could not locate class '(\w+)'", str(error))
        words = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        reason = f"it has layers of the unknown class {unknown[1]}" if unknown else words
        raise InputError(f"{path} is not a model in Keras's .keras format: {reason}.") from None


def load_retinanet(path: StrPath, backbone: str | None = None, compile: bool = True) -> RetinaNet:
    """Load the RetinaNet in a `.keras` file; InputError if it is not one on `backbone`."""
    model = load_keras(path, compile)
    if not isinstance(model, RetinaNet):
        raise InputError(f"{path} holds a {type(model).__name__}, not a RetinaNet.")
    check_backbone(path, model.backbone_name, backbone)
    return model


def check_backbone(path: StrPath, held: str | None, asked: str | None) -> None:
    """Raise an InputError if the file holds another backbone than the one asked for."""
    if asked is not None and held is not None and not same_backbone(asked, held):
        raise InputError(f"{path} has the backbone {held}, not {asked}.")


def anchors_for(path: StrPath, model: RetinaNet) -> AnchorParameters:
    """Return the anchors of an INI file, placed as those of the model.

    Raises:
        InputError: for other pyramid levels, or another number of anchors at a place.
    """
    anchors, levels = read_anchors(path)
    if levels != model.pyramid_levels:
        raise InputError(
            f"{path}: levels must be the model's {model.pyramid_levels}, got {levels}."
        )
    count, held = anchors.num_anchors(), model.anchor_params.num_anchors()
    if count != held:
        raise InputError(
            f"{path}: ratios and scales must make {held} anchors at a place as in the model, "
            f"not {count}."
        )
    return dataclasses.replace(model.anchor_params, **anchors.rows())


def check_classes(path: StrPath, model: RetinaNet, names: Sequence[str]) -> None:
    """Raise an InputError unless the model counts the classes of a data set, in their order."""
    count = model.num_classes
    if model.class_names not in (None, list(names)) or count != len(names):
        held = listed(model.class_names or [f"{count} classes without names"])
        raise InputError(
            f"{path} detects the classes {held}, but the data set has {listed(names)}."
        )
