"""RetinaNets of KerasHub, from the preset folder that `save_to_preset` writes.

Its configurations describe the model. Keras 3 numbers weights: a convolution's are named
"layers/conv2d_3/vars/0" and so on, where 3 counts the convolutions of the model.
"""

from __future__ import annotations

import json
import os
import re
import reprlib
from dataclasses import replace

import keras
import numpy as np

from ..errors import InputError
from ..models import backbone as make_backbone
from ..models.build import anchors_of
from ..models.options import check_anchors
from ..normalization import NORMALIZATIONS
from ..options import COUNT, POSITIVE, check_number
from ..parts import Design, Freeze, Heads, Inputs, PostProcess, Pyramid
from ..presets import KERASHUB
from ..typing import ClassNames, StrPath, Tensors
from ..utils.anchors import AnchorParameters
from ..utils.text import printable, read_text
from . import Imported
from .coco import coco_91, names_for
from .files import read_tensors
from .shapes import shape_of
from .weight_map import RESNETS, Entry, copy

PYRAMID, HEADS = "model.weights.h5", "task.weights.h5"
CONVOLUTIONS = {"basic_block": 2, "bottleneck_block": 3}  # of a block
RESNET = {  # our ResNets in KerasHub's configuration
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 128, 256, 512],
    "stackwise_num_strides": [1, 2, 2, 2],
    "use_pre_activation": False,
}
RESIZED = {"pad_to_aspect_ratio": True, "interpolation": "bilinear", "antialias": False}
GROUP_NORM_EPSILON = 1e-3  # Keras's default
IGNORED = (f"{HEADS}/optimizer/*",)


def load(path: StrPath, class_names: ClassNames = None, backbone: str | None = None) -> Imported:
    """Load the training model of a KerasHub RetinaNetObjectDetector from a preset folder."""
    path = os.fspath(path)
    file = os.path.join(path, "task.json")
    try:
        task = configuration(file)
        name = resnet_of(task)
        check_number("num_classes", task["num_classes"], COUNT)
        design, factors = design_of(task)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    except KeyError as error:
        raise InputError(f"{file}: {error} is missing; is it a preset of KerasHub?") from None
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not as KerasHub writes it: {printable(error)}.") from None
    if backbone not in (None, name):
        raise InputError(f"{path}: the backbone is {name}, not {backbone}.")
    tensors = tensors_of(path)
    classes = task["num_classes"]
    check_scores(path, tensors, classes * anchors_of(design).num_anchors())
    class_names = names_for(path, classes, class_names, coco_91())
    model = make_backbone(name).detector(
        class_names or classes, design=design, freeze=Freeze(batch_norm=True)
    )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.GroupNormalization):
            layer.epsilon = GROUP_NORM_EPSILON
    copy(path, tensors, model, weight_map(model, factors), IGNORED)
    return Imported(model)


def check_scores(path: str, tensors: Tensors, scores: int) -> None:
    """Check that the weights have as many scores per location as the preset states."""
    shape = shape_of(path, tensors, f"{HEADS}/layers/prediction_head_1/prediction_layer/vars/0")
    if shape[-1] != scores:
        raise InputError(
            f"{path}: task.json describes {scores} scores per location, "
            f"but {HEADS} has {shape[-1]}."
        )


# the configuration


def configuration(path: str) -> dict:
    """Return the configuration of the detector in a task.json."""
    if not os.path.isfile(path):
        raise InputError("no such file; name the folder of a detector's preset.")
    try:
        task = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {printable(error)}.") from None
    return part({"task": task}, "task", "RetinaNetObjectDetector")


def part(config: dict, name: str, kind: str) -> dict:
    """Return the configuration of the object `name` in `config`, which must be a `kind`."""
    found = config[name]
    held = found.get("class_name") if isinstance(found, dict) else found
    if held != kind:
        raise InputError(f"{name} must be a {kind}, got {reprlib.repr(held)}.")
    return _dict(found, "config")


def _dict(config: dict, name: str) -> dict:
    if not isinstance(config[name], dict):
        raise InputError(f"{name} must be an object, got {reprlib.repr(config[name])}.")
    return config[name]


