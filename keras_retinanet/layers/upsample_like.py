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
            source = resized(source, target, axis)
        return source

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        source, target = input_shape
        return (source[0], *target[1:3], source[-1])

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> keras.KerasTensor:
        shape = self.compute_output_shape([x.shape for x in inputs])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)


UpsampleLike = UpSampleLike


def resized(source: Tensor, target: Tensor, axis: int) -> Tensor:
    """Return `source` with the size of `target` on one axis.

    The gradient of a gather is a scatter, which is slow on a GPU; the gradient of a repeat is a
    sum. So a side that is known to double is repeated.
    """
    known = source.shape[axis], target.shape[axis]
    if None not in known and known[1] == 2 * known[0]:
        return ops.repeat(source, 2, axis=axis)
    size, wanted = ops.shape(source)[axis], ops.shape(target)[axis]
    return ops.take(source, ops.arange(wanted) * size // wanted, axis=axis)
