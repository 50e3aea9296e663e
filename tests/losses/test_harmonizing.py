"""The GHM losses beside plain loops in float64, the memory of their layer, and its extremes."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.losses.classification import cross_entropy
from keras_retinanet.losses.harmonizing import GradientDensity, ghm_classification, ghm_regression

pytestmark = pytest.mark.core

BACKEND = keras.backend.backend()


def number(loss, y_true, y_pred):
    value = loss(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))
    assert tuple(value.shape) == ()
    return float(ops.convert_to_numpy(value))


def weights(density, norms, counted=None):
    """Return the output of the layer for norms (..., V), as NumPy."""
    norms = np.asarray(norms, "float32")
    counted = np.ones_like(norms, "bool") if counted is None else np.asarray(counted)
    return ops.convert_to_numpy(
        density(ops.convert_to_tensor(norms), ops.convert_to_tensor(counted))
    )


def counts(density):
    return ops.convert_to_numpy(ops.convert_to_tensor(density.counts)).tolist()


def harmonized(norms, moving, momentum):
    """The weight of each of norms (n,), and the moving counts after them."""
    bins = len(moving)
    places = [min(int(norm * bins), bins - 1) for norm in norms]
    moving = [
        momentum * old + (1 - momentum) * places.count(place) for place, old in enumerate(moving)
    ]
    return [sum(moving) / (bins * moving[place]) for place in places], moving


def classification_loop(y_true, x, moving, momentum):
    """Value, slope and moving counts of ghm_classification of logits x."""
    counted = y_true[..., -1] != -1
    y, p = y_true[..., :-1][counted], 1 / (1 + np.exp(-x.astype("float64")[counted]))  # (n, K)
    beta, moving = harmonized(np.abs(p - y).ravel(), moving, momentum)
    beta = np.reshape(beta, y.shape)
    slope = np.zeros(x.shape)
    slope[counted] = beta * (p - y) / y.size
    return (beta * (-y * np.log(p) - (1 - y) * np.log(1 - p))).sum() / y.size, slope, moving


def regression_loop(y_true, y_pred, mu, moving, momentum):
    """Value, slope and moving counts of ghm_regression."""
    objects = y_true[..., -1] == 1
    d = (y_pred.astype("float64") - y_true[..., :4])[objects]  # (n, 4)
    root = np.sqrt(d**2 + mu**2)
    beta, moving = harmonized((np.abs(d) / root).ravel(), moving, momentum)
    beta = np.reshape(beta, d.shape)
    slope = np.zeros(y_pred.shape)
    slope[objects] = beta * d / root / len(d)
    return (beta * (root - mu)).sum() / len(d), slope, moving


def labelled(seed, classes=3):
    """Targets (2, 10, K + 1) of all three states and logits (2, 10, K)."""
    random = np.random.default_rng(seed)
    state = random.permutation([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1])
    state = state.reshape(2, 10)
    labels = np.eye(classes)[random.integers(0, classes, (2, 10))] * (state == 1)[..., None]
    y_true = np.concatenate([labels, state[..., None]], -1).astype("float32")
    return y_true, random.uniform(-4, 4, (2, 10, classes)).astype("float32")


def boxed(seed):
    """Targets (2, 10, 5) of all three states and predictions (2, 10, 4), some of them close."""
    y_true, _ = labelled(seed, classes=4)
    random = np.random.default_rng(seed)
    y_true[..., :4] = random.normal(0, 1, (2, 10, 4))
    distance = random.normal(0, 1, (2, 10, 4)) * 10.0 ** random.integers(-4, 1, (2, 10, 4))
    return y_true, (y_true[..., :4] + distance).astype("float32")


@pytest.mark.parametrize(("bins", "momentum"), [(30, 0.75), (10, 0.0), (1, 0.9)])
def test_classification_is_the_loop(gradient, bins, momentum):
    loss, moving = ghm_classification(bins, momentum, from_logits=True), [0] * bins
    for step in range(3):
        y_true, logits = labelled(step)
        expected, expected_slope, moving = classification_loop(y_true, logits, moving, momentum)
        value, slope = gradient(lambda x, y=y_true: loss(ops.convert_to_tensor(y), x), logits)
        assert math.isclose(value, expected, rel_tol=1e-5)
        np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(counts(loss.spec.density), moving, rtol=1e-5)


@pytest.mark.parametrize(
    ("mu", "bins", "momentum"), [(0.02, 10, 0.75), (0.5, 30, 0.0), (0.02, 1, 0.9)]
)
def test_regression_is_the_loop(gradient, mu, bins, momentum):
    loss, moving = ghm_regression(mu, bins, momentum), [0] * bins
    for step in range(3):
        y_true, y_pred = boxed(step)
        expected, expected_slope, moving = regression_loop(y_true, y_pred, mu, moving, momentum)
        value, slope = gradient(lambda x, y=y_true: loss(ops.convert_to_tensor(y), x), y_pred)
        assert math.isclose(value, expected, rel_tol=1e-5)
        np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(counts(loss.spec.density), moving, rtol=1e-5)


def test_probabilities_and_logits_agree():
    y_true, logits = labelled(5)
    expected = number(ghm_classification(from_logits=True), y_true, logits)
    value = number(ghm_classification(), y_true, 1 / (1 + np.exp(-logits)))
    assert math.isclose(value, expected, rel_tol=1e-5)


def test_classification_by_hand():
    # norms 0.1, 0.1, 0.1 and 0.9 in two bins: β is 4 / (2 · 3) for the three and 4 / (2 · 1)
    y_true = np.array([[[1, 0, 1], [0, 0, 0]]], "float32")
    p = np.array([[[0.9, 0.1], [0.1, 0.9]]], "float32")
    expected = (3 * 2 / 3 * -math.log(0.9) + 2 * -math.log(0.1)) / 4
    assert math.isclose(number(ghm_classification(bins=2), y_true, p), expected, rel_tol=1e-5)


def test_regression_by_hand():
    # μ 3 and d 4, 4, 4, 0: roots 5 and 3, losses 2 and 0, norms 0.8 and 0; of two bins the second
    # holds three of the four: β = 4 / (2 · 3)
    y_true, y_pred = np.zeros((1, 2, 5), "float32"), np.zeros((1, 2, 4), "float32")
    y_true[0, 0, 4], y_pred[0, 0] = 1, [4, -4, 4, 0]
    loss = ghm_regression(mu=3, bins=2)
    assert math.isclose(number(loss, y_true, y_pred), 3 * 2 * 2 / 3, rel_tol=1e-6)


def test_two_steps_by_hand():
    # counts (3, 1), then (0, 4): S = (0.75, 0.25), then 0.75 S + 0.25 (0, 4) = (0.5625, 1.1875)
    density = GradientDensity(bins=2, momentum=0.75)
    np.testing.assert_allclose(weights(density, [[0.1, 0.2, 0.3, 0.6]]), [[2 / 3] * 3 + [2]], 1e-6)
    assert counts(density) == [0.75, 0.25]
    expected = 1.75 / (2 * 1.1875)
    np.testing.assert_allclose(weights(density, [[0.5, 0.7, 0.9, 1.0]]), [[expected] * 4], 1e-6)
    assert counts(density) == [0.5625, 1.1875]


def test_where_norms_are_equally_frequent_it_is_the_mean_cross_entropy():
    # of each of ten bins one norm: 0.05, 0.15, ..., 0.95 of background
    p = np.arange(0.05, 1, 0.1, "float32").reshape(1, 5, 2)
    y_true = np.zeros((1, 5, 3), "float32")
    value = number(ghm_classification(bins=10), y_true, p)
    assert math.isclose(value, number(cross_entropy(), y_true, p) / 10, rel_tol=1e-5)
    assert math.isclose(value, -np.log(1 - p.astype("float64")).mean(), rel_tol=1e-5)


def test_without_updating_the_counts_stay():
    density = GradientDensity(bins=2, momentum=0.75)
    density.updating = False
    norms = [[0.1, 0.2, 0.3, 0.6]]
    np.testing.assert_allclose(weights(density, norms), [[2 / 3] * 3 + [2]], 1e-6)  # their own
    assert counts(density) == [0, 0]
    density.counts.assign([6.0, 4.0])
    np.testing.assert_allclose(weights(density, norms), [[10 / 12] * 3 + [10 / 8]], 1e-6)
    assert counts(density) == [6, 4]
    # a bin that nothing was seen in: the quarter of one that this batch would have put there
    density.counts.assign([6.0, 0.0])
    expected = [[6.25 / 12] * 3 + [6.25 / 0.5]]
    np.testing.assert_allclose(weights(density, norms), expected, 1e-6)
    density.updating = True
    weights(density, norms)
    assert counts(density) == [0.75 * 6 + 0.25 * 3, 0.25]


def test_what_does_not_count_weighs_nothing():
    density = GradientDensity(bins=2, momentum=0.0)
    result = weights(density, [[0.1, np.nan], [0.9, 0.9]], [[True, False], [True, False]])
    assert result.tolist() == [[1, 0], [1, 0]]
    assert counts(density) == [1, 1]
    assert not weights(density, [[0.1, 0.9]], [[False]]).any()
    assert counts(density) == [0, 0]
    assert weights(density, np.zeros((2, 0, 3)), np.zeros((2, 0, 1), "bool")).shape == (2, 0, 3)


def test_more_examples_than_float32_counts_in_ones():
    bins = ops.zeros((2**21 + 1, 8), "int32")
    result = ops.convert_to_numpy(GradientDensity(2, 0.75).histogram(bins))
    assert result.tolist() == [2**24 + 8, 0, 0]


@pytest.fixture(params=[ghm_classification, ghm_regression])
def batch(request):
    """A loss, with targets and predictions of it."""
    if request.param is ghm_regression:
        return ghm_regression(), *boxed(7)
    return ghm_classification(from_logits=True), *labelled(7)


def test_ignored_anchors_do_not_matter(gradient, batch):
    loss, y_true, y_pred = batch
    ignored = y_true[..., -1] == -1
    loss.spec.density.updating = False
    expected, expected_slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    y_pred[ignored] = y_true[ignored, :-1] = np.nan
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    assert ignored.sum() == 4
    assert value == expected
    assert slope.tolist() == expected_slope.tolist()
    assert not slope[ignored].any()
    assert slope.any()


@pytest.mark.parametrize("state", [-1, 0])
def test_batches_without_objects_are_finite(gradient, batch, state):
    loss, y_true, y_pred = batch
    y_true[..., :-1], y_true[..., -1] = 0, state
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    assert np.isfinite(slope).all()
    if state == -1 or loss.spec.name == "ghm_regression":
        assert value == 0
        assert not slope.any()
    else:
        assert 0 < value < math.inf
    assert number(loss, y_true[:, :0], y_pred[:, :0]) == 0  # no anchors


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_far_predictions_are_finite(gradient, batch, dtype):
    loss, y_true, y_pred = batch
    y_pred = np.sign(y_pred) * 100
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred, dtype)
    assert 0 < value < math.inf
    assert np.isfinite(slope).all()
    assert slope.any()


def test_the_last_bin_takes_a_norm_of_one():
    # an object's logit of -100 and a background's of -100: norms 1 and 0 of 30 bins
    y_true = np.array([[[1, 1], [0, 0]]], "float32")
    loss = ghm_classification(from_logits=True)
    value = number(loss, y_true, np.full((1, 2, 1), -100.0, "float32"))
    assert math.isclose(value, 2 / 30 * 100 / 2, rel_tol=1e-6)
    assert counts(loss.spec.density) == [0.25] + [0] * 28 + [0.25]


def test_counts_are_a_state_that_is_handed_through():
    # as JAX's steps do: the counts go in and come out, and the layer itself keeps what it had
    density = GradientDensity(bins=2, momentum=0.75)

    def step(state, norms):
        result, state = density.stateless_call([], state, norms, ops.ones_like(norms, "bool"))
        return result, state

    if BACKEND == "jax":
        import jax

        step = jax.jit(step)
    state = [ops.zeros(2)]
    for norms in ([[0.1, 0.2, 0.3, 0.6]], [[0.5, 0.7, 0.9, 1.0]]):
        result, state = step(state, ops.convert_to_tensor(np.array(norms, "float32")))
    assert ops.convert_to_numpy(state[0]).tolist() == [0.5625, 1.1875]
    np.testing.assert_allclose(ops.convert_to_numpy(result), [[1.75 / (2 * 1.1875)] * 4], 1e-6)
    assert counts(density) == [0, 0]
    assert [variable.shape for variable in density.non_trainable_variables] == [(2,)]
    assert not density.trainable_variables


def test_a_loss_in_a_stateless_scope(batch):
    loss, y_true, y_pred = batch
    before = loss.spec.density.counts
    with keras.StatelessScope([(before, ops.ones(before.shape))]) as scope:
        number(loss, y_true, y_pred)
        after = scope.get_current_value(before)
    examples = 5 * 4 if loss.spec.name == "ghm_regression" else 16 * 3
    total = float(ops.convert_to_numpy(ops.sum(after)))
    assert math.isclose(total, 0.75 * before.shape[0] + 0.25 * examples, rel_tol=1e-6)
    assert not any(counts(loss.spec.density))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="shapes that are not known are TensorFlow's")
def test_any_number_of_anchors_in_one_graph(batch, graphs):
    import tensorflow as tf

    loss, y_true, y_pred = batch
    width = y_pred.shape[-1]
    specs = [tf.TensorSpec((None, None, size), "float32") for size in (width + 1, width)]
    graph = tf.function(loss, input_signature=specs)
    values = [float(graph(y_true[:, :count], y_pred[:, :count])) for count in (10, 4, 0)]
    after = counts(loss.spec.density)
    loss.spec.density.counts.assign(ops.zeros(loss.spec.density.counts.shape))
    expected = [number(loss, y_true[:, :count], y_pred[:, :count]) for count in (10, 4, 0)]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert after == counts(loss.spec.density)
    assert any(after)


def test_options():
    loss = ghm_classification(12, 0.5, from_logits=True)
    arguments = {"bins": 12, "momentum": 0.5, "from_logits": True}
    assert loss.spec.config == {"name": "ghm_classification", **arguments}
    assert loss.spec.from_logits
    assert not ghm_classification().spec.from_logits
    density = loss.spec.density
    assert (density.bins, density.momentum, density.updating) == (12, 0.5, True)
    loss = ghm_regression(0.1, 12, 0.5)
    assert loss.spec.config == {"name": "ghm_regression", "mu": 0.1, "bins": 12, "momentum": 0.5}
    assert loss.spec.compares == "deltas"
    assert loss.spec.density is not ghm_regression(0.1, 12, 0.5).spec.density
    for momentum in (-0.1, 1.0):
        with pytest.raises(ValueError, match=rf"got {momentum}"):
            ghm_regression(momentum=momentum)


def test_the_layer_is_float32_and_made_again_from_its_config():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        density = GradientDensity(bins=12, momentum=0.5)
    finally:
        keras.config.set_dtype_policy(before)
    assert density.counts.dtype == "float32"
    assert weights(density, [[0.3]]).dtype == "float32"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(density))
    assert (again.bins, again.momentum) == (12, 0.5)
    assert again.get_config() == density.get_config()
