"""Losses of distributions over bins: by hand, beside loops, and where they must stay finite."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.losses import dfl, gfl
from keras_retinanet.losses.distribution import two_hot

pytestmark = pytest.mark.core

BINS = 4
NOTHING = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30], "float32")


def weights(distances, bins):
    """Return `two_hot` of distances, as NumPy."""
    return ops.convert_to_numpy(two_hot(ops.convert_to_tensor(distances, "float32"), bins))


def evaluate(gradient, loss, y_true, y_pred, dtype="float32"):
    y_true = ops.convert_to_tensor(np.asarray(y_true, "float32"))
    return gradient(lambda x: loss(y_true, x), y_pred, dtype)


def side(logits, distance):
    """-((i + 1 - y) log S_i + (y - i) log S_i+1) of one side in float64, and its slope."""
    bins = len(logits) - 1
    probabilities = np.exp(logits) / np.exp(logits).sum()
    y = min(max(distance, 0), bins)
    i = min(int(y), bins - 1)
    slope = probabilities.copy()  # of -log S_i it is S less 1 at i
    slope[i] -= i + 1 - y
    slope[i + 1] -= y - i
    value = -(i + 1 - y) * math.log(probabilities[i]) - (y - i) * math.log(probabilities[i + 1])
    return value, slope


def sides(logits, distances):
    """The sum of `side` over the four sides of one box, and the slope of its raw values."""
    rows = np.reshape(logits, (4, -1)).astype("float64")
    values, slopes = zip(*map(side, rows, distances), strict=True)
    return sum(values), np.concatenate(slopes)


def giou_distance(a, b):
    """1 - GIoU of two boxes."""
    across = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(across[0], 0) * max(across[1], 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return 1 - shared / union + (hull - union) / hull


def slopes(f, x, step=1e-6):
    """The gradient of f at x (n,) by central differences, in float64."""
    steps = np.eye(len(x)) * step
    return np.array([(f(x + d) - f(x - d)) / (2 * step) for d in steps])


def some_distances(seed=0, state=((1, 0, 1, -1), (-1, 1, 0, 1))):
    """Targets (2, 4, 5), some of them outside 0..BINS, and logits (2, 4, 4 · (BINS + 1))."""
    random = np.random.default_rng(seed)
    distances = random.uniform(-1, BINS + 1, (2, 4, 4))
    y_true = np.concatenate([distances, np.asarray(state)[..., None]], -1).astype("float32")
    return y_true, random.normal(0, 2, (2, 4, 4 * (BINS + 1))).astype("float32")


def with_boxes(y_true, logits, seed=1):
    """The same for gfl: matched boxes before the distances, decoded boxes before the logits."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, 5, (2, *y_true.shape[:2], 2))
    boxes = np.concatenate([low, low + random.uniform(3, 9, low.shape)], -1).astype("float32")
    return np.concatenate([boxes[0], y_true], -1), np.concatenate([boxes[1], logits], -1)


def test_two_hot_by_hand():
    # at a bin all of it is there, between two the nearer one has more; outside, the end bin has it
    cases = {
        0: [1, 0, 0, 0, 0],
        1.25: [0, 0.75, 0.25, 0, 0],
        2: [0, 0, 1, 0, 0],
        3.5: [0, 0, 0, 0.5, 0.5],
        4: [0, 0, 0, 0, 1],
        -0.5: [1, 0, 0, 0, 0],
        4.01: [0, 0, 0, 0, 1],
        1e30: [0, 0, 0, 0, 1],
    }
    result = weights(np.reshape(list(cases), (2, 4)), bins=4)
    assert result.shape == (2, 4, 5)
    assert result.reshape(8, 5).tolist() == list(cases.values())


def test_two_hot_sums_to_one_and_its_mean_is_the_distance():
    distances = np.random.default_rng(0).uniform(-2, 18, (50, 4)).astype("float32")
    result = weights(distances, bins=16)
    np.testing.assert_allclose(result.sum(-1), 1, rtol=1e-5)
    mean = (result * np.arange(17)).sum(-1)
    np.testing.assert_allclose(mean, np.clip(distances, 0, 16), rtol=1e-5, atol=1e-5)
    assert ((result > 0).sum(-1) <= 2).all()
    assert weights(np.zeros((2, 0, 4)), bins=16).shape == (2, 0, 4, 17)


