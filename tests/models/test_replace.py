"""Copies of networks in which some layers are others."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import Normalize
from keras_retinanet.layers.grouped_convolution import GroupedConv2D
from keras_retinanet.models.replace import replace_layers, with_quick_groups

pytestmark = pytest.mark.core


def same(layer):
    return None


@pytest.fixture(scope="module")
def network():
    """With all that is special: an operation, nested models, constants made of weights, a layer
    that is used twice, and groups.
    """
    scale = keras.layers.Normalization(name="scale")
    inputs = keras.Input((16, 16, 3))
    x = scale(inputs)
    inner = keras.Input((None, None, 3))
    x = keras.Model(inner, keras.layers.Conv2D(4, 3, groups=1, name="first")(inner), name="nest")(x)
    block = [keras.layers.LayerNormalization(), keras.layers.Conv2D(4, 3, groups=2, name="second")]
    x = keras.Sequential(block, name="sequence")(x)
    twice = keras.layers.Conv2D(4, 1, name="twice")
    model = keras.Model(inputs, twice(twice(x)) + x, name="whole")
    scale.set_weights([np.array([1.0, 2, 3]), np.array([4.0, 9, 16]), np.array(0)])
    scale.finalize_state()
    return model


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0, 9, (1, 16, 16, 3)).astype("float32")


def result(model, image):
    return ops.convert_to_numpy(model(image))


def test_a_copy_is_the_same(network, image):
    copy = replace_layers(network, same)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in network.layers]
    np.testing.assert_allclose(result(copy, image), result(network, image), rtol=1e-5, atol=1e-6)
    assert not {id(v) for v in copy.variables} & {id(v) for v in network.variables}


def test_layers_within_others_are_replaced(network, image):
    copy = replace_layers(network, with_quick_groups)
    assert isinstance(copy.get_layer("sequence").layers[-1], GroupedConv2D)
    np.testing.assert_allclose(result(copy, image), result(network, image), rtol=1e-4, atol=1e-5)


def test_other_inputs(network, image):
    source = keras.Input((None, None, 3), name="image")
    copy = replace_layers(network, same, Normalize("tf")(source))
    assert copy.inputs[0] is source
    larger = np.pad(image, [(0, 0), (0, 8), (0, 0), (0, 0)])
    expected = result(network, image / 127.5 - 1)
    np.testing.assert_allclose(
        result(copy, larger)[:, :12], expected, rtol=1e-4, atol=1e-5
    )  # two convolutions of 3x3 without padding
    assert replace_layers(network, same, source).inputs[0] is source


def test_weights_of_other_shapes_start_fresh(network):
    def wider(layer):
        if layer.name != "twice":
            return None
        return keras.layers.Conv2D(4, 1, use_bias=False, name="twice")

    copy = replace_layers(network, wider)
    assert len(copy.get_layer("twice").weights) == 1
    kept = copy.get_layer("nest").get_layer("first").get_weights()[0]
    np.testing.assert_array_equal(kept, network.get_layer("nest").get_layer("first").kernel)
