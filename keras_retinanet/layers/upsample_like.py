"""Nearest-neighbour upsampling to the size of another tensor."""

from collections.abc import Sequence

import keras
from keras import ops

from ..typing import Shape, Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class UpSampleLike(keras.layers.Layer):
    """[source (B, h, w, C), target (B, H, W, ...)] -> source resized to (B, H, W, C)."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        source, target = inputs
        for axis in (1, 2):
            size, wanted = ops.shape(source)[axis], ops.shape(target)[axis]
            source = ops.take(source, ops.arange(wanted) * size // wanted, axis=axis)
        return source

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        source, target = input_shape
        return (source[0], *target[1:3], source[-1])

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> keras.KerasTensor:
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


UpsampleLike = UpSampleLike
