"""Normalisation inside the graph: the same as `preprocess_image` gives outside."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import Normalize
from keras_retinanet.layers.normalize import NORMALIZATIONS, normalize
from keras_retinanet.utils.image import preprocess_image

pytestmark = pytest.mark.core

RGB = np.array([[[[255, 0, 127.5], [10, 20, 30]]]], "float32")


def test_by_hand():
    tf = ops.convert_to_numpy(Normalize("tf")(RGB))
    np.testing.assert_allclose(tf[0, 0, 0], [1, -1, 0], atol=1e-6)
    caffe = ops.convert_to_numpy(Normalize("caffe")(RGB))  # blue, green, red less their means
    np.testing.assert_allclose(caffe[0, 0, 1], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-5)
    torch = ops.convert_to_numpy(Normalize("torch")(RGB))  # 255 is 1: (1 - 0.485) / 0.229
    np.testing.assert_allclose(torch[0, 0, 0, 0], (1 - 0.485) / 0.229, rtol=1e-5)


def test_other_dialects_by_hand():
    assert normalize(RGB, "raw").tolist() == RGB.tolist()
    rgb = [10, 20, 30]
    for mode, expected in (
        ("detectron2", [30 - 103.53, 20 - 116.28, 10 - 123.675]),
        ("tf_bgr", [30 / 127.5 - 1, 20 / 127.5 - 1, 10 / 127.5 - 1]),
        ("efficientnetv2", [x / 128 - 1 for x in rgb]),
    ):
        np.testing.assert_allclose(normalize(RGB, mode)[0, 0, 1], expected, rtol=1e-5)


def test_efficientnet_is_made_up_for():
    # the weights hold (x / 255 - m) / √s and were trained on (x / 255 - m) / s
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    then = (normalize(RGB, "efficientnet") / 255 - mean) / np.sqrt(std)
    np.testing.assert_allclose(then, normalize(RGB, "torch"), rtol=1e-5, atol=1e-5)


def test_caffe_of_rgb_is_preprocess_image_of_bgr():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype("uint8")
    ours = ops.convert_to_numpy(Normalize("caffe").call(images))
    expected = preprocess_image(images[..., ::-1], mode="caffe")
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("mode", NORMALIZATIONS)
def test_config_shape_and_dtype(mode):
    layer = Normalize.from_config(Normalize(mode).get_config())
    assert layer.mode == mode
    assert layer(keras.Input((None, None, 3))).shape == (None, None, None, 3)
    result = layer.call(RGB.astype("uint8"))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(
        ops.convert_to_numpy(result), ops.convert_to_numpy(layer(np.floor(RGB)))
    )


def test_has_a_gradient(gradient):
    _, slope = gradient(lambda x: ops.sum(Normalize("torch").call(x)), RGB)
    np.testing.assert_allclose(slope[0, 0, 0], [1 / 58.395, 1 / 57.12, 1 / 57.375], rtol=1e-5)


def test_an_unknown_mode_names_the_known():
    with pytest.raises(ValueError, match=r"'imagenet'; known: .* caffe, .* torch"):
        Normalize("imagenet")
