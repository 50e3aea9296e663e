"""ATSS beside a search by plain loops."""

import numpy as np
import pytest

from keras_retinanet.assigners import atss
from keras_retinanet.assigners.iou import BACKGROUND, IGNORE
from keras_retinanet.boxes import iou
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape

pytestmark = pytest.mark.core

SQUARE = AnchorParameters(sizes=[64, 128, 256], strides=[8, 16, 32], ratios=[1], scales=[1])
LEVELS = [16 * 12, 8 * 6, 4 * 3]  # of an image of 96 x 128 px


def grid():
    return anchors_for_shape((96, 128), (3, 4, 5), SQUARE)


def search(anchors, boxes, levels, top_k=9):
    """Candidate by candidate, as the paper's algorithm 1 tells it."""
    best = {}  # anchor: (IoU, box)
    for j, box in enumerate(boxes):
        middle = (box[:2] + box[2:]) / 2
        candidates, start = [], 0
        for count in levels:
            rows = range(start, start + count)
            gaps = [((anchors[i][:2] + anchors[i][2:]) / 2 - middle) ** 2 for i in rows]
            nearest = sorted(rows, key=lambda i, g=gaps, s=start: (g[i - s].sum(), i))
            candidates += nearest[:top_k]
            start += count
        overlaps = [float(iou(anchors[i], box)) for i in candidates]
        threshold = np.mean(overlaps) + np.std(overlaps, ddof=1)
        for i, overlap in zip(candidates, overlaps, strict=True):
            center = (anchors[i][:2] + anchors[i][2:]) / 2
            inside = (center > box[:2]).all() and (center < box[2:]).all()
            if overlap >= threshold and inside and overlap > best.get(i, (0,))[0]:
                best[i] = overlap, j
    return np.array([best[i][1] if i in best else BACKGROUND for i in range(len(anchors))])


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_what_the_search_finds(calculate, seed):
    random = np.random.default_rng(seed)
    low = random.uniform(0, 70, (4, 2))
    # odd sides, so that no two anchors are equally far from a box's centre
    boxes = np.concatenate([low, low + random.uniform(10, 60, (4, 2))], 1).astype("float32")
    found = calculate(atss.assign, grid(), boxes, levels=LEVELS)
    np.testing.assert_array_equal(found, search(grid(), boxes, LEVELS))
    assert (found >= 0).any()


def test_no_boxes_leave_background():
    assert (np.array(atss.assign(grid(), np.zeros((0, 4), "float32"))) == BACKGROUND).all()


def test_the_anchors_of_an_ignored_box_are_ignored():
    boxes = np.array([[10.3, 11.1, 61.7, 70.9]], "float32")
    found = atss.assign(grid(), boxes, levels=LEVELS)
    left_out = atss.assign(grid(), boxes, np.array([True]), levels=LEVELS)
    assert (found == 0).any()
    np.testing.assert_array_equal(left_out == IGNORE, found == 0)
