"""Load RetinaNets from `.keras` files; an InputError says what is wrong with any other file."""

from __future__ import annotations

import dataclasses
import os
import re
import zipfile
import zlib
from collections.abc import Sequence

import keras

from ..errors import InputError
from ..typing import StrPath
from ..utils.anchors import AnchorParameters
from ..utils.config import read_anchors
from ..utils.text import listed, printable
from . import load_model, same_backbone
from .detector import RetinaNet
from .finite import check_finite
from .precision import set_precision

ENTRIES = ("config.json", "metadata.json", "model.weights.h5")
INFLATION = 20  # most times its size that a compressed archive may expand to


def load_keras(path: StrPath, compile: bool = True) -> keras.Model:
    """Load the model in a `.keras` file, compiled as it was saved if `compile`.

    Without `compile` a detector calculates in float32, whatever it was trained in.

    Raises:
        InputError: if there is no such file, or it is not a Keras model.
    """
    check_archive(path)
    try:
        model = load_model(path, compile=compile)
        if not compile and isinstance(model, RetinaNet):
            set_precision(model, "float32")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # Keras raises many kinds of errors for a foreign file
        raise InputError(f"{path}: {reason_of(error)}.") from None
    check_finite(path, model)
    return model


def check_archive(path: StrPath) -> None:
    """Raise an InputError unless a file has the entries of a `.keras` file, of normal size."""
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder; pass a .keras file.")
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file.")
    with open(path, "rb") as file:
        start = file.read(8)
    if not start:
        raise InputError(f"{path}: an empty file; pass a .keras file.")
    if start == b"\x89HDF\r\n\x1a\n":
        raise InputError(
            f"{path}: an HDF5 file, not a .keras file; convert it with retinanet-import-weights."
        )
    if start[:4] != b"PK\x03\x04":
        raise InputError(f"{path}: not a .keras file; pass a model that Keras saved.")
    try:
        with zipfile.ZipFile(path) as archive:
            check_entries(path, archive)
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        raise InputError(f"{path}: truncated or damaged; copy or save it again.") from None


def check_entries(path: StrPath, archive: zipfile.ZipFile) -> None:
    """Raise an InputError unless an archive has an undamaged model of normal size."""
    sizes = [info.file_size for info in archive.infolist()]
    if sum(sizes) > INFLATION * os.path.getsize(path):
        raise InputError(
            f"{path}: expands to over {INFLATION} times its size; do not use the file."
        )
    names = archive.namelist()
    if "config.json" not in names:
        raise InputError(f"{path}: a zip archive, but not a .keras file: it has no config.json.")
    if missing := [name for name in ENTRIES if name not in names]:
        raise InputError(f"{path}: damaged: it has no {missing[0]}; save the model again.")
    if archive.testzip() is not None:  # Keras would load the undamaged part
        raise zipfile.BadZipFile


def reason_of(error: Exception) -> str:
    """Return a phrase that says why Keras could not load a file."""
    words = str(error).strip()
    if unknown := re.search(r"Could not locate class '(\w+)'", words):
        return f"it has layers of the unknown class {unknown[1]}"
    if "lambda" in words.lower():
        return "it has a Lambda layer, which could run any code; save the model without it"
    if isinstance(error, (zipfile.BadZipFile, EOFError, zlib.error)):
        return "truncated or damaged; copy or save it again"
    if "could not be loaded" in words:
        return "damaged: its weights do not fit its layers"
    first = printable(words.splitlines()[0].partition(". ")[0]) if words else type(error).__name__
    return f"damaged, or not a Keras model: {first.rstrip('.')}"


def load_retinanet(path: StrPath, backbone: str | None = None, compile: bool = True) -> RetinaNet:
    """Load the RetinaNet in a `.keras` file; InputError if it has another backbone."""
    model = load_keras(path, compile)
    if not isinstance(model, RetinaNet):
        raise InputError(f"{path} holds a {type(model).__name__}, not a RetinaNet.")
    check_layers(path, model)
    check_backbone(path, model.backbone_name, backbone)
    return model


def check_layers(path: StrPath, model: RetinaNet) -> None:
    """Raise an InputError unless a detector has the outputs and classes that its options state."""
    names = {layer.name for layer in model.layers}
    wanted = {"classification", *(f"P{level}" for level in model.pyramid_levels)}
    if missing := sorted(wanted - names):
        raise InputError(f"{path}: damaged: the detector has no layer {missing[0]}.")
    if not model.is_training_model and model.output_names[:3] != ["boxes", "scores", "labels"]:
        raise InputError(f"{path}: damaged: the outputs are {listed(model.output_names)}.")
    if model.class_names is not None and len(model.class_names) != model.num_classes:
        count = len(model.class_names)
        raise InputError(f"{path}: damaged: {count} names for {model.num_classes} classes.")


def check_backbone(path: StrPath, held: str | None, asked: str | None) -> None:
    """Raise an InputError if the model has the backbone `held`, and `asked` is another one."""
    if asked is not None and held is not None and not same_backbone(asked, held):
        raise InputError(
            f"{path} has the backbone {held}, not {asked}; name that backbone or none."
        )


def anchors_for(path: StrPath, model: RetinaNet) -> AnchorParameters:
    """Return the anchors of an INI file, with the model's anchor placement.

    Raises:
        InputError: if the pyramid levels or the number of anchors per location differ.
    """
    anchors, levels = read_anchors(path)
    if levels != model.pyramid_levels:
        raise InputError(
            f"{path}: levels must be the model's {model.pyramid_levels}, got {levels}."
        )
    count, held = anchors.num_anchors(), model.anchor_params.num_anchors()
    if count != held:
        raise InputError(
            f"{path}: ratios and scales must give {held} anchors per location as in the model, "
            f"got {count}."
        )
    return dataclasses.replace(model.anchor_params, **anchors.rows())


def check_classes(path: StrPath, model: RetinaNet, names: Sequence[str]) -> None:
    """Raise an InputError unless the model has the classes of a data set, in the same order."""
    count = model.num_classes
    if model.class_names not in (None, list(names)) or count != len(names):
        held = listed(model.class_names or [f"{count} classes without names"])
        raise InputError(
            f"{path} detects the classes {held}, but the data set has {listed(names)}."
        )
