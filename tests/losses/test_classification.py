"""The focal loss and its relatives: by hand, identities, and where they must stay finite."""

import math
from functools import partial

import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.losses import focal, iou_entropy, softmax_focal, varifocal
from keras_retinanet.losses.classification import (
    inverse_frequency,
    to_logits,
    to_relative_logits,
)

pytestmark = pytest.mark.core

WILD = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], "float32")


def a_batch(labels, state, y_pred):
    """Targets and predictions (2, 12, 2) that start with these anchors; the rest are ignored."""
    y_true, values = np.full((2, 12, 3), -1, "float32"), np.full((2, 12, 2), 0.5, "float32")
    y_true[0, : len(state), :2], y_true[0, : len(state), 2] = labels, state
    values[0, : len(state)] = y_pred
    return y_true, values


def some_batch(seed=0):
    """Targets (2, 12, 3) with all three states, and logits (2, 12, 2) between -4 and 4."""
    random = np.random.default_rng(seed)
    state = random.integers(-1, 2, (2, 12))
    state[0, :3] = 1, 0, -1
    labels = np.eye(2)[random.integers(0, 2, (2, 12))] * (state == 1)[..., None]
    y_true = np.concatenate([labels, state[..., None]], -1).astype("float32")
    return y_true, random.uniform(-4, 4, (2, 12, 2)).astype("float32")


def number(loss, y_true, y_pred):
    value = loss(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    assert tuple(value.shape) == ()
    return float(ops.convert_to_numpy(value))


def sigmoid(x):
    return (1 / (1 + np.exp(-x.astype("float64")))).astype("float32")


def cross_entropy(y_true, logits):
    """Summed over all anchors that are not ignored, over the number of objects."""
    labels, state = y_true[..., :-1], y_true[..., -1]
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    values = -(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    return values[state != -1].sum() / max((state == 1).sum(), 1)


def test_by_hand():
    # an object at p = 0.8: 0.25 · 0.2² · -log 0.8, its other class at 0.1: 0.75 · 0.1² · -log 0.9;
    # background at 0.3 and 0.5: 0.75 · (0.3² · -log 0.7 + 0.5² · -log 0.5); one object
    batch = a_batch([[1, 0], [0, 0]], [1, 0], [[0.8, 0.1], [0.3, 0.5]])
    expected = 0.25 * 0.2**2 * -math.log(0.8) + 0.75 * 0.1**2 * -math.log(0.9)
    expected += 0.75 * (0.3**2 * -math.log(0.7) + 0.5**2 * -math.log(0.5))
    assert math.isclose(number(focal(), *batch), expected, rel_tol=1e-5)


def test_gamma_zero_and_alpha_half_is_half_the_cross_entropy():
    y_true, logits = some_batch()
    expected = cross_entropy(y_true, logits) / 2
    value = number(focal(alpha=0.5, gamma=0, from_logits=True), y_true, logits)
    assert math.isclose(value, expected, rel_tol=1e-5)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_logits_and_probabilities_give_the_same(gamma):
    y_true, logits = some_batch(1)
    of_logits = number(focal(gamma=gamma, from_logits=True), y_true, logits)
    of_probabilities = number(focal(gamma=gamma), y_true, sigmoid(logits))
    assert math.isclose(of_logits, of_probabilities, rel_tol=1e-5)


def test_alpha():
    # alpha weighs objects, 1 - alpha the rest: 0.9 and 0.1 of -log 0.5 without modulation
    for label, weight in ((1, 0.9), (0, 0.1)):
        batch = a_batch([[label, 0]], [label], [[0.5, 0]])
        value = number(focal(alpha=0.9, gamma=0), *batch)
        assert math.isclose(value, weight * math.log(2), rel_tol=1e-5)


def test_cutoff():
    # a label of 0.6 is an object above a cutoff of 0.5, and none above 0.7; the cross entropy of
    # 0.6 with p = 0.5 is log 2 either way, and the factor 0.5²
    batch = a_batch([[0.6, 0]], [1], [[0.5, 0]])
    for cutoff, weight in ((0.5, 0.25), (0.6001, 0.75)):
        value = number(focal(cutoff=cutoff), *batch)
        assert math.isclose(value, weight * 0.25 * math.log(2), rel_tol=1e-5)


def test_label_smoothing_changes_the_cross_entropy_and_not_the_weights():
    # a smoothing of 0.2 makes 0.9 of the label 1 and 0.1 of 0; the second class has p = 0.1
    other = -0.1 * math.log(0.1) - 0.9 * math.log(0.9)
    for label, smooth, alpha, p_t in ((1, 0.9, 0.25, 0.8), (0, 0.1, 0.75, 0.2)):
        entropy = -smooth * math.log(0.8) - (1 - smooth) * math.log(0.2)
        batch = a_batch([[label, 0]], [label], [[0.8, 0.1]])
        value = number(losses.cross_entropy(label_smoothing=0.2), *batch)
        assert math.isclose(value, entropy + other, rel_tol=1e-5)
        value = number(focal(label_smoothing=0.2), *batch)
        expected = alpha * (1 - p_t) ** 2 * entropy + 0.75 * 0.1**2 * other
        assert math.isclose(value, expected, rel_tol=1e-5)


def test_divides_by_the_objects_of_the_whole_batch():
    # a second image without objects adds its background to the sum and nothing to the divisor
    y_true, logits = some_batch(2)
    y_true[1] = 0  # all background
    loss = focal(from_logits=True)
    objects = (y_true[0, :, -1] == 1).sum()
    alone = y_true.copy()
    alone[1, :, -1] = -1
    first = number(loss, alone, logits) * objects
    alone = y_true.copy()
    alone[0, :, -1] = -1
    second = number(loss, alone, logits)
    assert min(first, second) > 0
    both = number(loss, y_true, logits)
    assert math.isclose(both, (first + second) / objects, rel_tol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_ignored_anchors_contribute_nothing(gradient, from_logits):
    y_true, y_pred = some_batch(4)
    y_pred = y_pred if from_logits else sigmoid(y_pred)
    loss = focal(from_logits=from_logits)
    ignored = y_true[..., -1] == -1
    y_true[ignored, :-1] = 1  # labels there do not count either
    expected, expected_slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    assert ignored.sum() >= len(WILD)
    y_pred[ignored] = np.resize(WILD, (ignored.sum(), 1))
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert not slope[ignored].any()
    np.testing.assert_allclose(slope[~ignored], expected_slope[~ignored], rtol=1e-5)
    assert np.abs(slope[~ignored]).min() > 0


@pytest.mark.parametrize("from_logits", [False, True])
def test_all_ignored(gradient, from_logits):
    y_true, y_pred = some_batch(5)
    y_true[..., -1] = -1
    loss = focal(from_logits=from_logits)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), sigmoid(y_pred))
    assert value == 0
    assert not slope.any()


def test_all_background(gradient):
    y_true, logits = some_batch(6)
    y_true[:] = 0
    loss = focal(from_logits=True)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), logits)
    assert value > 0
    assert (slope > 0).all()  # every score is pushed down


