"""One trainable factor."""

import keras


@keras.saving.register_keras_serializable("keras_retinanet")
class Scale(keras.layers.Layer):
    """x · s, of any shape, with a trainable scalar s that starts at 1.

    One for each pyramid level lets heads that are shared predict sizes of the level. Tian et al.
    2019, "FCOS", arXiv 1904.01355.
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, inputs):
        return inputs * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape
