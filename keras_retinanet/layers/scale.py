"""One trainable factor."""

from typing import Any

import keras

from ..typing import Shape, Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class Scale(keras.layers.Layer):
    """x · s, of any shape, with a trainable scalar s that starts at 1.

    One factor for each pyramid level adapts the shared heads to the level's box sizes. Tian et al.
    2019, "FCOS", arXiv 1904.01355.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, input_shape: Shape) -> None:
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
