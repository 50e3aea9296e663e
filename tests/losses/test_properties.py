"""Properties of the losses for any input: symmetry, bounds, invariance, order, repetition."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from keras_retinanet import boxes as box_math
from keras_retinanet import losses

pytestmark = pytest.mark.core

# a backend that compiles each shape again takes most of a second for an example
COMPILED = keras.backend.backend() == "jax"
few = settings(max_examples=4 if COMPILED else 8, deadline=None, derandomize=True)
many = settings(max_examples=40, deadline=None, derandomize=True)

places = st.floats(-100, 100)
sides = st.floats(0.5, 100)
factors = st.floats(0.125, 8)
seeds = st.integers(0, 2**32 - 1)
logits = arrays("float32", (1, 6, 1), elements=st.floats(-8, 8, width=32))
shares = arrays("float32", (1, 6, 1), elements=st.floats(0, 1, width=32))


@st.composite
def pairs(draw):
    """Two arrays of boxes (6, 4) float64: any, the same twice, and one inside the other."""
    corner = draw(arrays("float64", (2, 6, 2), elements=places))
    a, b = np.concatenate([corner, corner + draw(arrays("float64", (2, 6, 2), elements=sides))], -1)
    b[2] = a[2]
    b[3:5] = a[3:5] * 0.75 + np.tile(a[3:5, :2], 2) * 0.25  # three quarters, at the same corner
    return (a, b) if draw(st.booleans()) else (b, a)


def each(loss, y_true, y_pred):
    """The loss of every anchor, as NumPy."""
    y_true, y_pred = (ops.convert_to_tensor(x, "float32") for x in (y_true, y_pred))
    return ops.convert_to_numpy(loss.spec.each(y_true, y_pred))


def number(loss, y_true, y_pred):
    y_true, y_pred = (ops.convert_to_tensor(x, "float32") for x in (y_true, y_pred))
    return float(ops.convert_to_numpy(loss(y_true, y_pred)))


def as_objects(values):
    """Targets (1, n, V + 1) of values (..., n, V), all of them of objects."""
    values = np.reshape(values, (1, *np.shape(values)[-2:]))
    return np.concatenate([values, np.ones((*values.shape[:-1], 1))], -1)


def of_boxes(loss, a, b):
    """The loss of boxes a (n, 4) as predictions of b (n, 4), in float32: (n,)."""
    return each(loss, as_objects(b), a[None])[0]


@pytest.mark.parametrize("function", [box_math.iou, box_math.giou, box_math.diou])
@many
@given(pair=pairs())
def test_overlap_is_symmetric_and_bounded(function, pair):
    a, b = pair
    value, overlap = function(a, b), box_math.iou(a, b)
    np.testing.assert_allclose(value, function(b, a), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(function(a, a), 1, rtol=1e-9)
    lowest = 0 if function is box_math.iou else -1
    assert (value >= lowest).all()
    assert (value <= 1 + 1e-9).all()
    assert (value <= overlap + 1e-9).all()  # GIoU and DIoU take something off the IoU
    nested = slice(3, 5)  # 9/16 of the area; their hull is the outer box
    np.testing.assert_allclose(overlap[nested], 9 / 16, rtol=1e-9)
    if function is box_math.giou:
        np.testing.assert_allclose(value[nested], 9 / 16, rtol=1e-9)


@pytest.mark.parametrize("function", [box_math.iou, box_math.giou])
@many
@given(pairs(), factors, factors, places, places)
def test_iou_and_giou_do_not_change_with_the_scale_of_an_axis_and_the_place(
    function, pair, x, y, right, down
):
    moved = [boxes * [x, y, x, y] + [right, down, right, down] for boxes in pair]
    np.testing.assert_allclose(function(*moved), function(*pair), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("function", [box_math.diou, box_math.aspect_difference])
@many
@given(pairs(), factors, places, places)
def test_diou_and_the_aspect_do_not_change_with_the_scale_and_the_place(
    function, pair, scale, right, down
):
    moved = [boxes * scale + [right, down, right, down] for boxes in pair]
    np.testing.assert_allclose(function(*moved), function(*pair), rtol=1e-6, atol=1e-6)


# float32 holds these exactly: whole pixels, moved by whole pixels and scaled by powers of two
whole = arrays("int64", (2, 6, 4), elements=st.integers(1, 200))
twos = st.integers(-3, 3).map(lambda power: 2.0**power)


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
@few
@given(whole, twos, twos, st.integers(-500, 500))
def test_losses_of_boxes_do_not_change_with_the_scale_and_the_place(name, values, x, y, shift):
    a, b = np.concatenate([values[..., :2], values[..., :2] + values[..., 2:]], -1)
    y = y if name in ("iou", "giou") else x
    loss = losses.get(name)
    moved = of_boxes(loss, (a + shift) * [x, y, x, y], (b + shift) * [x, y, x, y])
    np.testing.assert_allclose(moved, of_boxes(loss, a, b), rtol=1e-5, atol=1e-6)


def test_diou_and_ciou_do_change_with_the_scale_of_an_axis():
    # centres 6 px apart across in hulls of 16 x 10 and 16 x 20 px: 36 / 356 and 36 / 656
    a, b = np.array([[0, 0, 10, 10.0]]), np.array([[6, 0, 16, 10.0]])
    tall = [1, 2, 1, 2]
    before, after = (of_boxes(losses.diou(), *pair)[0] for pair in ((a, b), (a * tall, b * tall)))
    assert math.isclose(before - after, 36 / 356 - 36 / 656, rel_tol=1e-5)
    # about one centre, 10 x 10 and 10 x 20, then 10 x 20 and 10 x 40: IoU 1/2, v of the angles
    a, b = np.array([[0, 5, 10, 15.0]]), np.array([[0, 0, 10, 20.0]])
    for scale, sides in ((1, (1, 1 / 2)), (2, (1 / 2, 1 / 4))):
        v = 4 / math.pi**2 * (math.atan(sides[0]) - math.atan(sides[1])) ** 2
        value = of_boxes(losses.ciou(), a * [1, scale, 1, scale], b * [1, scale, 1, scale])[0]
        assert math.isclose(value, 1 / 2 + v**2 / (1 / 2 + v), rel_tol=1e-5)


@few
@given(whole, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_losses_of_deltas_do_change_with_their_scale(values, scale):
    a, b = values / 64.0
    a[0], b[0] = 1, 2  # at least one differs
    for name, power in (("l1", 1), ("l2", 2)):
        loss = losses.get(name)
        expected = of_boxes(loss, a, b) * scale**power
        np.testing.assert_allclose(of_boxes(loss, a * scale, b * scale), expected, rtol=1e-5)
        assert expected[0] > 0


@few
@given(whole, st.sampled_from([0.5, 1.0, 3.0]))
def test_smooth_l1_is_below_l1_by_a_constant_at_most(values, sigma):
    a, b = values / 64.0
    absolute, smooth = (of_boxes(loss, a, b) for loss in (losses.l1(), losses.smooth_l1(sigma)))
    assert (smooth <= absolute * (1 + 1e-6)).all()
    assert (smooth >= absolute - 4 * 0.5 / sigma**2 - 1e-5).all()


LARGEST = {"iou": 1, "giou": 2, "diou": 2, "ciou": 3}  # of the others there is none


def some_batch(name, seed, wild=False):
    """Targets (2, 6, ·) and predictions (2, 6, ·) of a loss; 4 objects, all three states."""
    random = np.random.default_rng(seed)
    state = random.permutation([1, 1, 1, 1, 0, 0, 0, 0, 0, -1, -1, -1]).reshape(2, 6, 1)
    size = 50 if wild else 3
    if name in losses.CLASSIFICATION_LOSSES:
        labels = np.eye(3)[random.integers(0, 3, (2, 6))] * (state == 1)
        if losses.get(name).spec.quality:
            labels = labels * random.uniform(0, 1, (2, 6, 1))
        return np.concatenate([labels, state], -1), random.uniform(-size, size, (2, 6, 3))
    if name == "iou_entropy":
        overlap = random.uniform(0, 1, (2, 6, 1))
        return np.concatenate([overlap, state], -1), random.uniform(-size, size, (2, 6, 1))
    low = random.uniform(0, 20 * size, (2, 2, 6, 2))
    boxes = np.concatenate([low, low + random.uniform(0.1, 20 * size, low.shape)], -1)
    distances, of_bins = random.uniform(-size, 9, (2, 6, 4)), random.normal(0, size, (2, 6, 36))
    true = {"dfl": [distances], "gfl": [boxes[0], distances]}.get(name, [boxes[0]])
    pred = {"dfl": [of_bins], "gfl": [boxes[1], of_bins]}.get(name, [boxes[1]])
    return np.concatenate([*true, state], -1), np.concatenate(pred, -1)


def made(name):
    """The loss of that name, of logits where it takes these."""
    takes_logits = name in losses.CLASSIFICATION_LOSSES or name == "iou_entropy"
    return losses.get({"name": name} | ({"from_logits": True} if takes_logits else {}))


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
@few
@given(seeds)
def test_ranges(name, seed):
    loss = made(name)
    batch = some_batch(name, seed, wild=True)
    value = number(loss, *batch)
    assert -1e-6 <= value <= LARGEST.get(name, math.inf) + 1e-5
    assert math.isfinite(value)
    if loss.spec.each:
        values = each(loss, *batch)
        assert values.shape == (2, 6)
        assert (values >= -1e-6).all()
        assert (values <= LARGEST.get(name, math.inf) + 1e-5).all()
        assert not values[batch[0][..., -1] == -1].any()


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
@few
@given(seeds)
def test_a_batch_twice_has_the_same_loss(name, seed):
    y_true, y_pred = some_batch(name, seed)
    once, twice = (
        number(made(name), *(np.concatenate([x] * times) for x in (y_true, y_pred)))
        for times in (1, 2)
    )
    assert once > 0
    assert math.isclose(once, twice, rel_tol=1e-5)


@settings(few, max_examples=3)
@given(seeds)
def test_a_batch_in_another_order_has_the_same_loss(seed):
    order = np.random.default_rng(seed).permutation(6)
    for name in losses.LOSSES:
        y_true, y_pred = some_batch(name, seed)
        value = number(made(name), y_true, y_pred)
        other = number(made(name), y_true[::-1, order], y_pred[::-1, order])
        assert math.isclose(value, other, rel_tol=1e-5)


gammas = st.floats(0, 5, width=32)


@pytest.mark.parametrize("build", [losses.focal, losses.softmax_focal])
@few
@given(logits, gammas, gammas, st.floats(0.0625, 0.9375, width=32))
def test_focal_falls_with_gamma(build, x, first, second, alpha):
    y_true = np.zeros((1, 6, 2))
    y_true[0, ::2] = 1
    low, high = sorted((first, second))
    smaller, larger = (
        each(build(alpha, gamma, from_logits=True), y_true, x) for gamma in (high, low)
    )
    assert (smaller <= larger * (1 + 1e-5)).all()
    assert (larger > 0).all()


@pytest.mark.parametrize("build", [losses.focal, losses.softmax_focal])
@few
@given(logits, gammas, st.floats(0.0625, 0.9375, width=32))
def test_focal_of_an_object_is_that_of_the_background_at_the_opposite(build, x, gamma, alpha):
    y_true = np.zeros((1, 6, 2))
    background = each(build(1 - alpha, gamma, from_logits=True), y_true, -x)
    of_objects = each(build(alpha, gamma, from_logits=True), y_true + 1, x)
    np.testing.assert_allclose(of_objects, background, rtol=1e-5, atol=1e-6)
    assert (of_objects > 0).all()


@few
@given(logits, shares, st.sampled_from([1.0, 2.0]))
def test_quality_focal_is_zero_exactly_where_the_probability_is_the_label(x, share, beta):
    loss = losses.quality_focal(beta, from_logits=True)
    p = 1 / (1 + np.exp(-x.astype("float64")))
    at_label = each(loss, as_objects(p), x)
    assert (at_label <= 1e-5**beta).all()
    y = np.where(np.abs(p - share) < 0.05, np.where(p < 0.5, p + 0.05, p - 0.05), share)
    values = each(loss, as_objects(y), x)  # at least 0.05 away
    assert (values >= 0.04**beta * 0.05).all()
    assert (values > at_label).all()


@few
@given(logits, st.floats(0.125, 0.875, width=32))
def test_entropies_are_least_where_the_probability_is_the_label(x, share):
    y_true = as_objects(np.full((6, 1), share))
    best = np.full((1, 6, 1), math.log(share / (1 - share)))
    for loss in (losses.iou_entropy(from_logits=True), losses.quality_focal(0.0, True)):
        assert number(loss, y_true, best) <= number(loss, y_true, x) + 1e-6
