"""The prior biases."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.initializers import PriorBackground, PriorProbability

pytestmark = pytest.mark.core


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5])
def test_sigmoid_starts_at_the_probability(probability):
    bias = ops.convert_to_numpy(PriorProbability(probability)((3, 2), dtype="float32"))
    assert bias.shape == (3, 2)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), probability, rtol=1e-5)


def test_prior_probability_equals_a_calculation_by_hand():
    # -log(0.99 / 0.01) = -log 99
    bias = ops.convert_to_numpy(PriorProbability()((1,)))
    np.testing.assert_allclose(bias, [-math.log(99)], rtol=1e-6)


def test_prior_probability_survives_serialization():
    config = keras.initializers.serialize(PriorProbability(0.2))
    again = keras.initializers.deserialize(config)
    assert isinstance(again, PriorProbability)
    assert again.probability == 0.2


def test_prior_probability_initializes_a_float16_bias():
    layer = keras.layers.Dense(4, bias_initializer=PriorProbability(0.25), dtype="float16")
    layer.build((None, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.bias), [-math.log(3)] * 4, rtol=1e-3)


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5])
@pytest.mark.parametrize(("num_classes", "anchors"), [(1, 1), (3, 1), (3, 9), (80, 2)])
def test_softmax_starts_at_the_probability(probability, num_classes, anchors):
    initializer = PriorBackground(probability, num_classes)
    bias = ops.convert_to_numpy(initializer((anchors * (num_classes + 1),), dtype="float32"))
    odds = np.exp(bias.reshape(anchors, num_classes + 1))
    start = odds[:, :-1] / odds.sum(-1, keepdims=True)  # (anchors, num_classes)
    np.testing.assert_allclose(start.sum(-1), probability, rtol=1e-5)
    np.testing.assert_allclose(start, probability / num_classes, rtol=1e-5)


def test_prior_background_equals_a_calculation_by_hand():
    # two classes of probability 1/20 each and a background of 18/20: 18 times as probable
    bias = ops.convert_to_numpy(PriorBackground(0.1, 2)((6,)))
    np.testing.assert_allclose(bias, [0, 0, math.log(18)] * 2, rtol=1e-6)
    one = ops.convert_to_numpy(PriorBackground(0.01)((2,)))  # the sigmoid's, of the background
    np.testing.assert_allclose(one, [0, math.log(99)], rtol=1e-6)


def test_prior_background_survives_serialization():
    config = keras.initializers.serialize(PriorBackground(0.2, 5))
    again = keras.initializers.deserialize(config)
    assert isinstance(again, PriorBackground)
    assert (again.probability, again.num_classes) == (0.2, 5)


def test_prior_background_initializes_a_float16_bias():
    layer = keras.layers.Dense(4, bias_initializer=PriorBackground(0.25, 1), dtype="float16")
    layer.build((None, 2))
    np.testing.assert_allclose(ops.convert_to_numpy(layer.bias), [0, math.log(3)] * 2, rtol=1e-3)
