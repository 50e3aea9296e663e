"""keras-retinanet's `.h5` files: training models, inference models, or only weights.

A model on a ResNet or VGG takes the images that `preprocess_image` gives, as in keras-retinanet;
a model on a DenseNet or MobileNet, which was trained on BGR at the scale of mode tf, takes RGB of 0
to 255. Settings in the file are kept too: the padding of the first convolution, and the anchors,
box coder and filter of an inference model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np

from ..choices import CODERS
from ..errors import InputError
from ..models import backbone as make_backbone
from ..models.options import check_anchors, check_choice
from ..parts import Design, Freeze
from ..presets import KERAS_RETINANET
from ..typing import ClassNames, StrPath, Tensors
from ..utils.anchors import AnchorParameters
from ..utils.text import listed, printable
from . import Imported
from .coco import names_for
from .files import read_tensors
from .hdf5 import members
from .shapes import count_classes, shape_of
from .signs import received
from .weight_map import Entry, copy

FILTER = ("class_specific_filter", "nms_threshold", "score_threshold", "max_detections")
OUTPUTS = ("regression", "classification")
LEVELS = range(2, 8)
# assumptions about files that leave something open
ANCHORS = "keras-retinanet's default anchors; if it was trained with others, give them"
STEM = "keras-resnet 0.2, whose first convolution pads as Keras does; an .h5 file would show it"


def load(
    path: StrPath,
    class_names: ClassNames = None,
    backbone: str | None = None,
    anchors: AnchorParameters | None = None,
) -> Imported:
    """Load the training model of keras-retinanet from an `.h5` file.

    Args:
        backbone: the name that the backbone must have. For a MobileNet it also gives the image
            size, which the weights do not show; by default 224.
        anchors: the anchors that the model was trained with; None assumes keras-retinanet's
            default. An inference model contains its anchors.
    """
    tensors = canonical(read_tensors(path))
    family, name = family_of(path, tensors, backbone)
    names, layers = structure(path)
    levels = [level for level in LEVELS if f"P{level}/kernel" in tensors]
    try:
        has_anchors = anchors is not None or bool(of_class(layers, "Anchors"))
        anchors = anchors or anchors_in(layers, levels)
        design = decoding(layers)
        check_choice("coder", design.coder, CODERS)
        check_anchors(levels, anchors)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its model_config is damaged: {printable(error)}.") from None
    if len(anchors.sizes) != len(levels):
        raise InputError(
            f"{path}: give anchors for its pyramid levels {listed(levels)}, "
            f"not for {len(anchors.sizes)} levels."
        )
    kernels = [f"{output}_submodel/pyramid_{output}/kernel" for output in OUTPUTS]
    boxes, scores = (shape_of(path, tensors, kernel)[-1] for kernel in kernels)  # channels
    classes = count_classes(path, boxes, scores, anchors.num_anchors())
    design = replace(
        design,
        pyramid=replace(design.pyramid, levels=tuple(levels)),
        anchors=anchors,
        inputs=replace(design.inputs, normalization=family.normalization),
    )
    model = make_backbone(name, **family.options, **stem_of(tensors, names)).detector(
        names_for(path, classes, class_names) or classes,
        design=design,
        freeze=Freeze(batch_norm=True),
    )
    copy(path, tensors, model, weight_map(model, tensors))
    unknown = {ANCHORS: not has_anchors, STEM: "bn_conv1/gamma" in tensors and not names}
    return Imported(model, tuple(line for line, is_unknown in unknown.items() if is_unknown))


# the names of tensors


def canonical(tensors: Tensors) -> Tensors:
    """Return the tensors {name: array} under the original names of their layers.

    TensorFlow 1 numbered repeated names in a session: the last convolution of a head may be called
    pyramid_regression_8. The order of the convolutions is always the same.
    """
    places = {re.sub(r"^(.+)/\1(_\d+)?/", r"\1/", name): name for name in tensors}
    for output in OUTPUTS:
        head = f"{output}_submodel"
        layers = [*(f"pyramid_{output}_{i}" for i in range(4)), f"pyramid_{output}"]
        wanted = [f"{head}/{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
        found = [name for name in places if name.startswith(f"{head}/")]
        if len(found) == len(wanted) and set(found) != set(wanted):
            numbered = [places.pop(name) for name in found]
            places |= dict(zip(wanted, numbered, strict=True))
    return {name: tensors[place] for name, place in places.items()}


def weight_map(model: keras.Model, tensors: Tensors) -> list[Entry]:
    """Map all weights of `model`; some backbones have other names here than in keras-retinanet."""
    numbered = {name[3] for name in tensors if re.match(r"res\db1_", name)}
    entries = []
    for layer in model.layers:
        parts = layer.layers if isinstance(layer, keras.Model) else [layer]
        for part in parts:
            name = layer_name(part.name, tensors, numbered)
            name = name if part is layer else f"{layer.name}/{name}"
            for weight in part.weights:
                kind = weight.name
                if isinstance(part, keras.layers.DepthwiseConv2D) and kind == "kernel":
                    kind = "depthwise_kernel"
                entries.append(Entry(f"{name}/{kind}", weight))
    return entries


def layer_name(name: str, tensors: Tensors, numbered: Collection[str] = ()) -> str:
    """Return the file's name of our layer `name`.

    `numbered` are the stages of a ResNet whose blocks have numbers in the file instead of letters:
    3a, 3b1, 3b2 for 3a, 3b, 3c.
    """
    if "bn_conv1/gamma" in tensors:  # keras-resnet
        block = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", name)
        if block is None:
            return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}.get(name, name)
        stage, number, place, kind = block.groups()
        count = int(number) - 1
        letter = f"b{count}" if count and stage in numbered else chr(ord("a") + count)
        branch = "1" if place == "0" else f"2{'abc'[int(place) - 1]}"
        return f"{'res' if kind == 'conv' else 'bn'}{stage}{letter}_branch{branch}"
    if "conv1/conv/kernel" in tensors:  # DenseNet
        return {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn"}.get(name, name)
    return name


# the backbone


class Family(NamedTuple):
    """Backbones that share the names of their tensors."""

    size: Callable[[Tensors], int]  # gives the key in `names`
    names: dict[int, str]
    normalization: str | None = None  # None if `preprocess_image` normalizes
    options: Mapping[str, Any] = MappingProxyType({})  # of the backbone


def count(pattern: str) -> Callable[[Tensors], int]:
    """Return a function that counts the tensors whose name matches a pattern."""
    return lambda tensors: sum(bool(re.fullmatch(pattern, name)) for name in tensors)


FAMILIES = {  # by a tensor that only this family has
    "bn_conv1/gamma": Family(
        count(r"res4\w+_branch2a/kernel"),
        {6: "resnet50", 23: "resnet101", 36: "resnet152"},
        options={"stride_in": "1x1", "epsilon": 1e-5, "stem_padding": "same"},
    ),
    "block1_conv1/kernel": Family(count(r"block5_conv\d/kernel"), {3: "vgg16", 4: "vgg19"}),
    "conv1/conv/kernel": Family(
        count(r"conv4_block\d+_1_conv/kernel"),
        {24: "densenet121", 32: "densenet169", 48: "densenet201"},
        "tf_bgr",
    ),
    "conv_dw_1/depthwise_kernel": Family(
        lambda tensors: np.size(tensors.get("conv1_bn/gamma", ())),  # channels
        {round(32 * width): f"mobilenet224_{width}" for width in (0.25, 0.5, 0.75, 1.0)},
        "tf_bgr",
    ),
}


def family_of(path: StrPath, tensors: Tensors, backbone: str | None = None) -> tuple[Family, str]:
    """Return (Family, name) of a file's backbone, which must have the name `backbone` if given."""
    family = next((FAMILIES[mark] for mark in FAMILIES if mark in tensors), None)
    if family is None:
        raise InputError(
            f"{path}: not a RetinaNet of keras-retinanet on a ResNet, VGG, DenseNet or MobileNet, "
            f"but {received(tensors)}."
        )
    found = family.size(tensors)
    name = family.names[min(family.names, key=lambda size: abs(size - found))]  # or some lack
    if backbone is not None and sizeless(backbone) != sizeless(name):
        raise InputError(f"{path}: the backbone is {name}, not {backbone}.")
    return family, backbone or name


