"""Box arithmetic: values by hand, bounds, symmetries, and equal results of the array modules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_retinanet import boxes as box_math

pytestmark = pytest.mark.core

PAIRS = np.array(
    [
        [[0, 0, 10, 10], [5, 0, 15, 10]],  # side by side, 5 x 10 shared
        [[0, 0, 10, 10], [0, 0, 5, 5]],  # a quarter of it
        [[0, 0, 10, 10], [10, 0, 20, 10]],  # an edge shared
        [[0, 0, 10, 10], [20, 10, 30, 30]],  # apart
        [[3, 3, 8, 9], [3, 3, 8, 9]],  # itself
        [[4, 4, 4, 4], [4, 4, 4, 4]],  # a point and itself
        [[9, 9, 1, 1], [0, 0, 10, 10]],  # inverted
        [[4, 0, 4, 10], [0, 0, 10, 10]],  # a line
    ],
    "float32",
)

coordinates = st.floats(-1000, 1000, width=32)
pairs = arrays("float32", (5, 2, 4), elements=coordinates)  # inverted and empty boxes among them


def ordered(boxes):
    return np.concatenate(
        [np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])],
        axis=-1,
    )


def test_area_equals_a_calculation_by_hand(calculate):
    # 10 x 10; 5 x 6; nothing for a point, an inverted box (8 x 8 were it not) and a line
    boxes = PAIRS[[0, 4, 5, 6, 7], 0]
    assert calculate(box_math.area, boxes).tolist() == [100, 30, 0, 0, 0]


def test_intersection_and_union_equal_a_calculation_by_hand(calculate):
    shared = calculate(box_math.intersection, PAIRS[:, 0], PAIRS[:, 1])
    assert shared.tolist() == [50, 25, 0, 0, 30, 0, 0, 0]
    # areas 100 + 100 - 50; 100 + 25 - 25; 100 + 100; 100 + 200; 30; 0; 0 + 100; 0 + 100
    covered = calculate(box_math.union, PAIRS[:, 0], PAIRS[:, 1])
    assert covered.tolist() == [150, 100, 200, 300, 30, 0, 100, 100]


def test_iou_equals_a_calculation_by_hand(calculate):
    expected = [50 / 150, 25 / 100, 0, 0, 1, 0, 0, 0]
    values = calculate(box_math.iou, PAIRS[:, 0], PAIRS[:, 1])
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_giou_equals_a_calculation_by_hand(calculate):
    # hulls: 15 x 10; 10 x 10; 20 x 10; 30 x 30; itself; a point;
    # [0, 0, 10, 10] for the inverted box, which covers nothing, and for the line
    expected = [1 / 3, 1 / 4, 0, 0 - (900 - 300) / 900, 1, 0, 0, 0]
    values = calculate(box_math.giou, PAIRS[:, 0], PAIRS[:, 1])
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-7)


def test_hull_contains_both_boxes(calculate):
    hull = calculate(box_math.hull, PAIRS[:, 0], PAIRS[:, 1])
    assert hull[3].tolist() == [0, 0, 30, 30]
    assert hull[1].tolist() == [0, 0, 10, 10]


def test_clip_moves_corners_into_the_image(calculate):
    boxes = np.array([[-5, -6, 200, 100], [20, 30, 40, 50], [130, 90, 140, 99]], "float32")
    clipped = calculate(box_math.clip, boxes, width=120, height=80)
    assert clipped.tolist() == [[0, 0, 120, 80], [20, 30, 40, 50], [120, 80, 120, 80]]


def test_leading_axes_broadcast(calculate):
    boxes = PAIRS[:3, 0]
    others = PAIRS[:5, 1]
    table = calculate(lambda a, b, xp: box_math.iou(a[:, None], b[None], xp), boxes, others)
    one_by_one = [[box_math.iou(a, b) for b in others] for a in boxes]
    assert table.shape == (3, 5)
    np.testing.assert_allclose(table, one_by_one, rtol=1e-6)


@pytest.mark.parametrize("function", [box_math.intersection, box_math.iou, box_math.giou])
def test_no_boxes_give_no_values(calculate, function):
    none = np.zeros((0, 4), "float32")
    assert calculate(function, none, none).shape == (0,)


@settings(max_examples=200, deadline=None)
@given(pairs)
def test_iou_and_giou_are_bounded_and_symmetric(boxes):
    a, b = boxes[:, 0], boxes[:, 1]
    iou, giou = box_math.iou(a, b), box_math.giou(a, b)
    assert np.isfinite(iou).all()
    assert np.isfinite(giou).all()
    assert ((iou >= 0) & (iou <= 1 + 1e-5)).all()
    assert (giou >= -1 - 1e-5).all()
    assert (giou <= iou + 1e-5).all()
    np.testing.assert_array_equal(iou, box_math.iou(b, a))
    np.testing.assert_array_equal(giou, box_math.giou(b, a))


@settings(max_examples=100, deadline=None)
@given(pairs, st.floats(0.125, 8, width=32), st.floats(0.125, 8, width=32))
def test_overlap_does_not_change_with_the_scale_of_an_axis(boxes, x, y):
    boxes = np.round(ordered(boxes)).astype("float64")
    boxes[..., 2:] += 1  # at least 1 px²
    scaled = boxes * [x, y, x, y]
    for function in (box_math.iou, box_math.giou):
        before = function(boxes[:, 0], boxes[:, 1])
        after = function(scaled[:, 0], scaled[:, 1])
        np.testing.assert_allclose(after, before, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(arrays("float32", (6, 4), elements=coordinates))
def test_clipped_boxes_lie_inside_and_stay_there(boxes):
    clipped = box_math.clip(boxes, 640, 480)
    assert (clipped >= 0).all()
    assert (clipped[:, ::2] <= 640).all()
    assert (clipped[:, 1::2] <= 480).all()
    np.testing.assert_array_equal(box_math.clip(clipped, 640, 480), clipped)


@pytest.mark.parametrize("function", [box_math.iou, box_math.giou])
def test_keras_equals_numpy(function):
    from keras import ops

    boxes = np.random.default_rng(0).uniform(-50, 1400, (300, 2, 4)).astype("float32")
    boxes[:200] = ordered(boxes[:200])
    ours = function(boxes[:, 0], boxes[:, 1])
    theirs = function(*(ops.convert_to_tensor(boxes[:, i]) for i in (0, 1)), xp=ops)
    np.testing.assert_allclose(ops.convert_to_numpy(theirs), ours, rtol=1e-5, atol=1e-6)
    assert ours.dtype == "float32"


@pytest.mark.parametrize("function", [box_math.iou, box_math.giou])
def test_gradient_is_finite_for_boxes_without_area(gradient, function):
    from keras import ops

    def total(boxes):
        return ops.sum(function(boxes, ops.convert_to_tensor(PAIRS[:, 1]), ops))

    assert np.isfinite(gradient(total, PAIRS[:, 0])[1]).all()
