"""Grouped convolution: Keras's own results and gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers.grouped_convolution import GroupedConv2D

pytestmark = pytest.mark.core


# groups of 1 channel, of few, which are joined whole, in parts, and in parts of no power of 2, of
# as many as a part, and of more
@pytest.mark.parametrize(
    ("channels", "filters", "groups", "strides"),
    [(6, 6, 6, 1), (6, 12, 6, 1), (8, 16, 2, 2), (64, 96, 32, 1), (60, 30, 30, 1), (80, 8, 2, 2)],
)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_it_is_that_of_keras(channels, filters, groups, strides, padding):
    image = np.random.default_rng(0).normal(size=(1, 7, 6, channels)).astype("float32")
    options = {"groups": groups, "strides": strides, "padding": padding}
    theirs = keras.layers.Conv2D(filters, 3, **options, bias_initializer="normal")
    expected = ops.convert_to_numpy(theirs(image))
    ours = GroupedConv2D.from_config(theirs.get_config())
    assert ours(keras.Input((7, 6, channels))).shape[1:] == expected.shape[1:]
    ours.set_weights(theirs.get_weights())
    result = ops.convert_to_numpy(ours(image))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_gradient(gradient):
    # 4 groups of 2: what group 0 gives depends on its own channels alone
    layer = GroupedConv2D(4, 1, groups=4, use_bias=False)
    layer.build((None, 1, 1, 8))
    kernel = np.arange(1, 9).reshape(1, 1, 4, 2).transpose(0, 1, 3, 2)  # (1, 1, 2, 4)
    layer.set_weights([kernel])
    image = np.ones((1, 1, 1, 8), "float32")
    value, slope = gradient(lambda x: layer(x)[0, 0, 0, 0], image)
    assert value == 1 + 2
    assert slope.ravel().tolist() == [1, 2, 0, 0, 0, 0, 0, 0]


def test_saving(tmp_path):
    inputs = keras.Input((None, None, 4))
    model = keras.Model(inputs, GroupedConv2D(8, 3, groups=2, name="grouped")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.get_layer("grouped"), GroupedConv2D)
    image = np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(loaded(image)), ops.convert_to_numpy(model(image)), rtol=1e-5
    )
