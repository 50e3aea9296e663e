"""Samplers of anchors beside plain loops, by hand, and where there is little to select from."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.boxes import iou
from keras_retinanet.choices import SAMPLERS, lookup
from keras_retinanet.losses import sampling
from keras_retinanet.losses.regression import ohem_smooth_l1, smooth_l1
from keras_retinanet.losses.sampling import hard_negative, highest, ohem

pytestmark = pytest.mark.core

BACKEND = keras.backend.backend()


def selected(select, values, state, boxes):
    """The mask of select, compiled where single operations would each be compiled."""
    if BACKEND == "jax":
        import jax

        select = jax.jit(select)
    mask = select(
        *(ops.convert_to_tensor(np.asarray(x, "float32")) for x in (values, state, boxes))
    )
    assert ops.dtype(mask) == "bool"
    return ops.convert_to_numpy(mask)


def some_anchors(count, seed=0, images=3):
    """Losses, states of all three kinds and boxes, many of them overlapping."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, 60, (images, count, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 60, low.shape)], -1)
    state = random.choice([-1, 0, 1], (images, count), p=[0.2, 0.6, 0.2])
    return random.gamma(0.5, 1, (images, count)), state, boxes


def apart(count):
    """Boxes (1, count, 4) of which none overlap."""
    left = np.arange(count) * 20.0
    return np.stack([left, left * 0, left + 10, left * 0 + 10], -1)[None]


def left_by_nms(values, allowed, boxes, overlap):
    """The allowed anchors of one image, hardest first, without those that a harder one covers."""
    kept = []
    for row in sorted(np.flatnonzero(allowed), key=lambda row: -values[row]):
        if all(iou(boxes[row], boxes[other]) <= overlap for other in kept):
            kept.append(row)
    return kept


def mined(values, state, boxes, count, overlap, ratio):
    if ratio is None:
        return left_by_nms(values, state != -1, boxes, overlap)[:count]
    objects = left_by_nms(values, state == 1, boxes, overlap)[: int(count / (1 + ratio))]
    others = left_by_nms(values, state == 0, boxes, overlap)
    return objects + others[: min(int(ratio * max(len(objects), 1)), count - len(objects))]


@pytest.mark.parametrize("ratio", [None, 3, 1.5])
@pytest.mark.parametrize(("count", "overlap"), [(12, 0.3), (20, 0.7)])
def test_ohem_is_the_loop(count, overlap, ratio):
    values, state, boxes = some_anchors(80, seed=count)
    state[1] = np.minimum(state[1], 0)  # no objects
    mask = selected(ohem(count, overlap, ratio, pool=8), values, state, boxes)
    for image in range(3):
        expected = mined(values[image], state[image], boxes[image], count, overlap, ratio)
        assert np.flatnonzero(mask[image]).tolist() == sorted(expected)
        assert 0 < len(expected) <= count


def test_ohem_by_hand():
    # 1 overlaps 0 with IoU 80 / 120 and goes; 2 overlaps 1 alone, which is gone, and stays; 3 would
    # stay but is ignored; 4 stays too, with a loss of 0, where there is room for it
    boxes = [[[0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10], [50, 0, 60, 10], [80, 0, 90, 10]]]
    values, state = [[3, 2.5, 2, 9, 0]], [[0, 1, 0, -1, 0]]
    assert selected(ohem(2, 0.5), values, state, boxes).tolist() == [[1, 0, 1, 0, 0]]
    assert selected(ohem(3, 0.5), values, state, boxes).tolist() == [[1, 0, 1, 0, 1]]
    assert selected(ohem(3, 0.7), values, state, boxes).tolist() == [[1, 1, 1, 0, 0]]
    # objects and background do not suppress each other: one object, two of the background for it
    assert selected(ohem(3, 0.5, ratio=2), values, state, boxes).tolist() == [[1, 1, 1, 0, 0]]


def test_ohem_keeps_the_ratio():
    # 8 at 1:3: two objects of the four and six of the background; one object alone gets three
    values, state = [[*range(24)]], np.array([[1, 1, 1, 1] + [0] * 20])
    mask = selected(ohem(8, ratio=3), values, state, apart(24))
    assert np.flatnonzero(mask).tolist() == [2, 3, *range(18, 24)]
    state[0, 1:4] = 0
    mask = selected(ohem(8, ratio=3), values, state, apart(24))
    assert np.flatnonzero(mask).tolist() == [0, 21, 22, 23]
    state[0, 0] = 0  # none at all gets as many as one
    mask = selected(ohem(8, ratio=3), values, state, apart(24))
    assert np.flatnonzero(mask).tolist() == [21, 22, 23]


