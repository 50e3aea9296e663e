"""RetinaNet from its parts: backbone features, a pyramid, heads; and its inference model."""

import keras

from ..errors import InputError
from ..layers import (
    Anchors,
    ClipBoxes,
    ClipDetections,
    NonMaxSuppression,
    PadToMultiple,
    RegressBoxes,
    Scale,
    TopCandidates,
)
from ..nms import config as nms_config
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from .detector import RetinaNet
from .heads import default_classification_model, default_regression_model, default_submodels
from .pyramid import create_pyramid_features

__all__ = [
    "create_pyramid_features",
    "default_classification_model",
    "default_regression_model",
    "default_submodels",
    "retinanet",
    "retinanet_bbox",
]

CLIPS = ["before", "dropping", "after"]  # when boxes are clipped to the image, and dropped


def retinanet(
    inputs,
    backbone_layers,
    num_classes,
    num_anchors=None,
    create_pyramid_features=create_pyramid_features,
    pyramid_levels=None,
    submodels=None,
    name="retinanet",
    level_scales=False,
    **options,
):
    """The training model: images (B, H, W, 3) -> [regression (B, N, V), classification (B, N, K)].

    `backbone_layers` is {"C2": ..., "C5": ...}; `submodels` is a list of (name, model) applied to
    every level, whose outputs follow in this order; `level_scales` gives the regression of each
    level a factor of its own; `options` are those of `RetinaNet`.
    """
    levels = list(PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels)
    if submodels is None:
        anchors = options.get("anchors") or AnchorParameters.default
        anchors = AnchorParameters(**anchors) if isinstance(anchors, dict) else anchors
        submodels = default_submodels(num_classes, num_anchors or anchors.num_anchors())
    features = create_pyramid_features(backbone_layers, levels)
    outputs = []
    for output, submodel in submodels:
        rows = [submodel(features[f"P{level}"]) for level in levels]
        if level_scales and output == "regression":
            scales = [Scale(name=f"regression_scale_{level}") for level in levels]
            rows = [scale(row) for scale, row in zip(scales, rows, strict=True)]
        join = keras.layers.Concatenate(axis=1, name=output, dtype="float32")
        outputs.append(join(rows) if len(rows) > 1 else keras.layers.Identity(name=output)(rows[0]))
    try:
        return RetinaNet(inputs, outputs, name=name, pyramid_levels=levels, **options)
    except ValueError as error:
        if "names should be unique" not in str(error):
            raise
        raise InputError(
            "Expected layers of the backbone with other names than those of the detector. "
            f"Received: {str(error).partition('.')[0]}."
        ) from None


def retinanet_bbox(
    model=None,
    nms=True,
    class_specific_filter=True,
    name="retinanet-bbox",
    anchor_params=None,
    pyramid_levels=None,
    nms_threshold=0.5,
    score_threshold=0.05,
    max_detections=300,
    parallel_iterations=32,
    top_k=1000,
    clip="before",
    **kwargs,
):
    """The inference model: images (B, H, W, 3) -> [boxes (B, D, 4), scores (B, D), labels (B, D)].

    Boxes are xyxy px of the input; unused rows are -1. A predicted IoU multiplies the scores. At
    most `top_k` candidates of each level go into NMS (None: all of them). `nms` is True (hard),
    False (none), a name or {"name": ..., **arguments}, see `keras_retinanet.nms`. `clip` is when
    boxes are clipped to the image: "before" NMS, "dropping" before it those beyond the image, or
    "after" it, which drops these too.
    `model` is a training model, or None to build one from `kwargs`, the arguments of `retinanet`.
    """
    if clip not in CLIPS:
        raise ValueError(f"Expected clip among {CLIPS}. Received: {clip!r}.")
    if model is None:
        model = retinanet(anchors=anchor_params, pyramid_levels=pyramid_levels, **kwargs)
    if not {"regression", "classification"} <= set(model.output_names):
        raise InputError(
            "Expected a training model, with outputs regression and classification. "
            f"Received: a model with outputs {', '.join(model.output_names)}."
        )
    known = model.options if isinstance(model, RetinaNet) else {}
    levels = pyramid_levels or known.get("pyramid_levels") or list(PYRAMID_LEVELS)
    anchors = anchor_params or AnchorParameters(**known.get("anchors", {}))
    outputs = scored_outputs(model)
    values = list(outputs.values())
    candidates = TopCandidates(top_k, class_specific_filter, name="candidates")
    places, regression, *found = candidates([place_anchors(model, anchors, levels), values])
    boxes = RegressBoxes(coder=known.get("coder"), name="decoded_boxes")([places, regression])
    found = [boxes, *found]  # boxes, scores, labels, and what else the model gives
    image, margin = model.inputs[0], known.get("clip_margin", 0)
    if clip == "before":
        found[0] = ClipBoxes(margin, name="clipped_boxes")([image, boxes])
    if clip == "dropping":
        found = ClipDetections(margin, name="clipped_boxes")([image, *found])
    filter_options = {
        "nms": nms_config(nms),
        "class_specific_filter": class_specific_filter,
        "nms_threshold": nms_threshold,
        "score_threshold": score_threshold,
        "max_detections": max_detections,
    }
    detections = NonMaxSuppression(**filter_options, name="filtered_detections")(found)
    if clip == "after":
        detections = ClipDetections(margin, name="clipped_detections")([image, *detections])
    names = ["boxes", "scores", "labels", *(f"detected_{output}" for output in list(outputs)[2:])]
    detections = [
        keras.layers.Identity(name=output, dtype=values.dtype)(values)
        for output, values in zip(names, detections, strict=True)
    ]
    return RetinaNet(
        image,
        detections,
        name=name,
        **{
            **known,
            "anchors": anchors,
            "pyramid_levels": levels,
            "detection": {**filter_options, "top_k": top_k, "clip": clip},
        },
    )


def scored_outputs(model):
    """{"regression": (B, N, V), "classification": (B, N, K), ...} of a training model, with a
    predicted IoU already in the classification.
    """
    outputs = dict(zip(model.output_names, model.outputs, strict=True))
    scores = outputs.pop("classification")
    if "iou" in outputs:
        multiply = keras.layers.Multiply(name="iou_scores", dtype="float32")
        scores = multiply([scores, outputs.pop("iou")])
    return {"regression": outputs.pop("regression"), "classification": scores, **outputs}


def place_anchors(model, anchors, levels):
    """The anchors [(B, Nl, 4), ...] of the pyramid levels of a training model."""
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
