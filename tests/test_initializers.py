"""The prior bias."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.initializers import PriorProbability

pytestmark = pytest.mark.core


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5])
def test_the_sigmoid_starts_at_the_probability(probability):
    bias = ops.convert_to_numpy(PriorProbability(probability)((3, 2), dtype="float32"))
    assert bias.shape == (3, 2)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), probability, rtol=1e-5)


def test_by_hand():
    # -log(0.99 / 0.01) = -log 99
    bias = ops.convert_to_numpy(PriorProbability()((1,)))
    np.testing.assert_allclose(bias, [-math.log(99)], rtol=1e-6)


def test_round_trip():
    config = keras.initializers.serialize(PriorProbability(0.2))
    again = keras.initializers.deserialize(config)
    assert isinstance(again, PriorProbability)
    assert again.probability == 0.2


def test_as_the_bias_of_a_layer():
    layer = keras.layers.Dense(4, bias_initializer=PriorProbability(0.25), dtype="float16")
    layer.build((None, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.bias), [-math.log(3)] * 4, rtol=1e-3)
