"""The precision that the layers of a model calculate in; weights stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import layers
from .heads import Probabilities

if TYPE_CHECKING:
    from .detector import RetinaNet

FLOAT32 = (layers.Normalize, layers.PadToMultiple, layers.Scale, Probabilities)


def set_precision(model: RetinaNet, policy: str) -> None:
    """Let a training model calculate under a dtype policy of Keras, such as "mixed_bfloat16".

    The normalization of the images, and all that follows the last convolution of each head, stay
    float32.
    """
    for layer in model._flatten_layers(include_self=False):
        last = layer.name in model.output_names or layer.name.endswith("_rows")
        layer.dtype_policy = "float32" if last or isinstance(layer, FLOAT32) else policy
