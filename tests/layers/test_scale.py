"""One trainable factor: what it gives, its gradient, and saved and loaded."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers.scale import Scale

pytestmark = pytest.mark.core


def factor_of(value):
    """The layer with the factor `value`."""
    layer = Scale()
    layer.build((None, 4))
    layer.factor.assign(value)
    return layer


def test_starts_as_it_is():
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    layer = Scale()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(values)), values)
    assert [variable.shape for variable in layer.trainable_variables] == [()]


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 0, 4), (2, 3, 5, 4)])
def test_multiplies(shape):
    values = np.random.default_rng(1).normal(size=shape).astype("float32")
    result = ops.convert_to_numpy(factor_of(-2.5)(values))
    assert result.shape == shape
    np.testing.assert_array_equal(result, values * -2.5)
    assert factor_of(1).compute_output_shape(shape) == shape


def test_gradient_is_the_factor(gradient):
    # and that of the factor, by the product rule, the sum of the inputs
    values = np.array([[1, -2], [4, 0.5]], "float32")
    layer = factor_of(3)
    value, slope = gradient(lambda x: ops.sum(layer(x)), values)
    assert value == 3 * 3.5
    assert slope.tolist() == [[3, 3], [3, 3]]


def test_is_float32_under_any_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Scale()
    finally:
        keras.config.set_dtype_policy(before)
    result = layer(np.array([1001.25], "float32"))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    assert ops.convert_to_numpy(result).tolist() == [1001.25]


def test_round_trip(tmp_path):
    # two levels, each with its own factor
    inputs = keras.Input((None, 4))
    names = ["fine", "coarse"]
    model = keras.Model(inputs, [Scale(name=name)(inputs) for name in names])
    for name, value in zip(names, (0.5, 4.0), strict=True):
        model.get_layer(name).factor.assign(value)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    values = np.array([[[1, 2, 3, 4]]], "float32")
    results = [ops.convert_to_numpy(result).tolist() for result in again(values)]
    assert results == [[[[0.5, 1, 1.5, 2]]], [[[4, 8, 12, 16]]]]
    assert [layer.get_config() for layer in again.layers] == [
        layer.get_config() for layer in model.layers
    ]
