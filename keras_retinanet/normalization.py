"""The normalizations that backbones' weights were trained with. Imports no Keras."""

from typing import Any

import numpy as np

from .typing import ArrayModule, Tensor

# (x - mean) / std of RGB 0..255 that each family of weights expects, and the channel order
NORMALIZATIONS: dict[str, dict[str, Any]] = {
    "raw": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "order": "rgb"},
    "tf": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5), "order": "rgb"},
    # keras-retinanet's MobileNets and DenseNets were trained with tf's scale but BGR
    "tf_bgr": {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5), "order": "bgr"},
    "caffe": {"mean": (123.68, 116.779, 103.939), "std": (1.0, 1.0, 1.0), "order": "bgr"},
    "detectron2": {"mean": (123.675, 116.28, 103.53), "std": (1.0, 1.0, 1.0), "order": "bgr"},
    "torch": {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "order": "rgb"},
    # the network of EfficientNet computes (x / 255 - m) / √s instead of (x / 255 - m) / s; this
    # makes up for it by 255 · m + (x - 255 · m) / √s: std √s and mean 255 · m · (1 - √s)
    "efficientnet": {
        "mean": (64.491634, 61.246259, 54.421409),
        "std": (0.4785394, 0.4732864, 0.4743417),
        "order": "rgb",
    },
    "efficientnetv2": {"mean": (128.0, 128.0, 128.0), "std": (128.0, 128.0, 128.0), "order": "rgb"},
}


def normalize(images: Tensor, mode: str, xp: ArrayModule = np) -> Tensor:
    """Normalize RGB images (..., 3) of 0..255: float32, same shape.

    `mode` is a key of `NORMALIZATIONS`.
    """
    choice = NORMALIZATIONS[mode]
    mean, std = (xp.array(choice[key], dtype="float32") for key in ("mean", "std"))
    images = (xp.array(images, dtype="float32") - mean) / std
    return xp.flip(images, axis=-1) if choice["order"] == "bgr" else images


def normalize_bgr(images: Tensor, mode: str) -> Tensor:
    """Normalize BGR images, see `normalize`."""
    return normalize(images[..., ::-1], mode)
