"""The layer names of torchvision's and timm's ImageNet networks, by this package's names.

The keys are patterns of this package's names. A value may use the groups of its pattern, {0} and
{1}, and numbers computed from the first group n: {below} is n - 1, {above} n + 1, {even} 2 n + 2
and {odd} 2 n + 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import keras
import numpy as np

from ..utils.model import all_layers
from .weight_map import Entry, conv, norm, scale


def resnet(prefix: str = "") -> dict:
    """Return the names in torchvision's ResNets, after a prefix, for `weight_map.resnet`."""
    block = f"{prefix}layer{{stage}}.{{block}}"
    return {
        "stem": (f"{prefix}conv1", f"{prefix}bn1"),
        "conv": f"{block}.conv{{i}}",
        "norm": f"{block}.bn{{i}}",
        "shortcut": (f"{block}.downsample.0", f"{block}.downsample.1"),
    }


LEGACY_SENET = {
    **resnet(),
    "stem": ("layer0.conv1", "layer0.bn1"),
    "se": ("layer{stage}.{block}.se_module.fc1", "layer{stage}.{block}.se_module.fc2"),
}
DEEP_STEM = {r"conv1_(\d)_(conv|bn)": "layer0.{1}{0}"}  # of SENet-154

DENSENET = {
    r"conv1_conv": "features.conv0",
    r"conv1_bn": "features.norm0",
    r"conv(\d)_block(\d+)_0_bn": "features.denseblock{below}.denselayer{1}.norm1",
    r"conv(\d)_block(\d+)_1_bn": "features.denseblock{below}.denselayer{1}.norm2",
    r"conv(\d)_block(\d+)_(\d)_conv": "features.denseblock{below}.denselayer{1}.conv{2}",
    r"pool(\d)_bn": "features.transition{below}.norm",
    r"pool(\d)_conv": "features.transition{below}.conv",
    r"bn": "features.norm5",
}

STAGE = r"\w+_stage_(\d)_block_(\d+)"
CONVNEXT_OF_TORCHVISION = {
    r"\w+_stem_conv": "features.0.0",
    r"\w+_stem_layernorm": "features.0.1",
    r"\w+_downsampling_conv_(\d)": "features.{even}.1",
    r"\w+_downsampling_layernorm_(\d)": "features.{even}.0",
    rf"{STAGE}_depthwise_conv": "features.{odd}.{1}.block.0",
    rf"{STAGE}_layernorm": "features.{odd}.{1}.block.2",
    rf"{STAGE}_pointwise_conv_1": "features.{odd}.{1}.block.3",
    rf"{STAGE}_pointwise_conv_2": "features.{odd}.{1}.block.5",
    rf"{STAGE}_layer_scale": "features.{odd}.{1}.layer_scale",
    r"layer_normalization(?:_\d+)?": "classifier.0",
}
CONVNEXT_OF_TIMM = {
    r"\w+_stem_conv": "stem.0",
    r"\w+_stem_layernorm": "stem.1",
    r"\w+_downsampling_conv_(\d)": "stages.{above}.downsample.1",
    r"\w+_downsampling_layernorm_(\d)": "stages.{above}.downsample.0",
    rf"{STAGE}_depthwise_conv": "stages.{0}.blocks.{1}.conv_dw",
    rf"{STAGE}_layernorm": "stages.{0}.blocks.{1}.norm",
    rf"{STAGE}_pointwise_conv_1": "stages.{0}.blocks.{1}.mlp.fc1",
    rf"{STAGE}_pointwise_conv_2": "stages.{0}.blocks.{1}.mlp.fc2",
    rf"{STAGE}_layer_scale": "stages.{0}.blocks.{1}.gamma",
    r"layer_normalization(?:_\d+)?": "head.norm",
}


def map_by_names(network: keras.Model, names: dict[str, str]) -> list[Entry]:
    """Map the layers of `network` whose names match a pattern of `names`."""
    entries = []
    for layer in leaf_layers(network):
        for pattern, theirs in names.items():
            found = re.fullmatch(pattern, layer.name)
            if found:
                groups = found.groups()
                n = int(groups[0]) if groups else 0
                numbers = {"below": n - 1, "above": n + 1, "even": 2 * n + 2, "odd": 2 * n + 1}
                entries += of_layer(theirs.format(*groups, **numbers), layer)
    return entries


def of_layer(name: str, layer: keras.layers.Layer) -> list[Entry]:
    """Map a layer that has this name in PyTorch."""
    if isinstance(layer, keras.layers.BatchNormalization):
        *others, variance = norm(name, layer)
        more = 1e-5 - layer.epsilon  # PyTorch's epsilon minus the layer's
        return [*others, variance._replace(convert=lambda value: np.float64(value) + more)]
    if isinstance(layer, keras.layers.LayerNormalization):
        return norm(name, layer)
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
        return conv(name, layer)
    (factors,) = layer.weights
    return [scale(name, factors)]


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers with weights of a model and of the models within it."""
    for layer in all_layers(model):
        if layer.weights and not isinstance(layer, keras.Model):
            yield layer