def resnet_of(task: dict) -> str:
    """Return the name of the ResNet; InputError for all but ResNet-18 to 152 of version 1."""
    pyramid = part(task, "backbone", "RetinaNetBackbone")
    encoder = part(pyramid, "image_encoder", "ResNetBackbone")
    convolutions = CONVOLUTIONS.get(encoder["block_type"], 0)
    name = RESNETS.get((tuple(encoder["stackwise_num_blocks"]), convolutions))
    wrong = [key for key, value in RESNET.items() if encoder[key] != value]
    if name is None:
        wrong += ["block_type", "stackwise_num_blocks"]
    if wrong:
        words = ", ".join(f"{key} {reprlib.repr(encoder[key])}" for key in wrong)
        raise InputError(
            f"image_encoder must be a ResNet-18, 34, 50, 101 or 152, not one with {words}."
        )
    return name if convolutions == 2 else f"{name}v1.5"


def design_of(task: dict) -> tuple[Design, np.ndarray]:
    """Return the design, and the factors (3,) from `inputs_of`."""
    inputs, factors = inputs_of(task)
    pyramid, anchors = levels_of(task)
    heads = Heads(
        depth=task.get("pre_logits_num_conv_layers", 4),
        norm="group" if task.get("use_prediction_head_norm") else "none",
    )
    design = replace(
        KERASHUB,
        pyramid=pyramid,
        heads=heads,
        anchors=anchors,
        inputs=inputs,
        postprocess=postprocess_of(task),
    )
    return design, factors


def inputs_of(task: dict) -> tuple[Inputs, np.ndarray]:
    """Return the `Inputs` of the preset, and factors (3,) for the first convolution's kernel.

    The factors, one per channel, correct a scale that differs from this package's normalization.
    """
    if task["preprocessor"] is None:
        inputs = replace(
            KERASHUB.inputs, normalization="raw", image_min_side=None, image_max_side=None
        )
        return inputs, np.ones(3)
    preprocessor = _dict(_dict(task, "preprocessor"), "config")
    converter = _dict(_dict(preprocessor, "image_converter"), "config")
    scale, offset = (
        np.broadcast_to(default if converter[key] is None else converter[key], 3).astype("float64")
        for key, default in (("scale", 1.0), ("offset", 0.0))
    )
    known = {key: value for key, value in NORMALIZATIONS.items() if value["order"] == "rgb"}
    usable = scale.all() and np.isfinite(scale).all()
    same = [key for key in known if usable and np.allclose(known[key]["mean"] * scale, -offset)]
    if not same:
        raise InputError(
            f"scale {scale.tolist()} and offset {offset.tolist()} do not subtract the means of "
            f"one of {', '.join(known)}."
        )
    size = converter["image_size"]
    for key, value in RESIZED.items():
        if size is not None and converter[key] != value:
            raise InputError(f"{key} must be {value}, got {reprlib.repr(converter[key])}.")
    height, width = (None, None) if size is None else size
    inputs = replace(
        KERASHUB.inputs,
        normalization=same[0],
        image_min_side=height,
        image_max_side=width,
        resize="kerashub" if size is not None else KERASHUB.inputs.resize,
    )
    return inputs, scale * known[same[0]]["std"]


def levels_of(task: dict) -> tuple[Pyramid, AnchorParameters]:
    """Return the pyramid and its anchors."""
    pyramid = _dict(_dict(task, "backbone"), "config")
    places = part(task, "anchor_generator", "AnchorGenerator")
    low, high, count = pyramid["min_level"], pyramid["max_level"], places["num_scales"]
    check_number("min_level", low, "from 2 to 5")
    check_number("max_level", high, "from 5 to 7")
    check_number("num_scales", count, "from 1 to 20")
    check_number("anchor_size", places["anchor_size"], POSITIVE, float)
    if (places["min_level"], places["max_level"]) != (low, high):
        raise InputError(f"the anchors must have the pyramid's levels {low} to {high}.")
    if pyramid.get("use_fpn_batch_norm"):
        raise InputError("use_fpn_batch_norm must be false.")
    levels = list(range(low, high + 1))
    strides = [2**level for level in levels]
    anchors = replace(
        anchors_of(KERASHUB),
        sizes=[places["anchor_size"] * stride for stride in strides],
        strides=strides,
        ratios=places["aspect_ratios"],
        scales=[2 ** (i / count) for i in range(count)],
    )
    check_anchors(levels, anchors)
    p6_from = "C5" if pyramid["use_p5"] else "P5"  # KerasHub calls our C5 P5
    return replace(KERASHUB.pyramid, levels=tuple(levels), p6_from=p6_from), anchors