def test_dfl_is_the_loop(gradient):
    y_true, logits = some_distances()
    expected = np.zeros(logits.shape)
    total = 0
    for place in zip(*np.where(y_true[..., 4] == 1), strict=True):  # 4 objects in the batch
        value, slope = sides(logits[place], y_true[place][:4])
        total, expected[place] = total + value / 4, slope / 4
    value, slope = evaluate(gradient, dfl(), y_true, logits)
    assert math.isclose(value, total, rel_tol=1e-5)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_dfl_by_hand(gradient):
    # bins 0, 1 and 2 with probabilities 1/2, 1/4, 1/4; a distance of 0.5 takes half of the first
    # two, (log 2 + log 4) / 2 = 1.5 log 2, and one of 2 the last: 2 log 2
    logits = np.tile(np.log([0.5, 0.25, 0.25]), 4).reshape(1, 1, 12)
    value, _ = evaluate(gradient, dfl(), [[[0.5, 0.5, 2, 2, 1]]], logits)
    assert math.isclose(value, (1.5 + 1.5 + 2 + 2) * math.log(2), rel_tol=1e-6)


def test_uniform_distributions_cost_the_logarithm_of_their_bins(gradient):
    for distances in ([0, 3.3, 16, 8], [-5, 99, 0.5, 15.9]):
        value, _ = evaluate(gradient, dfl(), [[[*distances, 1]]], np.full((1, 1, 68), 7.0))
        assert math.isclose(value, 4 * math.log(17), rel_tol=1e-6)


def test_the_minimum_is_the_two_hot_distribution(gradient):
    # there the loss is its entropy, -f log f - (1 - f) log(1 - f) with the fraction f, and flat
    distances = [0.25, 1.5, 2.9, 3.0]
    y_true = [[[*distances, 1]]]
    best = np.log(np.maximum(weights(distances, BINS), 1e-30)).reshape(1, 1, 20)
    entropy = -sum(f * math.log(f) + (1 - f) * math.log(1 - f) for f in (0.25, 0.5, 0.9))
    value, slope = evaluate(gradient, dfl(), y_true, best)
    assert math.isclose(value, entropy, rel_tol=1e-5)
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    random = np.random.default_rng(2)
    for _ in range(5):
        worse, _ = evaluate(gradient, dfl(), y_true, best + random.normal(0, 1, best.shape))
        assert worse > value + 0.1


@pytest.mark.parametrize(("giou", "scale"), [(2.0, 0.25), (1.5, 0.0), (0.0, 1.0)])
def test_gfl_is_the_weighted_loop(gradient, giou, scale):
    states = np.array([[0.2, 0, 0.7, -1], [-1, 1, 0, 0.01]])  # the objects' weights, 1.91 in all
    y_true, y_pred = with_boxes(*some_distances(3, states))
    if not scale:
        y_pred = y_pred[..., :8]  # the coder needs no bins
    expected, total = np.zeros(y_pred.shape), 0
    for place in zip(*np.where(states > 0), strict=True):
        share, target, box = states[place] / 1.91, y_true[place], y_pred[place][:4].astype(float)
        total += share * giou * giou_distance(box, target)
        expected[place][:4] = share * giou * slopes(lambda x, b=target: giou_distance(x, b), box)
        if scale:
            value, slope = sides(y_pred[place][4:], target[4:8])
            total, expected[place][4:] = total + share * scale * value, share * scale * slope
    value, slope = evaluate(gradient, gfl(giou, scale), y_true, y_pred)
    assert math.isclose(value, total, rel_tol=1e-5)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


def test_gfl_is_made_of_giou_and_dfl(gradient):
    y_true, y_pred = with_boxes(*some_distances(4))
    of_boxes = y_true[..., [0, 1, 2, 3, 8]], y_pred[..., :4]
    of_bins = y_true[..., 4:], y_pred[..., 4:]
    first, _ = evaluate(gradient, losses.giou(), *of_boxes)
    second, _ = evaluate(gradient, dfl(), *of_bins)
    value, _ = evaluate(gradient, gfl(), y_true, y_pred)
    assert math.isclose(value, 2 * first + 0.25 * second, rel_tol=1e-5)
    assert min(first, second) > 0


