"""The inference model: anchors, decoding, clipping and NMS added to a training model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import keras

from ..errors import InputError
from ..layers import (
    Anchors,
    ClipBoxes,
    ClipDetections,
    NonMaxSuppression,
    PadToMultiple,
    RegressBoxes,
    TopCandidates,
)
from ..layers.filter_detections import FIELDS
from ..nms import config as nms_config
from ..parts import PostProcess
from ..typing import Tensor
from ..utils.anchors import AnchorParameters
from ..utils.text import listed
from .detector import RetinaNet
from .options import DEFAULTS

NMS_LAYER = "filtered_detections"


def postprocess_of(model: keras.Model) -> PostProcess:
    """Return the post-processing stored in a model, or the default post-processing."""
    if not isinstance(model, RetinaNet):
        return PostProcess()
    return PostProcess(**model.detection, clip_margin=model.clip_margin)


def detections_model(
    model: keras.Model,
    postprocess: PostProcess | None = None,
    anchors: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
    name: str = "retinanet-bbox",
) -> RetinaNet:
    """Return images (B, H, W, 3) -> [boxes (B, D, 4), scores (B, D), labels (B, D), *others].

    Boxes are xyxy px of the input; unused rows are -1. A predicted IoU multiplies the scores.

    Args:
        model: a training model, not necessarily a RetinaNet.
        postprocess: the post-processing; None takes the post-processing stored in the model.
        anchors, pyramid_levels: None takes the model's.

    Raises:
        InputError: if the model lacks the output regression or classification.
        ValueError: if the anchors have more or fewer levels than the model.
    """
    postprocess = postprocess or postprocess_of(model)
    postprocess = replace(postprocess, nms=nms_config(postprocess.nms))
    names = output_names(model)
    if not {"regression", "classification"} <= set(names):
        raise InputError(
            "Only a training model, with outputs regression and classification, can be converted; "
            f"this one has {listed(names)}."
        )
    known = model.options if isinstance(model, RetinaNet) else DEFAULTS
    levels = pyramid_levels or list(known["pyramid_levels"])
    anchors = anchors or AnchorParameters(**known["anchors"])
    detections = _detections(model, known["coder"], postprocess, anchors, levels)
    options = {**known, "anchors": anchors, "pyramid_levels": levels, **filter_config(postprocess)}
    return RetinaNet(model.inputs[0], detections, name=name, **options)


def candidates_model(model: RetinaNet) -> keras.Model:
    """Return images (B, H, W, 3) -> [boxes (B, C, 4), scores (B, C), labels (B, C)].

    The candidates are decoded and in descending order of score; their boxes, xyxy px of the images,
    are clipped unless the model clips after NMS.

    Args:
        model: an inference model.
    """
    return keras.Model(model.inputs[0], model.get_layer(NMS_LAYER).input[:3])


def filter_config(postprocess: PostProcess) -> dict:
    """Return the post-processing as arguments of `RetinaNet`: detection and clip_margin."""
    detection = asdict(postprocess)
    return {"clip_margin": detection.pop("clip_margin"), "detection": detection}


def output_names(model: keras.Model) -> list[str]:
    """Return the names of a model's outputs, [] for a model that is not functional."""
    try:
        return list(model.output_names)
    except AttributeError:
        return []


def _detections(
    model: keras.Model,
    coder: str | dict,
    postprocess: PostProcess,
    anchors: AnchorParameters,
    levels: Sequence[int],
) -> list[Tensor]:
    """Return the named outputs [boxes (B, D, 4), scores (B, D), labels (B, D), *others]."""
    outputs = scored_outputs(model)
    values = list(outputs.values())
    candidates = TopCandidates(
        postprocess.top_k, postprocess.class_specific_filter, name="candidates"
    )
    places, regression, *found = candidates([place_anchors(model, anchors, levels), values])
    boxes = RegressBoxes(coder=coder, name="decoded_boxes")([places, regression])
    found = [boxes, *found]  # boxes, scores, labels, and the model's other outputs
    image, margin = model.inputs[0], postprocess.clip_margin
    if postprocess.clip == "before":
        found[0] = ClipBoxes(margin, name="clipped_boxes")([image, boxes])
    if postprocess.clip == "dropping":
        found = ClipDetections(margin, name="clipped_boxes")([image, *found])
    chosen = {name: getattr(postprocess, name) for name in FIELDS}
    suppress = NonMaxSuppression(**chosen, name=NMS_LAYER)
    detections = suppress(found)
    if postprocess.clip == "after":
        detections = ClipDetections(margin, name="clipped_detections")([image, *detections])
    names = ["boxes", "scores", "labels", *(f"detected_{output}" for output in list(outputs)[2:])]
    return [
        keras.layers.Identity(name=output, dtype=values.dtype)(values)
        for output, values in zip(names, detections, strict=True)
    ]


def scored_outputs(model: keras.Model) -> dict:
    """Return {"regression": (B, N, V), "classification": (B, N, K), ...} of a training model.

    A predicted IoU is multiplied into the classification.
    """
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    scores = outputs.pop("classification")
    if "iou" in outputs:
        multiply = keras.layers.Multiply(name="iou_scores", dtype="float32")
        scores = multiply([scores, outputs.pop("iou")])
    return {"regression": outputs.pop("regression"), "classification": scores, **outputs}


def place_anchors(
    model: keras.Model, anchors: AnchorParameters, levels: Sequence[int]
) -> list[Tensor]:
    """Return the anchors [(B, Nl, 4), ...] of the pyramid levels of a training model."""
    padded = next((layer for layer in model.layers if isinstance(layer, PadToMultiple)), None)
    images = padded.output if padded else model.inputs[0]
    rows = []
    for level, (size, stride) in zip(levels, anchors.of_levels(levels), strict=True):
        layer = Anchors(
            size,
            stride,
            anchors.ratios,
            anchors.scales,
            anchors.offset,
            anchors.rounded,
            anchors.fitted_strides,
            name=f"anchors_{level}",
        )
        features = model.get_layer(f"P{level}").output
        rows.append(layer([features, images] if anchors.fitted_strides else features))
    return rows
