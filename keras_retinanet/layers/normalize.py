"""The normalisation that a backbone's weights were trained with, inside the graph."""

import keras
from keras import ops

# what (x - mean) / std of RGB 0..255 each family of weights expects, and its channel order
NORMALIZATIONS = {
    "tf": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5), "order": "rgb"},
    "caffe": {"mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0), "order": "bgr"},
    "torch": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "order": "rgb"},
}


@keras.saving.register_keras_serializable("keras_retinanet")
class Normalize(keras.layers.Layer):
    """RGB images (B, H, W, 3) of 0..255 -> what a backbone was trained on, same shape.

    `mode` is a key of `NORMALIZATIONS`.
    """

    def __init__(self, mode, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if mode not in NORMALIZATIONS:
            known = sorted(NORMALIZATIONS)
            raise ValueError(f"Expected a normalization among {known}. Received: {mode!r}.")
        self.mode = mode

    def call(self, inputs):
        choice = NORMALIZATIONS[self.mode]
        mean, std = (ops.array(choice[key], dtype="float32") for key in ("mean", "std"))
        images = (ops.cast(inputs, "float32") - mean) / std
        return ops.flip(images, axis=-1) if choice["order"] == "bgr" else images

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
