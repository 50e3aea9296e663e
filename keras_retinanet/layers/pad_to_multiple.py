"""Padding of images inside the graph."""

from typing import Any

import keras
from keras import ops

from ..typing import Shape, Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class PadToMultiple(keras.layers.Layer):
    """Images (B, H, W, C) -> (B, H', W', C) whose sides are multiples of `multiple` px.

    Zeros are added on the right and below. After `Normalize`, zero is the mean colour, with which
    torchvision, Detectron2 and MMDetection pad too.
    """

    def __init__(self, multiple: int, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if multiple < 1:
            raise ValueError(f"The multiple must be 1 px or more, got {multiple}.")
        self.multiple = multiple

    def call(self, inputs: Tensor) -> Tensor:
        for axis in (1, 2):
            batch, *sides, channels = ops.shape(inputs)
            sides[axis - 1] = -sides[axis - 1] % self.multiple
            zeros = ops.zeros((batch, *sides, channels), inputs.dtype)
            inputs = ops.concatenate([inputs, zeros], axis=axis)
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, channels = input_shape
        padded = (side and -(-side // self.multiple) * self.multiple for side in sides)
        return (batch, *padded, channels)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "multiple": self.multiple}
