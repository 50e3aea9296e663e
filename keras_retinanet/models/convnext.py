"""ConvNeXt tiny, small and base of keras.applications. Liu et al. 2022, arXiv 2201.03545."""

from types import MappingProxyType
from typing import Any

import keras

from ..typing import Tensor
from .applications import STORAGE, ApplicationsBackbone
from .replace import replace_layers, with_quick_groups

APPLICATIONS = {
    "convnext_tiny": (
        keras.applications.ConvNeXtTiny,
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    "convnext_small": (
        keras.applications.ConvNeXtSmall,
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "convnext_base": (
        keras.applications.ConvNeXtBase,
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
}


class ConvNeXtBackbone(ApplicationsBackbone):
    """`convnext_tiny`, `convnext_small` or `convnext_base`.

    C2 to C4 go through separate layer norms, as in the paper's detectors, and C5 through the
    network's own layer norm.
    """

    applications = APPLICATIONS
    url = f"{STORAGE}/convnext/{{0}}_notop.h5"
    arguments = MappingProxyType({"include_preprocessing": False})
    normalization = "torch"

    def __init__(self, backbone: str, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.stem = f"{self.backbone}_stem"

    def network(self, inputs: Tensor) -> keras.Model:
        return replace_layers(super().network(inputs), with_quick_groups)

    def taps(self, network: keras.Model) -> dict:
        names = [f"{self.backbone}_downsampling_block_{i}" for i in range(3)]
        features = {f"C{i + 2}": network.get_layer(name).input for i, name in enumerate(names)}
        return {**features, "C5": network.outputs[-1]}

    def features(self, *args: Any, **kwargs: Any) -> dict:
        features = super().features(*args, **kwargs)
        norms = {
            level: keras.layers.LayerNormalization(epsilon=1e-6, name=f"{level}_norm")
            for level in ("C2", "C3", "C4")
        }
        return {**features, **{level: norm(features[level]) for level, norm in norms.items()}}
