"""The old names on tensors, against the same on arrays."""

import numpy as np
import pytest
from keras import ops

from keras_retinanet import backend
from keras_retinanet.utils import anchors as anchor_utils

pytestmark = pytest.mark.core

BOXES = np.array([[[0, 0, 10, 20], [50, 60, 90, 80]]], "float32")


def test_bbox_transform_inv_by_hand():
    # x1 + (d · 0.2 + 0) · width: 0 + 1 · 0.2 · 10, y1: 0 + 2 · 0.2 · 20, and so on
    deltas = np.array([[[1, 2, 0, -1], [0, 0, 0, 0]]], "float32")
    boxes = ops.convert_to_numpy(backend.bbox_transform_inv(BOXES, deltas))
    np.testing.assert_allclose(boxes, [[[2, 8, 10, 16], [50, 60, 90, 80]]], rtol=1e-6)


def test_bbox_transform_inv_mean_and_std():
    # x1: 0 + (1 · 0.5 + 0.1) · 10; y1: 0 + 1 · 20
    values = ops.convert_to_tensor(np.ones((1, 2, 4), "float32"))
    boxes = backend.bbox_transform_inv(
        ops.convert_to_tensor(BOXES), values, mean=np.array([0.1, 0, 0, 0]), std=[0.5, 1, 1, 1]
    )
    np.testing.assert_allclose(ops.convert_to_numpy(boxes)[0, 0], [6, 20, 20, 40], rtol=1e-6)


def test_bbox_transform_and_back():
    boxes = BOXES[0] + [[1, -2, 3, 4]]
    deltas = anchor_utils.bbox_transform(BOXES[0], boxes.astype("float32"))
    back = ops.convert_to_numpy(backend.bbox_transform_inv(BOXES[0], deltas))
    np.testing.assert_allclose(back, boxes, rtol=1e-5)


def test_shift_by_hand():
    # 1 row and 2 columns of stride 10: centres (5, 5) and (15, 5)
    places = backend.shift((1, 2), 10, np.array([[-1, -2, 1, 2]], "float32"))
    assert ops.convert_to_numpy(places).tolist() == [[4, 3, 6, 7], [14, 3, 16, 7]]


def test_shift_of_a_shape_in_the_graph():
    base = anchor_utils.generate_anchors(32)
    shape = ops.shape(ops.zeros((2, 3, 5, 8)))[1:3]
    places = ops.convert_to_numpy(backend.shift(shape, 16, base))
    np.testing.assert_array_equal(places, anchor_utils.shift((3, 5), 16, base))


def test_anchors():
    params = anchor_utils.AnchorParameters([16, 32], [8, 16], [0.5, 1], [1])
    ours = ops.convert_to_numpy(backend.anchors((40, 56), [3, 4], params))
    np.testing.assert_array_equal(ours, anchor_utils.anchors_for_shape((40, 56), [3, 4], params))
    assert backend.anchors((64, 64, 3)).shape == anchor_utils.anchors_for_shape((64, 64)).shape