def test_no_anchors():
    assert number(focal(), np.zeros((2, 0, 4), "float32"), np.zeros((2, 0, 3), "float32")) == 0


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_finite_at_large_logits(gradient, gamma, dtype):
    logits = [[100, -100], [-100, 100], [0, 20], [-20, 50]]
    y_true, logits = a_batch([[1, 0], [1, 0], [0, 0], [0, 0]], [1, 1, 0, 0], logits)
    loss = focal(gamma=gamma, from_logits=True)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), logits, dtype)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    # the second anchor is wrong by 100 in both classes: the loss there is 0.25 · 100 + 0.75 · 100
    # (the factor is 1), the last by 50 in one: 0.75 · 50, the third by 20 and by log 2
    at_zero = 0.75 * 0.5**gamma * math.log(2)
    expected = (100 + 0.75 * 50 + 0.75 * 20 + at_zero) / 2
    assert math.isclose(value, expected, rel_tol=1e-4)
    np.testing.assert_allclose(slope[0, 1], [-0.25 / 2, 0.75 / 2], rtol=1e-3)
    assert abs(slope[0, 0]).max() < 1e-6  # right already


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_finite_at_certain_probabilities(gradient, dtype):
    y_true, y_pred = a_batch([[1, 0], [1, 0], [0, 0]], [1, 1, 0], [[1, 0], [0, 1], [0, 1]])
    loss = focal()
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), y_pred, dtype)
    assert np.isfinite(value)
    assert value > 1
    assert np.isfinite(slope).all()


def test_the_gradient_is_the_slope(gradient):
    y_true, logits = some_batch(7)
    y_true[0, 1:3] = [[0, 0, 0], [0, 1, 1]]
    loss = focal(gamma=1.5, from_logits=True)
    _, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), logits)
    for place in ((0, 0, 0), (0, 1, 1), (0, 2, 0)):
        step = np.zeros_like(logits)
        step[place] = 0.01
        rise = number(loss, y_true, logits + step) - number(loss, y_true, logits - step)
        assert math.isclose(rise / 0.02, slope[place], rel_tol=1e-2, abs_tol=1e-4)


def test_targets_of_other_dtypes():
    y_true, logits = some_batch(8)
    loss = focal(from_logits=True)
    value = number(loss, y_true, logits)
    assert number(loss, y_true.astype("float16"), logits) == value
    assert number(loss, y_true.astype("int32"), logits) == value


