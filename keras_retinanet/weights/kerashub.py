"""RetinaNets of KerasHub, from the preset folder that `save_to_preset` writes.

Its configurations describe the model. Keras 3 numbers weights: a convolution's are named
"layers/conv2d_3/vars/0" and so on, where 3 counts the convolutions of the model.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import keras
import numpy as np

from ..errors import InputError
from ..layers.normalize import NORMALIZATIONS
from ..models import backbone as make_backbone
from ..models.build import anchors_of
from ..parts import Design, Freeze, Heads, Inputs, PostProcess, Pyramid
from ..presets import KERASHUB
from ..typing import ClassNames, StrPath, Tensors
from ..utils.anchors import AnchorParameters
from . import Imported
from .coco import coco_91, names_for
from .files import read_tensors
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
GROUP_NORM_EPSILON = 1e-3  # Keras's default
IGNORED = (f"{HEADS}/optimizer/*",)


def load(path: StrPath, class_names: ClassNames = None, backbone: str | None = None) -> Imported:
    """Load the training model of a KerasHub RetinaNetObjectDetector from a preset folder."""
    path = os.fspath(path)
    task = configuration(path)
    try:
        name = resnet_of(path, task)
        classes = int(task["num_classes"])
        design, factors = design_of(path, task)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: task.json: not as KerasHub writes it ({error!r}).") from None
    if backbone not in (None, name):
        raise InputError(f"{path}: the backbone is {name}, not {backbone}.")
    class_names = names_for(path, classes, class_names, coco_91())
    model = make_backbone(name).detector(
        class_names or classes, design=design, freeze=Freeze(batch_norm=True)
    )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.GroupNormalization):
            layer.epsilon = GROUP_NORM_EPSILON
    copy(path, tensors_of(path), model, weight_map(model, factors), IGNORED)
    return Imported(model)


# the configuration


def configuration(path: StrPath) -> dict:
    """Return the configuration of the detector in a preset folder."""
    if not os.path.isdir(path):
        what = "a file" if os.path.exists(path) else "no such folder"
        raise InputError(f"{path}: expected a preset folder of KerasHub. Received: {what}")
    try:
        with open(os.path.join(path, "task.json"), encoding="utf-8") as file:
            task = json.load(file)
    except FileNotFoundError:
        raise InputError(f"{path}: expected a detector's preset, with a task.json") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: task.json: expected JSON ({error})") from None
    return part({"task": task}, "task", path, "RetinaNetObjectDetector")


def part(config: dict, name: str, path: StrPath, kind: str) -> dict:
    """Return the configuration of the object `name` in `config`, which must be a `kind`."""
    found = config[name]
    if not isinstance(found, dict) or found.get("class_name") != kind:
        received = found.get("class_name") if isinstance(found, dict) else found
        raise InputError(f"{path}: expected {kind} as its {name}. Received: {received}.")
    return found["config"]


def resnet_of(path: StrPath, task: dict) -> str:
    """Return the name of the ResNet; InputError for others than 18 to 152 of version 1."""
    pyramid = part(task, "backbone", path, "RetinaNetBackbone")
    encoder = part(pyramid, "image_encoder", path, "ResNetBackbone")
    convolutions = CONVOLUTIONS.get(encoder["block_type"], 0)
    name = RESNETS.get((tuple(encoder["stackwise_num_blocks"]), convolutions))
    others = {key: encoder[key] for key, value in RESNET.items() if encoder[key] != value}
    if name is None or others:
        blocks = {key: encoder[key] for key in ("block_type", "stackwise_num_blocks")}
        received = ", ".join(f"{key} {value}" for key, value in (others or blocks).items())
        raise InputError(
            f"{path}: expected a ResNet-18, 34, 50, 101 or 152 as its image_encoder. "
            f"Received: one with {received}."
        )
    return name if convolutions == 2 else f"{name}v1.5"


def design_of(path: StrPath, task: dict) -> tuple[Design, np.ndarray]:
    """Return the design, and the factors (3,) of `inputs_of`."""
    inputs, factors = inputs_of(path, task)
    pyramid, anchors = levels_of(path, task)
    heads = Heads(
        depth=int(task.get("pre_logits_num_conv_layers", 4)),
        norm="group" if task.get("use_prediction_head_norm") else "none",
    )
    design = replace(
        KERASHUB,
        pyramid=pyramid,
        heads=heads,
        anchors=anchors,
        inputs=inputs,
        postprocess=postprocess_of(path, task),
    )
    return design, factors


def inputs_of(path: StrPath, task: dict) -> tuple[Inputs, np.ndarray]:
    """Return how images become the input, and factors (3,) for the first convolution's kernel.

    The factors, one for each channel, make up for a scale that differs from our normalization's.
    """
    if task["preprocessor"] is None:
        inputs = replace(
            KERASHUB.inputs, normalization="raw", image_min_side=None, image_max_side=None
        )
        return inputs, np.ones(3)
    converter = task["preprocessor"]["config"]["image_converter"]["config"]
    scale, offset = (
        np.broadcast_to(default if converter[key] is None else converter[key], 3).astype("float64")
        for key, default in (("scale", 1.0), ("offset", 0.0))
    )
    known = {key: value for key, value in NORMALIZATIONS.items() if value["order"] == "rgb"}
    same = [key for key in known if np.allclose(np.multiply(known[key]["mean"], scale), -offset)]
    if not same or not scale.all():
        raise InputError(
            f"{path}: expected images normalised by the means of one of {', '.join(known)}. "
            f"Received: scale {scale.tolist()}, offset {offset.tolist()}."
        )
    size = converter["image_size"]
    unlike = {"pad_to_aspect_ratio": True, "interpolation": "bilinear", "antialias": False}
    others = [f"{key} {converter[key]}" for key in unlike if converter[key] != unlike[key]]
    if size is not None and others:
        raise InputError(
            f"{path}: expected images resized with pad_to_aspect_ratio, bilinear, without "
            f"antialias. Received: {', '.join(others)}."
        )
    height, width = size or (None, None)
    inputs = replace(
        KERASHUB.inputs,
        normalization=same[0],
        image_min_side=height,
        image_max_side=width,
        resize="kerashub" if size is not None else KERASHUB.inputs.resize,
    )
    return inputs, scale * known[same[0]]["std"]


def levels_of(path: StrPath, task: dict) -> tuple[Pyramid, AnchorParameters]:
    """Return the pyramid and its anchors."""
    pyramid = task["backbone"]["config"]
    places = part(task, "anchor_generator", path, "AnchorGenerator")
    low, high = pyramid["min_level"], pyramid["max_level"]
    if not 2 <= low <= 5 <= high <= 7 or (places["min_level"], places["max_level"]) != (low, high):
        raise InputError(
            f"{path}: expected pyramid levels of 2, 3, 4 or 5 to 5, 6 or 7, and anchors on them. "
            f"Received: {low} to {high}."
        )
    if pyramid.get("use_fpn_batch_norm"):
        raise InputError(f"{path}: expected a pyramid without batch norm. Received: one with it.")
    levels = list(range(low, high + 1))
    strides = [2**level for level in levels]
    scales = [2 ** (i / places["num_scales"]) for i in range(places["num_scales"])]
    anchors = replace(
        anchors_of(KERASHUB),
        sizes=[places["anchor_size"] * stride for stride in strides],
        strides=strides,
        ratios=places["aspect_ratios"],
        scales=scales,
    )
    p6_from = "C5" if pyramid["use_p5"] else "P5"  # KerasHub calls our C5 P5
    return replace(KERASHUB.pyramid, levels=tuple(levels), p6_from=p6_from), anchors


def postprocess_of(path: StrPath, task: dict) -> PostProcess:
    """Return the thresholds of the prediction decoder in KerasHub's post-processing."""
    decoder = part(task, "prediction_decoder", path, "NonMaxSuppression")
    if not decoder["from_logits"]:
        raise InputError(f"{path}: expected a prediction_decoder that takes logits")
    return replace(
        KERASHUB.postprocess,
        nms_threshold=decoder["iou_threshold"],
        score_threshold=decoder["confidence_threshold"],
        max_detections=decoder["max_detections"],
    )


# the weights


def tensors_of(path: StrPath) -> Tensors:
    """Return {file/name: array} of both files of weights."""
    return {
        f"{file}/{name}": value
        for file in (PYRAMID, HEADS)
        for name, value in read_tensors(os.path.join(path, file)).items()
    }


def weight_map(model: keras.Model, factors: np.ndarray) -> list[Entry]:
    """Map all weights of `model`; `factors` (3,) are those of `inputs_of`."""
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
    """Return the prefixes of our names of the encoder's convolutions, in KerasHub's order.

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
    """Return Keras's name of a layer that has `count` layers of its kind before it."""
    return f"{kind}_{count}" if count else kind
