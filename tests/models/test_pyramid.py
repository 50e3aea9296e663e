"""The feature pyramid: sizes, names, levels."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.models.pyramid import create_pyramid_features, feature_pyramid
from keras_retinanet.parts import Pyramid

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
    pyramid = feature_pyramid(features, Pyramid(width=8, norm=norm))
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


def strided(options, values):
    """P6 and P7 of a constant C5 and P5 of 1x4 places and one channel, with kernels of ones."""
    names = {level: f"C{level}" for level in (3, 4, 5)}
    shape = {n: keras.Input((1, 4 * 2 ** (5 - i), 1), name=n) for i, n in names.items()}
    pyramid = feature_pyramid(shape, Pyramid((5, 6, 7), 1, **options))
    model = keras.Model(shape, [pyramid["P6"], pyramid["P7"]])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.set_weights([np.ones(layer.kernel.shape, "float32"), np.zeros(1, "float32")])
    images = {name: np.zeros((1, *value.shape[1:]), "float32") for name, value in shape.items()}
    images["C5"][0, 0, :, 0] = values
    return [ops.convert_to_numpy(value)[0, 0, :, 0].tolist() for value in model(images)]


def test_padding_of_the_strided_convolutions():
    # "same" pads four places at the end: 1+2+4, 4+8; "symmetric" at both sides: 1+2, 2+4+8
    assert strided({}, [1, 2, 4, 8])[0] == [7, 12]
    assert strided({"strided_padding": "symmetric"}, [1, 2, 4, 8])[0] == [3, 14]


def test_p6_from_p5():
    # P5 is C5 through a 1x1 and a 3x3 convolution: [1+2, 1+2+4, 2+4+8, 4+8] = [3, 7, 14, 12]
    assert strided({"p6_from": "P5"}, [1, 2, 4, 8])[0] == [24, 26]


def test_p7_with_and_without_relu():
    # P6 is [-7, -12] and two places wide: "same" pads its end, so P7 is their sum
    assert strided({}, [-1, -2, -4, -8])[1] == [0]
    assert strided({"p7_relu": False}, [-1, -2, -4, -8])[1] == [-19]


@pytest.mark.parametrize("options", [{"p6_from": "C4"}, {"strided_padding": "valid"}])
def test_unknown_options_name_the_known(features, options):
    with pytest.raises(ValueError, match=r"Unknown (p6_from 'C4'|strided_padding 'valid'); known"):
        feature_pyramid(features, Pyramid((5, 6), 4, **options))
