"""Box losses: by hand, and where they must stay finite."""

import math
from functools import partial

import numpy as np
import pytest
from keras import ops

from keras_retinanet.losses import giou, smooth_l1

pytestmark = pytest.mark.core

WILD = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], "float32")


def a_batch(targets, y_pred, state=None):
    """Targets (2, 12, 5) and predictions (2, 12, 4) that start with these, of objects."""
    y_true, values = np.zeros((2, 12, 5), "float32"), np.zeros((2, 12, 4), "float32")
    y_true[0, : len(targets), :4], values[0, : len(y_pred)] = targets, y_pred
    y_true[0, : len(targets), 4] = 1 if state is None else state
    return y_true, values


def number(loss, y_true, y_pred):
    value = loss(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    assert tuple(value.shape) == ()
    return float(ops.convert_to_numpy(value))


def some_batch(seed=0):
    """Targets with all three states, and predictions: ordered boxes, which giou takes too."""
    random = np.random.default_rng(seed)
    state = random.integers(-1, 2, (2, 12))
    state[0, :3] = 1, 0, -1
    low = random.uniform(0, 50, (2, 2, 12, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 50, low.shape)], -1).astype("float32")
    return np.concatenate([boxes[0], state[..., None]], -1).astype("float32"), boxes[1]


def test_smooth_l1_by_hand():
    # sigma 3: below 1/9 the square 0.5 · 9 · d², above it d - 0.5 / 9, summed over the corners
    batch = a_batch([[0, 0, 0, 0]], [[0.1, -0.1, 2, -3]])
    expected = 2 * 0.5 * 9 * 0.1**2 + (2 - 0.5 / 9) + (3 - 0.5 / 9)
    assert math.isclose(number(smooth_l1(), *batch), expected, rel_tol=1e-5)


@pytest.mark.parametrize(("sigma", "distance"), [(1.0, 0.9), (1.0, 1.1), (0.5, 3.9), (2.0, 0.3)])
def test_smooth_l1_sigma(sigma, distance):
    # Huber's loss with beta = 1 / sigma²: d² / (2 beta) below it, d - beta / 2 above
    beta = 1 / sigma**2
    expected = distance**2 / (2 * beta) if distance < beta else distance - beta / 2
    value = number(smooth_l1(sigma), *a_batch([[1] * 4], [[1, 1, 1, 1 - distance]]))
    assert math.isclose(value, expected, rel_tol=1e-5)


def test_smooth_l1_joins_its_branches(gradient):
    # at 1/9 both branches are 1/18 with the slope 1
    for distance in (1 / 9 - 1e-4, 1 / 9 + 1e-4):
        y_true, y_pred = a_batch([[0] * 4], [[distance, 0, 0, 0]])
        value, slope = gradient(partial(smooth_l1(), ops.convert_to_tensor(y_true)), y_pred)
        assert math.isclose(value, 1 / 18, rel_tol=5e-3)
        assert math.isclose(slope[0, 0, 0], 1, rel_tol=5e-3)


def test_giou_by_hand():
    # itself: 0. Side by side, 50 of 150 px² shared, hull 150: 1 - 1/3.
    # Apart, 100 and 200 px² in a hull of 900: 1 + 600 / 900. Two objects of the three count.
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]]
    y_pred = [[0, 0, 10, 10], [5, 0, 15, 10], [20, 10, 30, 30]]
    value = number(giou(), *a_batch(boxes, y_pred))
    assert math.isclose(value, (0 + 2 / 3 + 5 / 3) / 3, rel_tol=1e-5)
    value = number(giou(), *a_batch(boxes, y_pred, [0, 1, 1]))
    assert math.isclose(value, (2 / 3 + 5 / 3) / 2, rel_tol=1e-5)


def test_giou_range():
    y_true, y_pred = some_batch(9)
    objects = (y_true[..., -1] == 1).sum()
    assert 0 <= number(giou(), y_true, y_pred) <= 2
    assert number(giou(), y_true, y_true[..., :4]) < 1e-5
    apart = number(giou(), y_true, y_pred + 1e6)
    assert objects > 1
    assert 1.99 < apart <= 2


def test_what_they_compare():
    assert smooth_l1().spec.compares == "deltas"
    assert giou().spec.compares == "boxes"


@pytest.fixture(params=[smooth_l1, giou])
def loss(request):
    return request.param()


def test_divides_by_the_objects_of_the_whole_batch(loss):
    # one object in the first image and two in the second: the mean over the three of them
    y_true, y_pred = some_batch(1)
    objects, each = ((0, 0), (1, 2), (1, 5)), []
    for place in objects:
        y_true[..., -1] = 0
        y_true[*place, -1] = 1
        each.append(number(loss, y_true, y_pred))
    for place in objects:
        y_true[*place, -1] = 1
    assert min(each) > 0
    assert math.isclose(number(loss, y_true, y_pred), sum(each) / 3, rel_tol=1e-5)


def test_only_objects_contribute(gradient, loss):
    # background and ignored anchors: neither their targets nor their predictions matter
    y_true, y_pred = some_batch(2)
    others = y_true[..., -1] != 1
    expected, expected_slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    assert others.sum() >= len(WILD)
    y_pred[others] = y_true[others, :4] = np.resize(WILD, (others.sum(), 1))
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert not slope[others].any()
    np.testing.assert_allclose(slope[~others], expected_slope[~others], rtol=1e-5)
    assert np.abs(slope[~others]).max() > 0


@pytest.mark.parametrize("state", [-1, 0])
def test_no_objects(gradient, loss, state):
    y_true, y_pred = some_batch(3)
    y_true[..., -1] = state
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    assert value == 0
    assert not slope.any()


def test_no_anchors(loss):
    assert number(loss, np.zeros((2, 0, 5), "float32"), np.zeros((2, 0, 4), "float32")) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(gradient, loss, dtype):
    y_true, y_pred = some_batch(4)
    exact, _ = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred, dtype)
    assert math.isclose(value, exact, rel_tol=0.02)
    assert np.isfinite(slope).all()


def test_wild_boxes_have_finite_gradients(gradient, loss):
    # no area, inverted, far away, equal to the target
    y_pred = [[5, 5, 5, 5], [9, 9, 1, 1], [1e5, 1e5, 1e5 + 1, 1e5 + 1], [0, 0, 10, 10]]
    y_true, y_pred = a_batch([[0, 0, 10, 10]] * 3 + [[4, 4, 4, 4]], y_pred)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_the_gradient_is_the_slope(gradient, loss):
    y_true, y_pred = some_batch(5)
    _, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    for corner in range(4):
        step = np.zeros_like(y_pred)
        step[0, 0, corner] = 0.05
        rise = number(loss, y_true, y_pred + step) - number(loss, y_true, y_pred - step)
        assert math.isclose(rise / 0.1, slope[0, 0, corner], rel_tol=0.03, abs_tol=2e-4)
