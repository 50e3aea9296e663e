"""The feature pyramid: sizes, names, levels."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.models.pyramid import create_pyramid_features

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def features():
    """{"C2": ..., "C5": ...} of an image of 72 x 104 px: sides that are no powers of two."""
    return {
        f"C{level}": keras.Input((-(-72 // 2**level), -(-104 // 2**level), 4 * level))
        for level in range(2, 6)
    }


@pytest.mark.parametrize("levels", [[3, 4, 5, 6, 7], [2, 3, 4, 5], [3], [4, 5, 6], [3, 5, 7]])
def test_sizes(features, levels):
    pyramid = create_pyramid_features(features, levels, feature_size=8)
    assert list(pyramid) == [f"P{level}" for level in levels]
    for level in levels:
        assert pyramid[f"P{level}"].shape == (None, -(-72 // 2**level), -(-104 // 2**level), 8)
    keras.Model(list(features.values()), list(pyramid.values()))  # one graph, all of it connected


def test_default_width(features):
    assert create_pyramid_features(features, [5])["P5"].shape[-1] == 256


@pytest.mark.parametrize("norm", ["none", "group"])
def test_layers_carry_the_names_of_the_levels(features, norm):
    pyramid = create_pyramid_features(features, [3, 4, 5, 6, 7], 8, norm)
    model = keras.Model(list(features.values()), list(pyramid.values()))
    for level in range(3, 8):
        assert model.get_layer(f"P{level}").output is pyramid[f"P{level}"]
    norms = [x for x in model.layers if isinstance(x, keras.layers.GroupNormalization)]
    assert len(norms) == (6 if norm == "group" else 0)  # lateral and output of P3, P4 and P5


def test_the_level_above_is_added():
    # 1x1 and 3x3 convolutions that hand on their input: P3 = C3 + C4 + C5, upsampled
    sides = {"C3": (4, 6), "C4": (2, 3), "C5": (1, 2)}
    inputs = {name: keras.Input((*side, 1), name=name) for name, side in sides.items()}
    pyramid = create_pyramid_features(inputs, [3, 4, 5], feature_size=1)
    model = keras.Model(inputs, pyramid)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.zeros(layer.kernel.shape, "float32")
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
            layer.set_weights([kernel, np.zeros(1, "float32")])
    values = {
        name: np.full((1, *side, 1), 10.0**i, "float32")
        for i, (name, side) in enumerate(sides.items())
    }
    result = {name: ops.convert_to_numpy(value) for name, value in model(values).items()}
    np.testing.assert_allclose(result["P5"], 100)
    np.testing.assert_allclose(result["P4"], 110)
    np.testing.assert_allclose(result["P3"], 111)
