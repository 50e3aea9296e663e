"""Models: backbones by name; loading, checking and converting detectors."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import keras

from .. import layers
from ..errors import InputError
from ..typing import StrPath
from ..utils.anchors import AnchorParameters
from .backbone import Backbone
from .convnext import ConvNeXtBackbone
from .custom import CustomBackbone
from .densenet import DenseNetBackbone
from .detector import RetinaNet
from .effnet import EfficientNetBackbone
from .inference import detections_model, output_names, postprocess_of
from .mobilenet import MobileNetBackbone
from .resnet import ResNetBackbone
from .senet import SeBackbone
from .vgg import VGGBackbone

__all__ = [
    "Backbone",
    "RetinaNet",
    "assert_training_model",
    "backbone",
    "backbone_names",
    "check_training_model",
    "convert_model",
    "load_model",
    "same_backbone",
]

BACKBONES = {
    "resnet": ResNetBackbone,
    "senet": SeBackbone,
    "vgg": VGGBackbone,
    "densenet": DenseNetBackbone,
    "mobilenet": MobileNetBackbone,
    "efficientnet": EfficientNetBackbone,
    "convnext": ConvNeXtBackbone,
}


def backbone(
    backbone_name: str | keras.Model, taps: Sequence[str] | str | None = None, **options: Any
) -> Backbone:
    """Return the Backbone of a name, such as `resnet50` or `mobilenet224_0.25`.

    Instead of a name, pass a functional Keras model and `taps`, the names of its layers that give
    C3 to C5 or C2 to C5. The options depend on the family: see `ResNetBackbone` and
    `CustomBackbone`.
    """
    if not isinstance(backbone_name, str):
        return CustomBackbone(backbone_name, taps or [], **options)
    if taps is not None:
        raise InputError(f"taps are only for a Keras model; remove them for {backbone_name!r}.")
    family, name = _family_of(backbone_name)
    if family is None:
        known = ", ".join(backbone_names())
        raise InputError(f"Unknown backbone {backbone_name!r}; known: {known}.")
    return family(name, **options)


def _family_of(name: str) -> tuple[type[Backbone] | None, str]:
    """Return (family, the name as the family spells it), or (None, name) for an unknown name."""
    for family in BACKBONES.values():
        known = family.known_as(name)
        if known in family.allowed():
            return family, known
    return None, name


def same_backbone(name: str, other: str) -> bool:
    """Return True if two names are spellings of one backbone; unknown names must be equal."""
    return _family_of(name) == _family_of(other)


def backbone_names() -> list[str]:
    """Return all names that `backbone` knows."""
    return [name for family in BACKBONES.values() for name in family.allowed()]


def load_model(
    filepath: StrPath, backbone_name: str = "resnet50", compile: bool = True
) -> keras.Model:
    """Load the model in a `.keras` file, which names its backbone; `backbone_name` is ignored."""
    return keras.saving.load_model(str(filepath), compile=compile)


def assert_training_model(model: keras.Model) -> None:
    """Raise an AssertionError unless `model` has the outputs regression and classification."""
    names = output_names(model)
    assert {"regression", "classification"} <= set(names), (
        f"A training model has outputs regression and classification, but this one has {names}."
    )


def check_training_model(model: keras.Model) -> None:
    """Print the reason and exit with status 1 unless `model` is a training model."""
    try:
        assert_training_model(model)
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def convert_model(
    model: keras.Model,
    nms: str | bool | dict | None = None,
    class_specific_filter: bool | None = None,
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
    parallel_iterations: int = 32,
    **kwargs: Any,
) -> RetinaNet:
    """Return the inference model of a training model, see `inference.detections_model`.

    `kwargs` are fields of `PostProcess`. An argument that is None takes the model's value.
    """
    asked = {"nms": nms, "class_specific_filter": class_specific_filter, **kwargs}
    asked = {name: value for name, value in asked.items() if value is not None}
    name = asked.pop("name", "retinanet-bbox")
    postprocess = dataclasses.replace(postprocess_of(model), **asked)
    return detections_model(model, postprocess, anchor_params, pyramid_levels, name)
