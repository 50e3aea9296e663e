"""ConvNeXt: its depthwise convolutions, its norms, its stages."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers.grouped_convolution import GroupedConv2D
from keras_retinanet.models.norms import with_norm


@pytest.fixture
def made(shallow):
    return shallow("convnext_tiny")


def test_it_is_that_of_keras_applications(made):
    network = made.network(keras.Input((64, 64, 3)))
    theirs = keras.applications.ConvNeXtTiny(
        include_top=False, weights=None, include_preprocessing=False
    )
    theirs.set_weights(network.get_weights())
    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(network(image)),
        ops.convert_to_numpy(theirs(image)),
        rtol=1e-3,
        atol=1e-4,
    )
    depthwise = [layer for layer in network.layers if layer.name.endswith("depthwise_conv")]
    assert [type(layer) for layer in depthwise] == [GroupedConv2D] * 4


def test_features_have_norms_of_their_own(made):
    features = made.features(keras.Input((64, 64, 3)))
    model = keras.Model(keras.utils.get_source_inputs(features["C5"]), features)
    names = ["C2_norm", "C3_norm", "C4_norm"]
    assert [layer.name for layer in model.layers if layer.name in names] == names
    image = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    for values in model([image]).values():  # over the channels of a place
        values = ops.convert_to_numpy(values)
        np.testing.assert_allclose(values.mean(axis=-1), 0, atol=1e-4)
        np.testing.assert_allclose(values.var(axis=-1), 1, atol=1e-2)


def test_group_norm_leaves_layer_norm_alone(made):
    network = made.network(keras.Input((64, 64, 3)))
    changed = with_norm(network, "group")
    assert changed.count_params() == network.count_params()
    assert not any(isinstance(x, keras.layers.GroupNormalization) for x in changed.layers)
    for ours, theirs in zip(changed.weights, network.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs))


def test_frozen_stages(made):
    for count in range(1, 6):
        network = made.network(keras.Input((64, 64, 3)))
        made.freeze_stages(network, count)
        for layer in network.layers:
            name = layer.name.removeprefix("convnext_tiny_")
            if not layer.weights or name.startswith("layer_normalization"):
                continue  # the last one is part of C5, its name a matter of chance
            number = next((int(part) for part in name.split("_") if part.isdigit()), 0)
            stage = {"stem": 1, "stage": number + 2}.get(name.split("_")[0], number + 3)
            assert layer.trainable == (stage > count), (layer.name, count)
