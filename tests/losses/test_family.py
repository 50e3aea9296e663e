"""Every loss beside its formula in float64 NumPy, and its gradient beside that formula's slope."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses

pytestmark = pytest.mark.core


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def entropy(y, p):
    return -y * np.log(p) - (1 - y) * np.log(1 - p)


def cross_entropy(y, x, alpha=None):
    alpha_t = 1 if alpha is None else np.where(y > 0.5, alpha, 1 - np.asarray(alpha))
    return alpha_t * entropy(y, sigmoid(x))


def focal(y, x, alpha=0.25, gamma=2.0):
    p_t = np.where(y > 0.5, sigmoid(x), 1 - sigmoid(x))
    return np.where(y > 0.5, alpha, 1 - np.asarray(alpha)) * (1 - p_t) ** gamma * -np.log(p_t)


def focal_star(y, x, gamma=2.0, beta=1.0):
    return -np.log(sigmoid(gamma * np.where(y > 0.5, x, -x) + beta)) / gamma


def softmax_focal(y, x, alpha=0.25, gamma=2.0):
    background = 1 - y.sum(-1, keepdims=True)
    e = np.exp(np.concatenate([x, np.zeros_like(background)], -1))  # the background's logit is 0
    p_t = ((e / e.sum(-1, keepdims=True)) * np.concatenate([y, background], -1)).sum(-1)
    alpha_t = 1 if alpha is None else np.where(background[..., 0] < 0.5, alpha, 1 - alpha)
    return alpha_t * (1 - p_t) ** gamma * -np.log(p_t)


def quality_focal(y, x, beta=2.0):
    return np.abs(y - sigmoid(x)) ** beta * entropy(y, sigmoid(x))


def varifocal(y, x, alpha=0.75, gamma=2.0):
    return np.where(y > 0, y, alpha * sigmoid(x) ** gamma) * entropy(y, sigmoid(x))


CLASSIFICATION = [
    (losses.cross_entropy, cross_entropy, {}),
    (losses.cross_entropy, cross_entropy, {"alpha": 0.75}),
    (losses.cross_entropy, cross_entropy, {"alpha": (0.2, 0.5, 0.9)}),
    (losses.focal, focal, {}),
    (losses.focal, focal, {"alpha": 0.5, "gamma": 0.5}),
    (losses.focal, focal, {"alpha": (0.2, 0.5, 0.9), "gamma": 5.0}),
    (losses.focal_star, focal_star, {}),
    (losses.focal_star, focal_star, {"gamma": 1.0, "beta": 0.0}),
    (losses.softmax_focal, softmax_focal, {}),
    (losses.softmax_focal, softmax_focal, {"alpha": 0.6, "gamma": 0.5}),
    (losses.softmax_focal, softmax_focal, {"alpha": None, "gamma": 0.0}),
    (losses.quality_focal, quality_focal, {}),
    (losses.quality_focal, quality_focal, {"beta": 1.0}),
    (losses.varifocal, varifocal, {}),
    (losses.varifocal, varifocal, {"alpha": 0.5, "gamma": 1.5}),
]


def corners(box):
    x1, y1, x2, y2 = box
    return max(x2 - x1, 0) * max(y2 - y1, 0)


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (corners(a) + corners(b) - shared)


def hull(a, b):
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def giou(a, b):
    shared = overlap(a, b) * (corners(a) + corners(b)) / (1 + overlap(a, b))
    around = corners(hull(a, b))
    return overlap(a, b) - (around - (corners(a) + corners(b) - shared)) / around


def diou(a, b):
    x1, y1, x2, y2 = hull(a, b)
    apart = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    return overlap(a, b) - apart / ((x2 - x1) ** 2 + (y2 - y1) ** 2)


def aspect(a, b):
    angles = [math.atan((box[2] - box[0]) / (box[3] - box[1])) for box in (a, b)]
    return 4 / math.pi**2 * (angles[0] - angles[1]) ** 2


def huber(a, b, sigma=3.0):
    d = abs(a - b)
    return 0.5 * sigma**2 * d**2 if d < 1 / sigma**2 else d - 0.5 / sigma**2


REGRESSION = [
    (losses.l1, lambda a, b: sum(abs(x - y) for x, y in zip(a, b, strict=True)), {}),
    (losses.l2, lambda a, b: sum((x - y) ** 2 / 2 for x, y in zip(a, b, strict=True)), {}),
    (losses.smooth_l1, lambda a, b: sum(map(huber, a, b)), {}),
    (losses.iou, lambda a, b: 1 - overlap(a, b), {}),
    (losses.iou, lambda a, b: -math.log(overlap(a, b)), {"log": True}),
    (losses.giou, lambda a, b: 1 - giou(a, b), {}),
    (losses.diou, lambda a, b: 1 - diou(a, b), {}),
]


def slopes(f, x, step=1e-6):
    """The gradient of f at x by central differences, in float64."""
    x = x.astype("float64")
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        result[i] = (f(up) - f(down)) / (2 * step)
    return result


def agree(gradient, loss, y_true, x, expected):
    """Value and gradient of loss(y_true, ·) at x are those of `expected`, to 1e-5."""
    y_true = ops.convert_to_tensor(y_true)
    value, slope = gradient(lambda y_pred: loss(y_true, y_pred), x)
    np.testing.assert_allclose(value, expected(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(slope, slopes(expected, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("build", "formula", "arguments"), CLASSIFICATION)
def test_classification(gradient, build, formula, arguments):
    random = np.random.default_rng(0)
    state = np.array([[1, 0, -1, 1], [0, -1, 0, 1]])
    labels = np.eye(3)[random.integers(0, 3, (2, 4))] * (state == 1)[..., None]
    if build().spec.quality:  # these take the IoU in the place of the 1
        labels = labels * random.uniform(0.3, 1, (2, 4, 1))
    y_true = np.concatenate([labels, state[..., None]], -1).astype("float32")
    logits = random.uniform(-3, 3, (2, 4, 3)).astype("float32")

    def expected(x):  # 3 objects in the batch
        return formula(y_true[..., :3], x.astype("float64"), **arguments)[state != -1].sum() / 3

    agree(gradient, build(**arguments, from_logits=True), y_true, logits, expected)


@pytest.mark.parametrize(("build", "formula", "arguments"), REGRESSION)
def test_regression(gradient, build, formula, arguments):
    random = np.random.default_rng(1)
    state = np.array([[1, 0, 1, 1], [0, -1, 0, 1]])
    low = random.uniform(0, 5, (2, 4, 2))
    targets = np.concatenate([low, low + random.uniform(3, 9, (2, 4, 2))], -1)
    y_true = np.concatenate([targets, state[..., None]], -1).astype("float32")
    boxes = (targets + random.uniform(-1.2, 1.2, targets.shape)).astype("float32")

    def expected(x):  # 4 objects in the batch
        return (
            sum(formula(x[i], y_true[i][:4]) for i in zip(*np.where(state == 1), strict=True)) / 4
        )

    agree(gradient, build(**arguments), y_true, boxes, expected)


def test_ciou_is_diou_and_the_weighted_aspect_whose_weight_has_no_gradient(gradient):
    a, b = (1.0, 2.0, 7.0, 5.0), (2.0, 1.0, 6.0, 8.0)
    alpha = aspect(a, b) / (1 - overlap(a, b) + aspect(a, b))
    y_true = np.array([[[*b, 1]]], "float32")

    def expected(x):
        box = x.reshape(4)
        return 1 - diou(box, b) + alpha * aspect(box, b)

    agree(gradient, losses.ciou(), y_true, np.array([[a]], "float32"), expected)


def test_identities():
    random = np.random.default_rng(2)
    state = np.array([[1, 0, 1, -1]])
    labels = np.eye(2)[[[0, 1, 1, 0]]] * (state == 1)[..., None]
    y_true = ops.convert_to_tensor(np.concatenate([labels, state[..., None]], -1), "float32")
    logits = ops.convert_to_tensor(random.uniform(-4, 4, (1, 4, 2)), "float32")

    def value(loss):
        return float(ops.convert_to_numpy(loss(y_true, logits)))

    plain = value(losses.cross_entropy(from_logits=True))
    assert value(losses.focal(0.5, 0.0, from_logits=True)) == pytest.approx(plain / 2, rel=1e-5)
    star = losses.focal_star(gamma=1.0, beta=0.0, from_logits=True)
    assert value(star) == pytest.approx(plain, rel=1e-5)
    assert value(losses.quality_focal(0.0, from_logits=True)) == pytest.approx(plain, rel=1e-5)
    unweighted = value(losses.focal(0.5, 2.0, from_logits=True)) * 2  # labels of 0 and 1: QFL is FL
    assert value(losses.quality_focal(2.0, from_logits=True)) == pytest.approx(unweighted, rel=1e-4)


# what takes four values a box; those of distributions are in test_distribution.py
FOUR_VALUES = sorted(set(losses.BOX_LOSSES) - {"dfl", "gfl"})
PAIRS = {
    "identical": ((0, 0, 4, 4), (0, 0, 4, 4)),
    "disjoint": ((0, 0, 1, 1), (50, 60, 52, 61)),
    "nested": ((0, 0, 9, 9), (3, 3, 4, 4)),
    "without area": ((2, 2, 2, 2), (2, 2, 2, 2)),
    "inverted": ((5, 5, 1, 1), (0, 0, 3, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", FOUR_VALUES)
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_box_losses_are_finite_for_every_pair_of_boxes(gradient, name, pair, dtype):
    box, target = PAIRS[pair]
    y_true = ops.convert_to_tensor(np.array([[[*target, 1]]], "float32"))
    loss = losses.get(name)
    value, slope = gradient(lambda x: loss(y_true, x), np.array([[box]], "float32"), dtype)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", sorted(losses.CLASSIFICATION_LOSSES))
@pytest.mark.parametrize("state", [-1, 0])
def test_batches_without_objects_are_finite(gradient, name, state):
    y_true = np.zeros((2, 3, 5), "float32")
    y_true[..., -1] = state
    y_true = ops.convert_to_tensor(y_true)
    loss = losses.get({"name": name, "from_logits": True})
    value, slope = gradient(lambda x: loss(y_true, x), np.full((2, 3, 4), 100.0, "float32"))
    assert np.isfinite(slope).all()
    assert value == 0 if state == -1 else value > 0 and np.isfinite(value)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's")
@pytest.mark.parametrize(
    "name",  # GHM counts on from call to call; its graph has a test in test_harmonizing.py
    [name for name in [*losses.CLASSIFICATION_LOSSES, *FOUR_VALUES] if "ghm" not in name],
)
def test_a_graph_for_any_number_of_anchors_gives_the_value_of_plain_calls(name, within_graphs):
    import tensorflow as tf

    random = np.random.default_rng(2)
    loss = losses.get(name)
    specs = [tf.TensorSpec((None, None, size), "float32") for size in (5, 4)]
    graph = tf.function(lambda y_true, y_pred: loss(y_true, y_pred), input_signature=specs)
    for count in (6, 1):
        targets = np.sort(random.uniform(0, 1, (2, count, 4)), axis=-1)
        state = random.integers(-1, 2, (2, count, 1))
        batch = np.concatenate([targets, state], -1), random.uniform(0.1, 0.9, (2, count, 4))
        y_true, y_pred = (ops.convert_to_tensor(each.astype("float32")) for each in batch)
        expected = ops.convert_to_numpy(loss(y_true, y_pred))
        with within_graphs():
            np.testing.assert_allclose(graph(y_true, y_pred), expected, rtol=1e-5)