def test_specs():
    spec = dfl().spec
    assert (spec.compares, spec.needs_bins, spec.weighted_by_score) == ("deltas", True, False)
    spec = gfl().spec
    assert (spec.compares, spec.needs_bins, spec.weighted_by_score) == ("both", True, True)
    assert not gfl(dfl=0).spec.needs_bins
    assert dfl().spec.config == {"name": "dfl"}
    assert gfl(1.0, 0.5).spec.config == {"name": "gfl", "giou": 1.0, "dfl": 0.5}
    assert losses.get(gfl(1.0, 0).spec.config).spec.config == gfl(1.0, 0).spec.config


PAIRS = {
    "identical": ((0, 0, 4, 4), (0, 0, 4, 4)),
    "far apart": ((0, 0, 1, 1), (5000, 6000, 5002, 6001)),
    "without area": ((2, 2, 2, 2), (2, 2, 2, 2)),
    "inverted": ((5, 5, 1, 1), (0, 0, 3, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("pair", PAIRS)
def test_finite_for_wild_logits_distances_and_boxes(gradient, pair, dtype):
    box, target = PAIRS[pair]
    alternating = np.resize([100, -100], 68)
    logits = np.stack([alternating, -alternating, np.full(68, 100)])[None]
    distances = [-3, 20, 1e6, -1e6], [0, 16, 8, 7.5], [0, 16, 8, 7.5]
    y_true = np.array([[[*target, *values, 1] for values in distances]], "float32")
    y_pred = np.concatenate([np.resize(box, (1, 3, 4)), logits], -1)
    value, slope = evaluate(gradient, gfl(), y_true, y_pred, dtype)
    assert 0 < value < math.inf
    assert np.isfinite(slope).all()
    # A side of 17 bins that starts high has 9 high ones and 8 low ones, one that starts low the
    # opposite. A high bin costs log 9 or log 8, a low one 200 more; the four sides of the first
    # anchor start high, low, high and low, those of the second the other way round.
    first = math.log(9) + (200 + math.log(8)) + math.log(9) + (200 + math.log(8))
    second = (200 + math.log(8)) + math.log(9) + (200 + math.log(8)) + (100 + math.log(9))
    value, slope = evaluate(gradient, dfl(), y_true[..., 4:], logits, dtype)
    assert math.isclose(value, (first + second + 4 * math.log(17)) / 3, rel_tol=1e-5)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("build", [dfl, gfl])
@pytest.mark.parametrize("state", [-1, 0])
@pytest.mark.parametrize("anchors", [4, 0])
def test_batches_without_objects_are_zero(gradient, build, state, anchors):
    y_true, y_pred = some_distances(5, np.full((2, 4), state))
    y_true[..., :4], y_pred[:] = np.nan, np.resize(NOTHING, y_pred.shape)
    if build is gfl:
        y_true, y_pred = with_boxes(y_true, y_pred)
        y_pred[..., :4] = np.nan
    value, slope = evaluate(gradient, build(), y_true[:, :anchors], y_pred[:, :anchors])
    assert value == 0
    assert not slope.any()


@pytest.mark.parametrize("build", [dfl, gfl])
def test_other_anchors_do_not_matter(gradient, build):
    y_true, y_pred = some_distances(6)
    if build is gfl:
        y_true, y_pred = with_boxes(y_true, y_pred)
    others = y_true[..., -1] != 1
    expected, expected_slope = evaluate(gradient, build(), y_true, y_pred)
    y_pred[others], y_true[others, :-1] = np.inf, np.nan
    value, slope = evaluate(gradient, build(), y_true, y_pred)
    assert math.isclose(value, expected, rel_tol=1e-6)
    assert not slope[others].any()
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-7)
    assert slope[~others].any()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="shapes that are not known are TensorFlow's"
)
def test_any_number_of_anchors_in_one_graph(graphs):
    import tensorflow as tf

    y_true, y_pred = with_boxes(*some_distances(7))
    specs = [
        tf.TensorSpec((None, None, values.shape[-1]), "float32") for values in (y_true, y_pred)
    ]
    graph = tf.function(gfl(), input_signature=specs)
    for count in (4, 2, 0):
        expected = gfl()(tf.constant(y_true[:, :count]), tf.constant(y_pred[:, :count]))
        value = graph(y_true[:, :count], y_pred[:, :count])
        assert math.isclose(float(value), float(expected), rel_tol=1e-6)
