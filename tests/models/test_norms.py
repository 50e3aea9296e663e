"""Norms: how many groups, frozen or live."""

import keras
import pytest

from keras_retinanet.models.norms import NORMS, freeze_batch_norm, groups_for, normalized

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
    with pytest.raises(ValueError, match=r"\['batch', 'group', 'none'\]. Received: 'layer'"):
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
