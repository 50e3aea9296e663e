"""Initializers of the heads."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from .typing import Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class PriorProbability(keras.initializers.Initializer):
    """The bias -log((1 - π) / π), with which a sigmoid starts at probability π.

    Lin et al. 2017, arXiv 1708.02002, section 3.3.
    """

    def __init__(self, probability: float = 0.01) -> None:
        self.probability = probability

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        return ops.full(shape, -math.log((1 - self.probability) / self.probability), dtype=dtype)

    def get_config(self) -> dict:
        return {"probability": self.probability}


@keras.saving.register_keras_serializable("keras_retinanet")
class PriorBackground(keras.initializers.Initializer):
    """The bias with which a softmax over `num_classes` and the background, the last of each
    num_classes + 1 values, starts at probability π for all classes together.
    """

    def __init__(self, probability: float = 0.01, num_classes: int = 1) -> None:
        self.probability = probability
        self.num_classes = num_classes

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
        odds = self.num_classes * (1 - self.probability) / self.probability
        one = [0.0] * self.num_classes + [math.log(odds)]
        return ops.tile(ops.cast(one, dtype or "float32"), shape[0] // len(one))

    def get_config(self) -> dict:
        return {"probability": self.probability, "num_classes": self.num_classes}
