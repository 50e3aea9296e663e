"""Assignment by IoU: exact thresholds, boxes that are left out, no boxes."""

import numpy as np
import pytest

from keras_retinanet.assigners.iou import BACKGROUND, IGNORE, assign
from keras_retinanet.choices import ASSIGNERS, lookup

pytestmark = pytest.mark.core

BOX = np.array([[0, 0, 10, 10]], "float32")
# IoU with BOX is width · 10 / 100: 1, 0.5, 0.4, between, and none
ANCHORS = np.array(
    [[0, 0, 10, 10], [0, 0, 5, 10], [0, 0, 4, 10], [0, 0, 4.5, 10], [50, 50, 60, 60]], "float32"
)


def test_thresholds_are_exact(calculate):
    # at 0.5 an object, at 0.4 background, between them neither
    matches = calculate(assign, ANCHORS, BOX)
    assert matches.tolist() == [0, 0, BACKGROUND, IGNORE, BACKGROUND]


def test_just_beside_the_thresholds(calculate):
    anchors = np.array([[0, 0, 4.999, 10], [0, 0, 4.001, 10]], "float32")
    assert calculate(assign, anchors, BOX).tolist() == [IGNORE, IGNORE]


def test_other_thresholds(calculate):
    matches = calculate(assign, ANCHORS, BOX, positive_overlap=0.45, negative_overlap=0.1)
    assert matches.tolist() == [0, 0, IGNORE, 0, BACKGROUND]


def test_an_object_goes_before_background_where_the_thresholds_meet(calculate):
    matches = calculate(assign, ANCHORS, BOX, positive_overlap=0.4, negative_overlap=0.4)
    assert matches.tolist() == [0, 0, 0, 0, BACKGROUND]


def test_the_best_box_wins(calculate):
    # the anchor covers 60 of the first box's 100 px² and 90 of the second's
    boxes = np.array([[0, 0, 6, 10], [0, 0, 9, 10], [40, 40, 50, 50]], "float32")
    assert calculate(assign, BOX, boxes).tolist() == [1]


def test_of_equal_boxes_the_first_wins(calculate):
    assert calculate(assign, BOX, np.repeat(BOX, 3, 0)).tolist() == [0]


def test_anchors_of_ignored_boxes_are_left_out(calculate):
    # the ignored box takes its own anchors; what overlaps it no more than background stays so
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], "float32")
    ignore = np.array([True, False])
    matches = calculate(assign, ANCHORS, boxes, ignore=ignore)
    assert matches.tolist() == [IGNORE, IGNORE, BACKGROUND, IGNORE, 1]
    matches = calculate(assign, ANCHORS, boxes, ignore=~ignore)
    assert matches.tolist() == [0, 0, BACKGROUND, IGNORE, IGNORE]


def test_a_better_object_beats_an_ignored_box(calculate):
    # the anchor has IoU 0.6 with the crowd and 0.9 with the object
    boxes = np.array([[0, 0, 6, 10], [0, 0, 9, 10]], "float32")
    assert calculate(assign, BOX, boxes, ignore=np.array([True, False])).tolist() == [1]


@pytest.mark.parametrize("ignore", [None, np.zeros(0, bool)])
def test_no_boxes(calculate, ignore):
    none = np.zeros((0, 4), "float32")
    assert calculate(assign, ANCHORS, none, ignore=ignore).tolist() == [BACKGROUND] * 5


def test_boxes_without_area_match_nothing(calculate):
    boxes = np.array([[3, 3, 3, 3], [10, 10, 0, 0]], "float32")
    assert calculate(assign, ANCHORS, boxes).tolist() == [BACKGROUND] * 5


def test_one_anchor_at_a_time_gives_the_same():
    random = np.random.default_rng(0)
    low = random.uniform(0, 60, (80, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 50, (80, 2))], 1).astype("float32")
    anchors, boxes, ignore = boxes[:60], boxes[60:], random.random(20) < 0.3
    together = assign(anchors, boxes, ignore)
    each = np.concatenate([assign(anchor[None], boxes, ignore) for anchor in anchors])
    np.testing.assert_array_equal(together, each)
    assert {BACKGROUND, IGNORE} < set(together.tolist())


def test_known_by_name():
    assert lookup(ASSIGNERS, "iou", "assigner") == (assign, {})


def test_the_best_anchor_of_a_box_stands_for_it(calculate):
    anchors = np.array([[0, 0, 8, 8], [2, 2, 4, 4], [20, 20, 24, 24]], "float32")
    boxes = np.array([[0, 0, 4, 5]], "float32")  # 20 / 64 with the first, 4 / 20 with the second
    assert calculate(assign, anchors, boxes).tolist() == [-1, -1, -1]
    assert calculate(assign, anchors, boxes, best_anchor=True).tolist() == [0, -1, -1]


def test_an_anchor_that_is_the_best_of_several_boxes_stands_for_the_one_it_fits_most(calculate):
    anchors = np.array([[0, 0, 10, 10], [100, 100, 110, 110]], "float32")
    boxes = np.array([[8, 8, 30, 30], [0, 0, 10, 10]], "float32")  # IoU 4 / 580, and 1
    assert calculate(assign, anchors, boxes, best_anchor=True).tolist() == [1, -1]


def test_an_ignored_box_does_not_win_its_best_anchor(calculate):
    anchors = np.array([[0, 0, 10, 10]], "float32")
    boxes = np.array([[0, 0, 40, 40], [0, 0, 30, 30]], "float32")  # IoU 1/16, and 1/9
    for ignore, expected in (([True, False], 1), ([False, True], 0), ([True, True], -1)):
        found = calculate(assign, anchors, boxes, np.array(ignore), best_anchor=True)
        assert found.tolist() == [expected]
