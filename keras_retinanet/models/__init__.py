"""Models: backbones by name, and what is done with a detector once it is trained."""

import sys

import keras

from .. import layers  # noqa: F401  registers the layers that saved models hold
from ..errors import InputError
from .backbone import Backbone
from .convnext import ConvNeXtBackbone
from .custom import CustomBackbone
from .densenet import DenseNetBackbone
from .detector import RetinaNet
from .effnet import EfficientNetBackbone
from .mobilenet import MobileNetBackbone
from .resnet import ResNetBackbone
from .retinanet import retinanet_bbox
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


def backbone(backbone_name, taps=None, **options):
    """The Backbone of a name, such as `resnet50` or `mobilenet224_0.25`, or of any functional Keras
    model with `taps`, the names of its layers that give C3 to C5 or C2 to C5.

    Options are those of the family: see `ResNetBackbone`, and for a model `CustomBackbone`.
    """
    if not isinstance(backbone_name, str):
        return CustomBackbone(backbone_name, taps or [], **options)
    if taps is not None:
        raise InputError(f"Expected a Keras model for these taps. Received: {backbone_name!r}.")
    family, name = _family_of(backbone_name)
    if family is None:
        known = backbone_names()
        raise ValueError(f"Expected a backbone among {known}. Received: {backbone_name!r}.")
    return family(name, **options)


def _family_of(name):
    """(family, its own spelling) of the backbone of a name; (None, name) of one that none knows."""
    for family in BACKBONES.values():
        known = family.known_as(name)
        if known in family.allowed():
            return family, known
    return None, name


def same_backbone(name, other):
    """Whether two names are those of one backbone; a model of one's own may have any."""
    return _family_of(name) == _family_of(other)


def backbone_names():
    """All names that `backbone` knows."""
    return [name for family in BACKBONES.values() for name in family.allowed()]


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
