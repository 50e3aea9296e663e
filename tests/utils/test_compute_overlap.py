"""The IoU of pairs, by hand."""

import numpy as np

from keras_retinanet.utils.compute_overlap import compute_overlap


def test_by_hand():
    # [0, 0, 10, 10] shares 5 x 10 = 50 of 150 px² with its neighbour 5 px to the right (1/3),
    # and 5 x 5 = 25 of 100 with its own quarter (1/4); touching and distant boxes share nothing.
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
    query = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 5, 5], [10, 0, 20, 10]], np.float32)
    expected = [[1, 1 / 3, 1 / 4, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(compute_overlap(boxes, query), expected, atol=1e-6)
    np.testing.assert_allclose(compute_overlap(query, boxes), np.transpose(expected), atol=1e-6)


def test_lists_and_integers():
    assert compute_overlap([[0, 0, 2, 2]], [[0, 0, 1, 2]]).tolist() == [[0.5]]


def test_empty():
    none, some = np.zeros((0, 4), np.float32), np.array([[0, 0, 1, 1]], np.float32)
    assert compute_overlap(none, some).shape == (0, 1)
    assert compute_overlap(some, none).shape == (1, 0)
    assert compute_overlap(none, none).shape == (0, 0)


def test_box_without_area_overlaps_nothing():
    assert compute_overlap([[3, 3, 3, 3]], [[3, 3, 3, 3], [0, 0, 9, 9]]).tolist() == [[0, 0]]
