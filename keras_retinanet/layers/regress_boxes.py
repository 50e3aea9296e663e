"""Decoding of the regression output into boxes."""

import keras
from keras import ops

from .. import coders


@keras.saving.register_keras_serializable("keras_retinanet")
class RegressBoxes(keras.layers.Layer):
    """[anchors (B, N, 4), regression (B, N, 4)] -> boxes (B, N, 4), xyxy px.

    `coder` names a box coder (see `keras_retinanet.coders`); the default is the corners coder with
    this `mean` and `std`.
    """

    def __init__(self, mean=None, std=None, coder=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        for name, value in (("mean", mean), ("std", std)):
            if value is not None and not hasattr(value, "__len__"):
                raise ValueError(f"Expected {name} to be four numbers. Received: {value!r}.")
        arguments = {"mean": mean, "std": std}
        given = {name: value for name, value in arguments.items() if value is not None}
        self.coder = coders.get(coder or {"name": "corners", **given})

    def call(self, inputs):
        anchors, regression = (ops.convert_to_tensor(value) for value in inputs)
        return self.coder.decode(anchors, regression, ops)

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:2], 4)

    def get_config(self):
        return {**super().get_config(), "coder": self.coder.config}
