"""Clipping to the image."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import ClipBoxes, ClipDetections

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


def detections(labels=(3, 1, 2)):
    scores = np.array([[0.9, 0.8, 0.7]], "float32")
    scores = np.where(np.array([labels]) < 0, -1, scores).astype("float32")
    return [IMAGES, BOXES, scores, np.array([labels], "int32")]


def test_detections_beyond_the_image_are_dropped_and_the_rest_moves_up():
    # in the order far out, over the image, within: the first has no area once clipped
    image, boxes, scores, labels = detections()
    result = ClipDetections()([image, boxes[:, [2, 0, 1]], scores, labels])
    boxes, scores, labels = (ops.convert_to_numpy(value)[0] for value in result)
    assert boxes.tolist() == [[0, 0, 120, 80], [20, 30, 40, 50], [-1, -1, -1, -1]]
    np.testing.assert_allclose(scores, [0.8, 0.7, -1])
    assert labels.tolist() == [1, 2, -1]


def test_unused_rows_stay_unused():
    result = ClipDetections()(detections(labels=(4, -1, -1)))
    assert ops.convert_to_numpy(result[0])[0, 1:].tolist() == [[-1] * 4] * 2
    assert ops.convert_to_numpy(result[2])[0].tolist() == [4, -1, -1]


def test_other_outputs_move_with_their_detections():
    image, boxes, scores, labels = detections()
    others = np.arange(6, dtype="float32").reshape(1, 3, 2)
    result = ClipDetections(margin=1)([image, boxes[:, ::-1], scores, labels, others])
    assert ops.convert_to_numpy(result[0])[0, 1].tolist() == [0, 0, 119, 79]
    assert ops.convert_to_numpy(result[3])[0].tolist() == [[2, 3], [4, 5], [-1, -1]]
    assert ClipDetections.from_config(ClipDetections(margin=1).get_config()).margin == 1