def test_to_logits():
    x = np.array([-5, -0.5, 0, 3], "float32")
    back = ops.convert_to_numpy(to_logits(ops.convert_to_tensor(sigmoid(x))))
    np.testing.assert_allclose(back, x, rtol=1e-4, atol=1e-6)
    ends = ops.convert_to_numpy(to_logits(ops.convert_to_tensor(np.array([0, 1], "float32"))))
    # log(1e-7 / (1 - 1e-7)); 1 - 1e-7 is rounded in float32
    np.testing.assert_allclose(ends, [-16.118, 16.118], rtol=0.02)


def test_softmax_focal_by_hand():
    # An object at p = (0.6, 0.1), background 0.3: 0.25 · 0.4² · -log 0.6; background at (0.2, 0.3),
    # its own probability 0.5: 0.75 · 0.5² · -log 0.5; one object
    batch = a_batch([[1, 0], [0, 0]], [1, 0], [[0.6, 0.1], [0.2, 0.3]])
    expected = 0.25 * 0.4**2 * -math.log(0.6) + 0.75 * 0.5**2 * -math.log(0.5)
    assert math.isclose(number(softmax_focal(), *batch), expected, rel_tol=1e-5)
    plain = -math.log(0.6) - math.log(0.5)
    assert math.isclose(number(softmax_focal(None, 0), *batch), plain, rel_tol=1e-5)


def test_softmax_focal_of_one_class_is_the_focal_loss():
    # the softmax of (x, 0) is the sigmoid of x
    y_true, logits = some_batch(9)
    y_true[..., 0] = y_true[..., -1] == 1
    y_true, logits = y_true[..., [0, 2]], logits[..., :1]
    of_sigmoid, of_softmax = (
        [number(build(0.3, gamma, from_logits=True), y_true, logits) for gamma in (0.5, 2)]
        for build in (focal, softmax_focal)
    )
    np.testing.assert_allclose(of_softmax, of_sigmoid, rtol=1e-5)
    assert min(of_sigmoid) > 0


