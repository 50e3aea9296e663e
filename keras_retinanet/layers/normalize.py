"""The normalisation that a backbone's weights were trained with, inside the graph."""

import keras
import numpy as np
from keras import ops

# what (x - mean) / std of RGB 0..255 each family of weights expects, and its channel order
NORMALIZATIONS = {
    "raw": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "order": "rgb"},
    "tf": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5), "order": "rgb"},
    # keras-retinanet's MobileNets and DenseNets were trained with tf's scale but BGR
    "tf_bgr": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5), "order": "bgr"},
    "caffe": {"mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0), "order": "bgr"},
    "detectron2": {"mean": (123.675, 116.28, 103.53), "std": (1.0, 1.0, 1.0), "order": "bgr"},
    "torch": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "order": "rgb"},
    # the weights of EfficientNet hold (x / 255 - m) / √s, where it is to be (x / 255 - m) / s:
    # 255 · m + (x - 255 · m) / √s before that makes up for it, std √s and mean 255 · m · (1 - √s)
    "efficientnet": {
        "mean": (64.491634, 61.246259, 54.421409),
        "std": (0.4785394, 0.4732864, 0.4743417),
        "order": "rgb",
    },
    "efficientnetv2": {"mean": (128.0, 128.0, 128.0), "std": (128.0, 128.0, 128.0), "order": "rgb"},
}


def normalize(images, mode, xp=np):
    """RGB images (..., 3) of 0..255 as the weights of `mode`, a key of `NORMALIZATIONS`, want them:
    float32, same shape.
    """
    choice = NORMALIZATIONS[mode]
    mean, std = (xp.array(choice[key], dtype="float32") for key in ("mean", "std"))
    images = (xp.array(images, dtype="float32") - mean) / std
    return xp.flip(images, axis=-1) if choice["order"] == "bgr" else images


def normalize_bgr(images, mode):
    """`normalize` of BGR images."""
    return normalize(images[..., ::-1], mode)


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
        return normalize(ops.cast(inputs, "float32"), self.mode, ops)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
