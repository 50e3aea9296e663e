"""Squeeze-and-excitation networks: SE-ResNet, SE-ResNeXt, SENet-154. Hu et al. 2018, arXiv
1709.01507.

As published for Caffe and in timm: SE-ResNets stride in the first 1x1 convolution of a bottleneck,
the other networks in the 3x3. The pool after the stem is padded only right and below.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from .resnet import BASIC, BLOCKS, X32, ResNet, ResNetBackbone

SAME: dict[str, Any] = {"squeeze": True, "stem_padding": "same"}
NETWORKS = {
    "seresnet18": replace(BASIC["resnet18"], **SAME),
    "seresnet34": replace(BASIC["resnet34"], **SAME),
    **{f"seresnet{n}": ResNet(b, stride_in="1x1", **SAME) for n, b in BLOCKS.items()},
    "seresnext50": ResNet(BLOCKS[50], **X32, **SAME),
    "seresnext101": ResNet(BLOCKS[101], **X32, **SAME),
    "senet154": ResNet(BLOCKS[152], groups=64, widths=(2, 4), shortcut=3, deep_stem=True, **SAME),
}
SOURCES = {
    "seresnet18": "timm legacy_seresnet18.in1k",
    "seresnet34": "timm legacy_seresnet34.in1k",
    "seresnet50": "timm legacy_seresnet50.in1k",
    "seresnet101": "timm legacy_seresnet101.in1k",
    "seresnet152": "timm legacy_seresnet152.in1k",
    "seresnext50": "timm legacy_seresnext50_32x4d.in1k",
    "seresnext101": "timm legacy_seresnext101_32x4d.in1k",
    "senet154": "timm legacy_senet154.in1k",
}


class SeBackbone(ResNetBackbone):
    """`seresnet18`, `34`, `50`, `101`, `152`, `seresnext50`, `101`, `senet154`, with the options of
    `ResNetBackbone`.
    """

    networks = NETWORKS
    applications = MappingProxyType({})
    sources = SOURCES
