"""Clipping to the image."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import ClipBoxes

pytestmark = pytest.mark.core

IMAGES = np.zeros((1, 80, 120, 3), "float32")
BOXES = np.array([[[-5, -6, 200, 100], [20, 30, 40, 50], [130, 90, 140, 99]]], "float32")


def test_by_hand():
    # 120 wide and 80 high
    expected = [[[0, 0, 120, 80], [20, 30, 40, 50], [120, 80, 120, 80]]]
    np.testing.assert_array_equal(ops.convert_to_numpy(ClipBoxes()([IMAGES, BOXES])), expected)
    np.testing.assert_array_equal(ops.convert_to_numpy(ClipBoxes().call([IMAGES, BOXES])), expected)


def test_margin():
    # keras-retinanet clips to the last pixel: 119 and 79
    layer = ClipBoxes(margin=1)
    expected = [[[0, 0, 119, 79], [20, 30, 40, 50], [119, 79, 119, 79]]]
    np.testing.assert_array_equal(ops.convert_to_numpy(layer([IMAGES, BOXES])), expected)
    assert ClipBoxes.from_config(layer.get_config()).margin == 1


def test_no_boxes():
    assert tuple(ClipBoxes()([IMAGES, np.zeros((1, 0, 4), "float32")]).shape) == (1, 0, 4)


def test_images_of_bytes():
    boxes = ClipBoxes().call([IMAGES.astype("uint8"), BOXES])
    assert ops.convert_to_numpy(boxes)[0, 0].tolist() == [0, 0, 120, 80]


def test_in_a_graph_of_any_size():
    image, boxes = keras.Input((None, None, 3)), keras.Input((None, 4))
    model = keras.Model([image, boxes], ClipBoxes()([image, boxes]))
    assert model.output_shape == (None, None, 4)
    clipped = model.predict_on_batch([IMAGES, BOXES])
    assert clipped[0, 0].tolist() == [0, 0, 120, 80]
