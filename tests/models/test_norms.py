"""Norms: how many groups, frozen or live."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.errors import InputError
from keras_retinanet.models.norms import (
    NORMS,
    freeze_batch_norm,
    groups_for,
    normalized,
    with_norm,
)

pytestmark = pytest.mark.core


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 16, 24, 30, 37, 64, 80, 128, 256, 2048])
def test_groups(channels):
    groups = groups_for(channels)
    assert channels % groups == 0
    assert 1 <= groups <= 32
    assert groups == 1 or channels // groups >= 4


def test_groups_by_hand():
    # 32 groups of 8; 4 channels at least; the largest divisor at most 30 / 4 = 7 is 6
    assert groups_for(256) == 32
    assert groups_for(16) == 4
    assert groups_for(30) == 6


def test_normalized():
    x = keras.Input((4, 4, 8))
    assert normalized(x, "none", "norm") is x
    model = keras.Model(x, normalized(normalized(x, "batch", "one"), "group", "two"))
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds == ["BatchNormalization", "GroupNormalization"]
    assert [layer.name for layer in model.layers[1:]] == ["one", "two"]


def test_an_unknown_norm_names_the_known():
    with pytest.raises(ValueError, match="'layer'; known: batch, group, none"):
        normalized(keras.Input((4, 4, 8)), "layer", "norm")
    assert set(NORMS) == {"batch", "group", "none"}


def test_freeze_batch_norm():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization(), inner]
    )
    assert freeze_batch_norm(model) is model
    norms = [model.layers[1], inner.layers[0]]
    assert all(isinstance(norm, keras.layers.BatchNormalization) for norm in norms)
    assert not any(norm.trainable for norm in norms)
    assert model.layers[0].trainable
    assert len(model.trainable_variables) == 2  # kernel and bias of the dense layer


@pytest.fixture
def network():
    """Batch norm with and without its factors, within another model, and weights that tell."""
    inputs = x = keras.Input((4, 4, 8))
    x = keras.layers.BatchNormalization(name="plain")(x)
    x = keras.layers.BatchNormalization(scale=False, center=False, name="bare")(x)
    inner = [keras.layers.Conv2D(8, 1, name="in"), keras.layers.BatchNormalization(name="nested")]
    x = keras.Sequential(inner, name="sequence")(x)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="out")(x))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) for w in model.weights])
    return model


def norms_of(model):
    layers = [model.get_layer(name) for name in ("plain", "bare")]
    return [*layers, model.get_layer("sequence").layers[-1]]


def test_group_norm_for_batch_norm(network):
    changed = with_norm(network, "group")
    for layer in norms_of(changed):
        assert isinstance(layer, keras.layers.GroupNormalization)
        assert layer.groups == 2
        gamma, beta = layer.get_weights()  # at their start
        assert gamma.tolist() == [1] * 8
        assert beta.tolist() == [0] * 8
    for old, new in (
        (network.get_layer("out"), changed.get_layer("out")),
        (network.get_layer("sequence").layers[0], changed.get_layer("sequence").layers[0]),
    ):
        np.testing.assert_array_equal(old.get_weights()[0], new.get_weights()[0])
    assert with_norm(network, "batch") is network


def test_synchronised_batch_norm(network, tmp_path):
    if keras.backend.backend() != "tensorflow":
        with pytest.raises(InputError, match=r"sync_batch needs .*tensorflow"):
            with_norm(network, "sync_batch")
        return
    changed = with_norm(network, "sync_batch")
    assert all(layer.synchronized for layer in norms_of(changed))
    changed.save(tmp_path / "model.keras")
    changed = keras.saving.load_model(tmp_path / "model.keras")
    assert all(layer.synchronized for layer in norms_of(changed))
    images = np.random.default_rng(1).normal(size=(3, 4, 4, 8)).astype("float32")
    for training in (False, True):  # of one replica they are those of batch norm
        ours, theirs = (
            ops.convert_to_numpy(model(images, training=training)) for model in (changed, network)
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(changed.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_an_unknown_norm_of_a_backbone_names_the_known(network):
    with pytest.raises(ValueError, match="'layer'; known: batch, sync_batch, group"):
        with_norm(network, "layer")