def test_ohem_sees_the_pool_alone():
    # the four hardest of five lie in one place: NMS leaves one of a pool of 2 · 2, and with the
    # fifth in a pool of 3 · 2 two
    boxes = apart(5)
    boxes[:, :4] = boxes[:, :1]
    values, state = [[5, 4, 3, 2, 1]], [[0] * 5]
    assert selected(ohem(2, pool=2), values, state, boxes).tolist() == [[1, 0, 0, 0, 0]]
    assert selected(ohem(2, pool=3), values, state, boxes).tolist() == [[1, 0, 0, 0, 1]]


def test_ohem_wants_room_for_an_object():
    with pytest.raises(ValueError, match=r"at least 1 \+ ratio, got 3"):
        ohem(3, ratio=3)


@pytest.mark.parametrize("ratio", [1, 2.5, 3.0, 100])
def test_hard_negative_is_the_loop(ratio):
    values, state, boxes = some_anchors(60, seed=1)
    mask = selected(hard_negative(ratio), values, state, boxes)
    for image in range(3):
        hardest_first = np.argsort(-values[image])
        background = [row for row in hardest_first if state[image, row] == 0]
        objects = np.flatnonzero(state[image] == 1)
        expected = [*objects, *background[: int(ratio * len(objects))]]
        assert np.flatnonzero(mask[image]).tolist() == sorted(expected)
        assert len(objects) > 1


def test_hard_negative_by_hand():
    # one object and the three hardest of four, of which a harder one is ignored; a second image
    # without objects has none
    values = [[0.1, 5, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]
    state = [[1, -1, 0, 0, 0, 0], [0, 0, 0, 0, -1, 0]]
    mask = selected(hard_negative(), values, state, np.zeros((2, 6, 4)))
    assert mask.tolist() == [[1, 0, 0, 1, 1, 1], [0] * 6]


def test_ties_do_not_change_the_number():
    values, state = np.full((1, 30), 0.5), np.zeros((1, 30))
    state[0, :2] = 1
    assert selected(hard_negative(3), values, state, apart(30)).sum() == 2 + 6
    assert selected(ohem(12), values, state, apart(30)).sum() == 12
    assert selected(ohem(12, ratio=3), values, state, apart(30)).sum() == 2 + 6


@pytest.mark.parametrize("select", [ohem(), ohem(ratio=3), hard_negative()])
def test_little_to_select_from(select):
    state = np.array([[-1, 1, 0, 0, 0, 0, 0]])
    values = np.array([[9, 1, 5, 4, 3, 2, 1]])
    everything, hardest = [0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0, 0]
    expected = everything if select.config.get("ratio") is None else hardest
    assert selected(select, values, state, apart(7)).tolist() == [expected]
    assert not selected(select, values, np.full((1, 7), -1), apart(7)).any()  # all ignored
    assert selected(select, values, np.ones((1, 7)), apart(7)).all()  # all objects
    assert selected(select, *np.zeros((2, 2, 0)), np.zeros((2, 0, 4))).shape == (2, 0)


@pytest.mark.parametrize("select", [ohem(4, 0.5), ohem(4, ratio=3), hard_negative()])
def test_the_mask_has_no_gradient(gradient, select):
    values, state, boxes = some_anchors(20, seed=2)
    state = ops.convert_to_tensor(state.astype("float32"))

    def total(x):  # (B, N, 5): of the sum of what is selected, the slope is the mask
        mask = select(x[..., 0], state, x[..., 1:])
        return ops.sum(ops.cast(mask, "float32") * x[..., 0])

    _, slope = gradient(total, np.concatenate([values[..., None], boxes], -1))
    assert slope[..., 0].tolist() == selected(select, values, state, boxes).tolist()
    assert slope[..., 0].any()
    assert not slope[..., 1:].any()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="shapes that are not known are TensorFlow's")
@pytest.mark.parametrize("select", [ohem(8, 0.5), ohem(8, ratio=3), hard_negative()])
def test_any_number_of_anchors_in_one_graph(select, graphs):
    import tensorflow as tf

    specs = [tf.TensorSpec((None, None, *tail), "float32") for tail in ((), (), (4,))]
    graph = tf.function(select, input_signature=specs)
    for count in (50, 5, 0):
        batch = [values.astype("float32") for values in some_anchors(count, seed=count)]
        expected = selected(select, *batch)
        assert graph(*batch).numpy().tolist() == expected.tolist()