def sizeless(name: str) -> str:
    """Return the name of a backbone without the size of a MobileNet's images."""
    return re.sub(r"^mobilenet(?:128|160|192|224)_(\d\.\d+?)0*$", r"mobilenet_\1", name)


def stem_of(tensors: Tensors, names: list[str]) -> dict:
    """Return the ResNet option for the stem of a file with these tensors and layer names.

    keras-resnet 0.1 pads its first convolution in a separate layer; 0.2 lets Keras pad it. Old
    MobileNets pad the first convolution below and on the right, which gives the same results as
    here if the image sides are even.
    """
    is_newer = "bn_conv1/gamma" in tensors and "padding_conv1" not in names
    return {"conv1_padding": "same"} if is_newer else {}


# the content of a file beside weights


def structure(path: StrPath) -> tuple[list[str], list[dict]]:
    """Return the names of a file's layers, and the layers' configurations if it has a model."""
    if not h5py.is_hdf5(path):
        return [], []  # only tensors, as in safetensors
    with h5py.File(path, "r") as file:
        root = members(file).get("model_weights", file)
        names = list(root) if isinstance(root, h5py.Group) else []
        config = file.attrs.get("model_config", '{"config": {"layers": []}}')
    try:
        layers = json.loads(config)["config"]["layers"]
        return names, [{"class_name": each["class_name"], **each["config"]} for each in layers]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: its model_config is damaged: {printable(error)}.") from None


def of_class(layers: list[dict], name: str) -> list[dict]:
    """Return the configurations of the layers of a class, by the numbers in their names."""
    found = [layer for layer in layers if layer["class_name"] == name]
    return sorted(found, key=lambda layer: [int(n) for n in re.findall(r"\d+", layer["name"])])


def anchors_in(layers: list[dict], levels: list[int]) -> AnchorParameters:
    """Return the anchors of the `Anchors` layers, or keras-retinanet's default without layers."""
    places = of_class(layers, "Anchors")
    if not places:
        strides = [2**level for level in levels]
        return AnchorParameters([4 * stride for stride in strides], strides)
    given = {key: places[0][key] for key in ("ratios", "scales") if places[0].get(key)}
    sizes, strides = ([place[key] for place in places] for key in ("size", "stride"))
    return AnchorParameters(sizes, strides, **given)


def decoding(layers: list[dict]) -> Design:
    """Return the design with the box coder and the filter of an inference model, by default
    keras-retinanet's.
    """
    coder, postprocess = KERAS_RETINANET.coder, KERAS_RETINANET.postprocess
    for layer in of_class(layers, "RegressBoxes"):
        given = {key: layer[key] for key in ("mean", "std") if layer.get(key) is not None}
        coder = {"name": "corners", **given}
    for layer in of_class(layers, "FilterDetections"):
        postprocess = replace(
            postprocess,
            nms="hard" if layer.get("nms", True) else "none",
            clip="before" if of_class(layers, "ClipBoxes") else "after",
            **{key: layer[key] for key in FILTER if key in layer},
        )
    return replace(KERAS_RETINANET, coder=coder, postprocess=postprocess)