def test_to_relative_logits():
    x = np.random.default_rng(0).uniform(-4, 4, (5, 3)).astype("float32")
    odds = np.exp(x.astype("float64"))  # background 1
    probabilities = (odds / (1 + odds.sum(-1, keepdims=True))).astype("float32")
    back = ops.convert_to_numpy(to_relative_logits(ops.convert_to_tensor(probabilities)))
    np.testing.assert_allclose(back, x, rtol=1e-3, atol=1e-4)
    certain = np.array([[1, 0, 0], [0, 0, 0]], "float32")
    back = ops.convert_to_numpy(to_relative_logits(ops.convert_to_tensor(certain)))
    # log(1 / 1e-7), log(1e-7 / 1e-7), log 1e-7
    np.testing.assert_allclose(back, [[16.118, 0, 0], [-16.118] * 3], rtol=1e-3, atol=0.2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_softmax_focal_is_finite_at_large_logits(gradient, gamma, dtype):
    # right by 100; wrong by 200; background, wrong by 100; background, right by 100
    logits = [[100, -100], [-100, 100], [100, 0], [-100, -100]]
    y_true, logits = a_batch([[1, 0], [1, 0], [0, 0], [0, 0]], [1, 1, 0, 0], logits)
    loss = softmax_focal(gamma=gamma, from_logits=True)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), logits, dtype)
    assert math.isclose(value, (0.25 * 200 + 0.75 * 100) / 2, rel_tol=1e-5)
    assert np.isfinite(slope).all()
    np.testing.assert_allclose(slope[0, 1], [-0.25 / 2, 0.25 / 2], rtol=1e-3)
    np.testing.assert_allclose(slope[0, 2], [0.75 / 2, 0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_softmax_focal_is_finite_at_certain_probabilities(gradient, dtype):
    y_true, y_pred = a_batch([[1, 0], [1, 0], [0, 0]], [1, 1, 0], [[1, 0], [0, 1], [0, 1]])
    value, slope = gradient(partial(softmax_focal(), ops.convert_to_tensor(y_true)), y_pred, dtype)
    assert 1 < value < math.inf
    assert np.isfinite(slope).all()


def test_iou_entropy_by_hand(gradient):
    # IoU 0.8 predicted as 0.5 is log 2; 0.3 as 0.2 is -0.3 log 0.2 - 0.7 log 0.8; two objects
    y_true = np.array([[[0.8, 1], [0.5, 0]], [[0.9, -1], [0.3, 1]]], "float32")
    y_pred = np.array([[[0.5], [0.1]], [[0.9], [0.2]]], "float32")
    expected = (math.log(2) - 0.3 * math.log(0.2) - 0.7 * math.log(0.8)) / 2
    value, slope = gradient(partial(iou_entropy(), ops.convert_to_tensor(y_true)), y_pred)
    assert math.isclose(value, expected, rel_tol=1e-5)
    # the slope is (p - t) / (p (1 - p)), and of the logit p - t
    np.testing.assert_allclose(slope[..., 0], [[-0.3 / 0.25 / 2, 0], [0, -0.1 / 0.16 / 2]], 1e-4)
    logits = np.log(y_pred / (1 - y_pred))
    loss = iou_entropy(from_logits=True)
    value, slope = gradient(partial(loss, ops.convert_to_tensor(y_true)), logits)
    assert math.isclose(value, expected, rel_tol=1e-5)
    np.testing.assert_allclose(slope[..., 0], [[-0.15, 0], [0, -0.05]], rtol=1e-4)


def test_iou_entropy_is_of_the_objects_alone(gradient):
    y_true = np.array([[[0.8, 1], [0.5, 0], [0.5, -1]]], "float32")
    y_pred = np.array([[[0.6], [0.3], [0.3]]], "float32")
    expected, _ = gradient(partial(iou_entropy(), ops.convert_to_tensor(y_true)), y_pred)
    for wild in WILD:
        y_true[0, 1:, 0] = y_pred[0, 1:] = wild
        value, slope = gradient(partial(iou_entropy(), ops.convert_to_tensor(y_true)), y_pred)
        assert value == expected
        assert slope[0, 0] != 0
        assert not slope[0, 1:].any()


@pytest.mark.parametrize("state", [0, -1])
def test_iou_entropy_without_objects(gradient, state):
    y_true = np.full((2, 3, 2), state, "float32")
    y_pred = np.full((2, 3, 1), np.nan, "float32")
    for anchors in (3, 0):
        loss = partial(iou_entropy(), ops.convert_to_tensor(y_true[:, :anchors]))
        value, slope = gradient(loss, y_pred[:, :anchors])
        assert value == 0
        assert not slope.any()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_iou_entropy_is_finite(gradient, dtype):
    y_true = np.array([[[0, 1], [1, 1], [0.25, 1]]], "float32")
    loss = partial(iou_entropy(from_logits=True), ops.convert_to_tensor(y_true))
    value, slope = gradient(loss, [[[100], [-100], [100]]], dtype)
    assert math.isclose(value, (100 + 100 + 75) / 3, rel_tol=1e-5)  # -(1 - t) log(1 - p)
    np.testing.assert_allclose(slope[0, :, 0], [1 / 3, -1 / 3, 0.25], rtol=3e-3)
    loss = partial(iou_entropy(), ops.convert_to_tensor(y_true))
    value, slope = gradient(loss, [[[1], [0], [1]]], dtype)
    assert 1 < value < math.inf
    assert np.isfinite(slope).all()


def test_inverse_frequency_by_hand():
    # 10, 20 and 30 boxes, 20 in the mean: odds of 20 / 10, 20 / 20 and 20 / 30
    np.testing.assert_allclose(inverse_frequency([10, 20, 30]), [2 / 3, 1 / 2, 2 / 5])
    assert inverse_frequency([7]) == [0.5]
    assert inverse_frequency(np.array([5, 5, 5, 5])) == [0.5] * 4


def test_inverse_frequency_of_a_class_without_boxes():
    # weighs no more than its background; the other's odds are 9 boxes / (2 classes · 9)
    np.testing.assert_allclose(inverse_frequency([0, 9]), [0.5, 1 / 3])
    assert inverse_frequency([0, 0]) == [0.5, 0.5]
    rare, common = inverse_frequency([1, 10**6])
    assert 0 < common < 0.5 < rare < 1


def test_softmax_focal_weighs_each_class_and_the_background_by_the_rest():
    # three objects of class 0, 1 and 2 and background, all at logit 0: p_t = 1/4, CE = log 4
    y_true = np.concatenate([np.eye(4, 3), [[1], [1], [1], [0]]], axis=1)[None]
    loss = softmax_focal(alpha=(0.9, 0.5, 0.1), gamma=0, from_logits=True)
    values = loss.spec.each(ops.convert_to_tensor(y_true, "float32"), ops.zeros((1, 4, 3)))
    expected = np.array([[0.9, 0.5, 0.1, 1 - 0.5]]) * np.log(4)  # the mean of the alphas is 0.5
    np.testing.assert_allclose(ops.convert_to_numpy(values), expected, rtol=1e-6)


def test_varifocal_takes_one_alpha():
    with pytest.raises(TypeError, match=r"alpha must be a number, got \(0.2, 0.5\)"):
        varifocal(alpha=(0.2, 0.5))
