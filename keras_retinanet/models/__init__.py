"""Models: backbones by name, and what is done with a detector once it is trained."""

import sys

import keras

from .. import layers  # noqa: F401  registers the layers that saved models hold
from .backbone import Backbone
from .detector import RetinaNet
from .mobilenet import MobileNetBackbone
from .resnet import ResNetBackbone
from .retinanet import retinanet_bbox

__all__ = [
    "Backbone",
    "RetinaNet",
    "assert_training_model",
    "backbone",
    "check_training_model",
    "convert_model",
    "load_model",
]

BACKBONES = {"resnet": ResNetBackbone, "mobilenet": MobileNetBackbone}


def backbone(backbone_name):
    """The Backbone of that name, such as `resnet50` or `mobilenet224_0.25`."""
    for family, build in BACKBONES.items():
        if backbone_name.startswith(family):
            return build(backbone_name)
    known = [name for build in BACKBONES.values() for name in build.allowed()]
    raise ValueError(f"Expected a backbone among {known}. Received: {backbone_name!r}.")


def load_model(filepath, backbone_name="resnet50", compile=True):
    """The model in a `.keras` file. `backbone_name` is not needed: the file knows."""
    return keras.saving.load_model(str(filepath), compile=compile)


def assert_training_model(model):
    """Raises an AssertionError unless `model` has the outputs regression and classification."""
    names = getattr(model, "output_names", [])
    assert {"regression", "classification"} <= set(names), (
        f"Expected a training model, with outputs regression and classification. Received: {names}."
    )


def check_training_model(model):
    """Prints the reason and exits with status 1 unless `model` is a training model."""
    try:
        assert_training_model(model)
    except AssertionError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def convert_model(
    model,
    nms=None,
    class_specific_filter=None,
    anchor_params=None,
    pyramid_levels=None,
    **kwargs,
):
    """The inference model of a training model; what is None is as the model knows, see
    `retinanet_bbox`.
    """
    asked = {"nms": nms, "class_specific_filter": class_specific_filter, **kwargs}
    known = getattr(model, "detection", {})
    options = {**known, **{name: value for name, value in asked.items() if value is not None}}
    return retinanet_bbox(
        model, anchor_params=anchor_params, pyramid_levels=pyramid_levels, **options
    )
