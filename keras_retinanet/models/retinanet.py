"""RetinaNet from backbone features, a pyramid and heads, and keras-retinanet's old names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from ..errors import InputError
from ..layers import Scale
from ..parts import PostProcess
from ..typing import Tensor
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from .detector import RetinaNet
from .heads import default_classification_model, default_regression_model, default_submodels
from .inference import detections_model, postprocess_of
from .options import DEFAULTS
from .pyramid import create_pyramid_features

__all__ = [
    "create_pyramid_features",
    "default_classification_model",
    "default_regression_model",
    "default_submodels",
    "retinanet",
    "retinanet_bbox",
    "training_model",
]


def retinanet(
    inputs: Tensor,
    backbone_layers: dict,
    num_classes: int,
    num_anchors: int | None = None,
    create_pyramid_features: Callable = create_pyramid_features,
    pyramid_levels: Sequence[int] | None = None,
    submodels: list[tuple[str, keras.Model]] | None = None,
    name: str = "retinanet",
) -> RetinaNet:
    """Return keras-retinanet's training model, see `training_model`.

    `inputs` are images (B, H, W, 3) as `preprocess_image` gives them, and `backbone_layers` their
    features, {"C2": ..., "C5": ...}. `submodels` is a list of (output name, model of a level).
    """
    levels = list(PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels)
    if submodels is None:
        num_anchors = num_anchors or AnchorParameters.default.num_anchors()
        submodels = default_submodels(num_classes, num_anchors)
    features = create_pyramid_features(backbone_layers, levels)
    return training_model(inputs, features, submodels, {"pyramid_levels": levels}, name=name)


def training_model(
    inputs: Tensor,
    features: dict,
    submodels: list,
    options: dict,
    level_scales: bool = False,
    name: str = "retinanet",
) -> RetinaNet:
    """Return images (B, H, W, 3) -> [regression (B, N, V), classification (B, N, K), *others].

    Args:
        inputs: the images.
        features: {"P3": (B, h, w, F), ...}, the pyramid of `inputs`.
        submodels: [(output name, model)], applied to every level.
        options: arguments of `RetinaNet`, among them `pyramid_levels`.
        level_scales: multiply the regression of each level by a trained factor.

    Raises:
        InputError: if a layer of the backbone has the same name as a layer of the detector.
    """
    levels = options["pyramid_levels"]
    outputs = []
    for output, submodel in submodels:
        rows = [submodel(features[f"P{level}"]) for level in levels]  # (B, h·w·A, V) each
        if level_scales and output == "regression":
            scales = [Scale(name=f"regression_scale_{level}") for level in levels]
            rows = [scale(row) for scale, row in zip(scales, rows, strict=True)]
        join = keras.layers.Concatenate(axis=1, name=output, dtype="float32")
        outputs.append(join(rows) if len(rows) > 1 else keras.layers.Identity(name=output)(rows[0]))
    try:
        return RetinaNet(inputs, outputs, name=name, **{**DEFAULTS, **options})
    except ValueError as error:
        if "names should be unique" not in str(error):
            raise
        reason = str(error).partition(".")[0]
        raise InputError(
            f"A layer of the backbone has the name of a layer of the detector: {reason}."
        ) from None


def retinanet_bbox(
    model: keras.Model = None,
    nms: str | bool | dict = True,
    class_specific_filter: bool = PostProcess.class_specific_filter,
    name: str = "retinanet-bbox",
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
    nms_threshold: float = PostProcess.nms_threshold,
    score_threshold: float = PostProcess.score_threshold,
    max_detections: int = PostProcess.max_detections,
    parallel_iterations: int = 32,
    **kwargs: Any,
) -> RetinaNet:
    """Return `detections_model` of `model`, or of `retinanet(**kwargs)` if `model` is None."""
    if model is None:
        if anchor_params is not None:
            kwargs = {"num_anchors": anchor_params.num_anchors(), **kwargs}
        model = retinanet(pyramid_levels=pyramid_levels, **kwargs)
    postprocess = PostProcess(
        nms,
        class_specific_filter,
        nms_threshold,
        score_threshold,
        max_detections,
        clip_margin=postprocess_of(model).clip_margin,
    )
    return detections_model(model, postprocess, anchor_params, pyramid_levels, name)
