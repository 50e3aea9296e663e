"""Freezing."""

import keras
import pytest

from keras_retinanet.utils.model import freeze

pytestmark = pytest.mark.core


def test_freeze():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(), inner])
    assert len(model.trainable_variables) == 4
    assert freeze(model) is model
    assert model.trainable_variables == []
    assert len(model.variables) == 6


def test_a_model_without_layers():
    model = keras.Model(inputs := keras.Input((2,)), inputs)
    assert freeze(model).trainable_variables == []