def test_highest():
    values = np.array([[1, 4, 2, 3], [7, 7, 7, 7], [-1, -1, 5, -1]], "float32")
    mask = ops.convert_to_numpy(highest(ops.convert_to_tensor(values), ops.array([2.0, 3.9, 0])))
    assert mask.tolist() == [[0, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]]
    # 0.59 · 100 is 58.999996 in float32 and means 59
    number = ops.array([0.59]) * ops.array([100.0])
    assert ops.convert_to_numpy(highest(ops.ones((1, 100)), number)).sum() == 59


def test_get():
    assert sampling.get(None) is None
    assert sampling.get("ohem").config == ohem().config
    for name in SAMPLERS:
        build, _ = lookup(SAMPLERS, name, "sampler")
        assert build().config["name"] == name
        assert sampling.get(build().config).config == build().config
    config = {"name": "ohem", "count": 64, "overlap": 0.5, "ratio": 3, "pool": 2}
    assert sampling.get(config).config == config
    config = {"name": "hard_negative", "ratio": 2.0}
    assert sampling.get(config).config == config
    with pytest.raises(ValueError, match="'easy'; known: hard_negative, ohem"):
        sampling.get({"name": "easy"})


def huber(distance, sigma):
    """Smooth L1 of distances (..., 4) and its slope, in float64."""
    inner = np.abs(distance) < 1 / sigma**2
    values = np.where(inner, 0.5 * sigma**2 * distance**2, np.abs(distance) - 0.5 / sigma**2)
    return values.sum(-1), np.where(inner, sigma**2 * distance, np.sign(distance))


@pytest.mark.parametrize(("sigma", "share"), [(3.0, 0.5), (1.0, 0.25), (2.0, 1.0), (3.0, 0.01)])
def test_ohem_smooth_l1_is_the_loop(gradient, sigma, share):
    random = np.random.default_rng(3)
    state = random.choice([-1, 0, 1], (2, 20))
    targets, y_pred = random.normal(0, 1, (2, 2, 20, 4)).astype("float32")
    y_true = np.concatenate([targets, state[..., None]], -1).astype("float32")
    losses, slopes = huber(y_pred.astype("float64") - targets, sigma)
    hardest = sorted(zip(*np.where(state == 1), strict=True), key=lambda place: -losses[place])
    kept = hardest[: max(1, int(share * len(hardest)))]
    expected = np.zeros_like(slopes)
    for place in kept:
        expected[place] = slopes[place] / len(kept)

    loss = ohem_smooth_l1(sigma, share)
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    assert len(hardest) > 8
    assert math.isclose(value, sum(losses[place] for place in kept) / len(kept), rel_tol=1e-5)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


def test_ohem_smooth_l1_by_hand(gradient):
    # distances 1, 2, 3, 4, 5 in one coordinate: half of five is two, (4 + 5) / 2 - 0.5 / 9
    y_true, y_pred = np.zeros((1, 6, 5), "float32"), np.zeros((1, 6, 4), "float32")
    y_true[0, :5, 4], y_pred[0, :, 0] = 1, [1, 2, 3, 4, 5, np.nan]
    loss = ohem_smooth_l1()
    assert loss.spec.compares == smooth_l1().spec.compares
    assert loss.spec.config == {"name": "ohem_smooth_l1", "sigma": 3.0, "share": 0.5}
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    assert math.isclose(value, 4.5 - 0.5 / 9, rel_tol=1e-6)
    assert slope[0, :, 0].tolist() == [0, 0, 0, 0.5, 0.5, 0]
    y_pred[0, :, 0] = 1  # of equal ones two are kept all the same
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    assert math.isclose(value, 1 - 0.5 / 9, rel_tol=1e-6)
    assert sorted(slope[0, :, 0]) == [0, 0, 0, 0, 0.5, 0.5]


@pytest.mark.parametrize("state", [-1, 0])
@pytest.mark.parametrize("anchors", [7, 0])
def test_ohem_smooth_l1_without_objects(gradient, state, anchors):
    y_true = np.full((2, anchors, 5), state, "float32")
    y_pred = np.full((2, anchors, 4), np.nan, "float32")
    value, slope = gradient(lambda x: ohem_smooth_l1()(ops.convert_to_tensor(y_true), x), y_pred)
    assert value == 0
    assert not slope.any()
