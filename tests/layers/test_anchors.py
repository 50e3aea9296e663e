"""The anchors of a level, inside the graph."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import Anchors
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape, guess_shapes

pytestmark = pytest.mark.core


def test_by_hand():
    # 1 row and 2 columns of stride 8: 16 px squares about (4, 4) and (12, 4)
    anchors = Anchors(16, 8, ratios=[1], scales=[1]).call(np.zeros((3, 1, 2, 5), "float32"))
    expected = [[-4, -4, 12, 12], [4, -4, 20, 12]]
    np.testing.assert_allclose(ops.convert_to_numpy(anchors), [expected] * 3)


@pytest.mark.parametrize("params", [AnchorParameters.default, AnchorParameters([9.5] * 5, [8] * 5)])
def test_equal_to_the_anchors_of_the_image(params):
    shapes = guess_shapes((96, 160), [3, 4, 5, 6, 7])
    if params is not AnchorParameters.default:
        shapes = [shapes[0]] * 5
    levels = [
        Anchors(size, stride, params.ratios, params.scales)(np.zeros((1, *shape, 1), "float32"))
        for shape, size, stride in zip(shapes, params.sizes, params.strides, strict=True)
    ]
    ours = np.concatenate([ops.convert_to_numpy(level)[0] for level in levels])
    expected = anchors_for_shape((96, 160), None, params, lambda *_: shapes)
    np.testing.assert_array_equal(ours, expected)


def test_fitted_strides_by_hand():
    # images of 21 x 50 px, features of 2 x 3: strides 21 // 2 = 10 down and 50 // 3 = 16 across
    layer = Anchors(4, 99, ratios=[1], scales=[1.2], offset=0, rounded=True, fitted_strides=True)
    arrays = np.zeros((2, 2, 3, 5), "float32"), np.zeros((2, 21, 50, 3), "float32")
    # int(4 · 1.2) = 4 px squares
    expected = [[x - 2, y - 2, x + 2, y + 2] for y in (0, 10) for x in (0, 16, 32)]
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(arrays)), [expected] * 2)


def test_fitted_strides_in_a_graph():
    images = keras.Input((None, None, 3))
    features = keras.layers.AveragePooling2D(8, padding="same")(images)
    params = AnchorParameters([32], [8], offset=0, rounded=True, fitted_strides=True)
    layer = Anchors(32, 8, offset=0, rounded=True, fitted_strides=True)
    anchors = layer([features, images])
    assert anchors.shape == (None, None, 4)
    model = keras.Model(images, anchors)
    for shape in ((70, 100), (64, 41)):
        found = model.predict_on_batch(np.zeros((1, *shape, 3), "float32"))[0]
        np.testing.assert_array_equal(found, anchors_for_shape(shape, [3], params))


def test_defaults():
    assert Anchors(32, 8).call(np.zeros((1, 2, 3, 1), "float32")).shape == (1, 2 * 3 * 9, 4)


def test_symbolic_shapes():
    layer = Anchors(32, 8, ratios=[0.5, 1], scales=[1])
    assert layer(keras.Input((None, None, 8))).shape == (None, None, 4)
    assert layer(keras.Input((3, 5, 8))).shape == (None, 3 * 5 * 2, 4)
    assert layer.compute_output_shape((2, 3, 5, 8)) == (2, 30, 4)


def test_float32_under_any_policy():
    # bfloat16 has 8 bits: it would round 1001 to 1000
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Anchors(10, 2, ratios=[1], scales=[1])
        anchors = layer(ops.zeros((1, 1, 500, 1), "bfloat16"))
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(anchors.dtype) == "float32"
    np.testing.assert_array_equal(ops.convert_to_numpy(anchors)[0, -1], [994, -4, 1004, 6])


def test_config():
    options = {"offset": 0.25, "rounded": True, "fitted_strides": True}
    layer = Anchors(24, 4, ratios=[0.5, 3], scales=[1.5], name="places", **options)
    again = Anchors.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    inputs = [np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 9, 7, 3), "float32")]
    ours, theirs = (ops.convert_to_numpy(each(inputs)) for each in (layer, again))
    np.testing.assert_array_equal(ours, theirs)


def test_stays_on_the_device():
    # the meta device computes shapes alone and refuses arrays of the host, as a GPU does
    if keras.backend.backend() != "torch":
        pytest.skip("only PyTorch keeps arrays and devices apart")
    with keras.device("meta"):
        anchors = Anchors(32, 8).call(ops.zeros((2, 3, 4, 1)))
    assert str(anchors.device) == "meta"
    assert tuple(anchors.shape) == (2, 3 * 4 * 9, 4)
