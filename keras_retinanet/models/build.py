"""A training model from a design and the features of a backbone."""

from __future__ import annotations

import keras

from ..errors import InputError
from ..layers import Normalize, PadToMultiple
from ..parts import Design
from ..typing import Tensor
from ..utils.anchors import AnchorParameters
from .detector import RetinaNet
from .heads import detector_heads
from .inference import filter_config
from .pyramid import feature_pyramid
from .retinanet import training_model


def prepared(inputs: Tensor, normalization: str | None, pad_to: int | None) -> Tensor:
    """Return images (B, H, W, 3), normalized and padded to a multiple of `pad_to` px."""
    if normalization is not None:
        inputs = Normalize(normalization, name="normalize")(inputs)
    if pad_to is not None:
        inputs = PadToMultiple(pad_to, name="pad")(inputs)
    return inputs


def build_detector(
    inputs: keras.KerasTensor, features: dict, heads: list, design: Design, facts: dict
) -> RetinaNet:
    """Return the training model of a design.

    Args:
        inputs: images (B, H, W, 3).
        features: {"C2": (B, H/4, W/4, C), ..., "C5": ...}, the backbone's features of `inputs`.
        heads: the result of `heads_of`.
        design: everything but backbone and classes.
        facts: the arguments of `RetinaNet` that the design does not determine.

    Raises:
        InputError: for levels that the backbone has no features for.
    """
    pyramid = feature_pyramid(features, design.pyramid)
    options = {
        "anchors": anchors_of(design),
        "pyramid_levels": list(design.pyramid.levels),
        "coder": design.coder,
        "image_min_side": design.inputs.image_min_side,
        "image_max_side": design.inputs.image_max_side,
        "resize": design.inputs.resize,
        "canvases": design.inputs.canvases,
        **filter_config(design.postprocess),
        **facts,
    }
    return training_model(inputs, pyramid, heads, options, design.heads.level_scales)


def heads_of(design: Design, num_classes: int) -> list[tuple[str, keras.Model]]:
    """Return the heads of a design by the names of their outputs."""
    num_anchors = anchors_of(design).num_anchors()
    return detector_heads(
        num_classes, num_anchors, design.pyramid.width, design.heads, design.coder
    )


def anchors_of(design: Design) -> AnchorParameters:
    """Return the anchors of a design, by default squares of four strides on each pyramid level.

    Raises:
        InputError: if the number of anchor sizes differs from the number of pyramid levels.
    """
    levels = design.pyramid.levels
    if design.anchors is None:
        strides = [2**level for level in levels]
        return AnchorParameters([4 * stride for stride in strides], strides)
    anchors = AnchorParameters.of(design.anchors)
    try:
        anchors.of_levels(levels)
    except ValueError as error:
        raise InputError(str(error)) from None
    return anchors