def postprocess_of(task: dict) -> PostProcess:
    """Return KerasHub's post-processing with the thresholds of the prediction decoder."""
    decoder = part(task, "prediction_decoder", "NonMaxSuppression")
    if not decoder["from_logits"]:
        raise InputError("from_logits of the prediction_decoder must be true.")
    return replace(
        KERASHUB.postprocess,
        nms_threshold=decoder["iou_threshold"],
        score_threshold=decoder["confidence_threshold"],
        max_detections=decoder["max_detections"],
    )


# the weights


def tensors_of(path: StrPath) -> Tensors:
    """Return {file/name: array} of both weight files."""
    return {
        f"{file}/{name}": value
        for file in (PYRAMID, HEADS)
        for name, value in read_tensors(os.path.join(path, file)).items()
    }


def weight_map(model: keras.Model, factors: np.ndarray) -> list[Entry]:
    """Map all weights of `model`; `factors` (3,) come from `inputs_of`."""
    entries = []
    for i, name in enumerate(convolutions_of(model)):
        encoder = f"{PYRAMID}/layers/functional/layers"
        entries += weights_of(f"{encoder}/{numbered('conv2d', i)}", model.get_layer(f"{name}_conv"))
        place = f"{encoder}/{numbered('batch_normalization', i)}"
        entries += weights_of(place, model.get_layer(f"{name}_bn"))
    entries[0] = entries[0]._replace(convert=lambda kernel: kernel * factors[:, None])
    pyramid = f"{PYRAMID}/layers/feature_pyramid"
    for i, level in enumerate(model.pyramid_levels):
        place = f"{pyramid}/output_conv_layers/{numbered('conv2d', i)}"
        entries += weights_of(place, model.get_layer(f"P{level}"))
        if level <= 5:
            place = f"{pyramid}/lateral_conv_layers/{numbered('conv2d', i)}"
            entries += weights_of(place, model.get_layer(f"C{level}_reduced"))
    for i, output in enumerate(("regression", "classification")):
        place = f"{HEADS}/layers/{numbered('prediction_head', i)}"
        head = model.get_layer(f"{output}_submodel")
        for layer in head.layers:
            found = re.fullmatch(r"pyramid_[a-z]+_(\d+)(_norm)?", layer.name)
            if layer.name == f"pyramid_{output}":
                entries += weights_of(f"{place}/prediction_layer", layer)
            elif found and layer.weights:
                rows, kind = (
                    ("group_norm", "group_normalization") if found[2] else ("conv", "conv2d")
                )
                source = f"{place}/{rows}_layers/{numbered(kind, int(found[1]))}"
                entries += weights_of(source, layer)
    return entries


def convolutions_of(model: keras.Model) -> list[str]:
    """Return the names of the encoder's convolutions in this package's model, in KerasHub's order.

    In each block the shortcut's convolution comes before the last one.
    """
    known = {layer.name for layer in model.layers}
    names = ["conv1"]
    for layer in model.layers:
        if re.fullmatch(r"conv\d_block\d+_out", layer.name):
            block = layer.name.removesuffix("_out")
            parts = [f"{block}_{i}" for i in (1, 2, 3) if f"{block}_{i}_conv" in known]
            shortcut = [f"{block}_0"] if f"{block}_0_conv" in known else []
            names += [*parts[:-1], *shortcut, parts[-1]]
    return names


def weights_of(place: str, layer: keras.layers.Layer) -> list[Entry]:
    return [Entry(f"{place}/vars/{i}", weight) for i, weight in enumerate(layer.weights)]


def numbered(kind: str, count: int) -> str:
    """Return Keras's name of a layer that follows `count` layers of its kind."""
    return f"{kind}_{count}" if count else kind
