"""Initializers of the heads."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_retinanet")
class PriorProbability(keras.initializers.Initializer):
    """The bias -log((1 - π) / π) for which the sigmoid starts at probability π.

    Lin et al. 2017, arXiv 1708.02002, section 3.3.
    """

    def __init__(self, probability=0.01):
        self.probability = probability

    def __call__(self, shape, dtype=None):
        return ops.full(shape, -math.log((1 - self.probability) / self.probability), dtype=dtype)

    def get_config(self):
        return {"probability": self.probability}
