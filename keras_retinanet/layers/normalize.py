"""The normalization that a backbone's weights were trained with, inside the graph."""

from typing import Any

import keras
from keras import ops

from ..normalization import NORMALIZATIONS, normalize
from ..typing import Shape, Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class Normalize(keras.layers.Layer):
    """RGB images (B, H, W, 3) of 0..255 -> the input of a backbone, float32, same shape.

    `mode` is a key of `NORMALIZATIONS`.
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if mode not in NORMALIZATIONS:
            raise ValueError(f"Unknown normalization {mode!r}; known: {', '.join(NORMALIZATIONS)}.")
        self.mode = mode

    def call(self, inputs: Tensor) -> Tensor:
        return normalize(ops.cast(inputs, "float32"), self.mode, ops)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "mode": self.mode}
