"""Decoding of the regression output."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import coders
from keras_retinanet.layers import RegressBoxes

pytestmark = pytest.mark.core

ANCHORS = np.array([[[0, 0, 10, 20], [50, 60, 90, 80]]], "float32")


def test_corners_by_hand():
    # x1 + (d · 0.2) · width: 0 + 1 · 0.2 · 10, and so on; zeros leave the anchor
    values = np.array([[[1, 2, 0, -1], [0, 0, 0, 0]]], "float32")
    boxes = ops.convert_to_numpy(RegressBoxes()([ANCHORS, values]))
    np.testing.assert_allclose(boxes, [[[2, 8, 10, 16], [50, 60, 90, 80]]], rtol=1e-6)


def test_mean_and_std():
    # x1: 0 + (1 · 0.5 + 0.1) · 10
    layer = RegressBoxes(mean=np.array([0.1, 0, 0, 0]), std=[0.5, 1, 1, 1])
    boxes = ops.convert_to_numpy(layer([ANCHORS, np.ones((1, 2, 4), "float32")]))
    np.testing.assert_allclose(boxes[0, 0], [6, 20, 20, 40], rtol=1e-6)
    again = RegressBoxes.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_allclose(again.coder.config["mean"], [0.1, 0, 0, 0])


@pytest.mark.parametrize("wrong", [{"mean": 0.1}, {"std": 3}])
def test_one_number_for_four(wrong):
    with pytest.raises(ValueError, match="four numbers"):
        RegressBoxes(**wrong)


@pytest.mark.parametrize("coder", ["center_size", {"name": "center_size", "variances": [0.1] * 4}])
def test_any_coder(coder):
    layer = RegressBoxes(coder=coder)
    values = np.random.default_rng(0).normal(size=(3, 2, 4)).astype("float32")
    boxes = layer([np.repeat(ANCHORS, 3, 0), values])
    expected = coders.get(coder).decode(ANCHORS, values)
    np.testing.assert_allclose(ops.convert_to_numpy(boxes), expected, rtol=1e-4, atol=1e-4)
    again = RegressBoxes.from_config(layer.get_config())
    assert again.coder.config == layer.coder.config


def test_plain_arrays():
    values = np.ones((1, 2, 4), "float32")
    for layer in (RegressBoxes(), RegressBoxes(coder="center_size")):
        boxes = layer.call([ANCHORS, values])
        expected = layer.coder.decode(ANCHORS, values)
        np.testing.assert_allclose(ops.convert_to_numpy(boxes), expected, rtol=1e-5)


def test_symbolic_shapes():
    boxes = RegressBoxes()([keras.Input((None, 4)), keras.Input((None, 4))])
    assert boxes.shape == (None, None, 4)


def test_float32_under_any_policy():
    # in bfloat16 the corner at 1001 would be 1000
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        anchors = np.array([[[1001, 1003, 1007, 1009]]], "float32")
        boxes = RegressBoxes()([anchors, ops.zeros((1, 1, 4))])
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_array_equal(ops.convert_to_numpy(boxes), anchors)
