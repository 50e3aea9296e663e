"""Non-maximum suppression against a plain greedy loop, and TensorFlow's own where that runs."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_retinanet import nms
from keras_retinanet.boxes import iou

pytestmark = pytest.mark.core


def greedy(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0):
    """Rows kept of one image's candidates, in descending order of score."""
    kept = []
    for row in range(len(boxes)):
        if scores[row] <= score_threshold or len(kept) == max_detections:
            break
        rivals = [k for k in kept if labels[k] == labels[row]]
        if all(iou(boxes[k], boxes[row]) <= threshold for k in rivals):
            kept.append(row)
    return kept + [-1] * (max_detections - len(kept))


def candidates(count, seed, classes=3, crowded=100.0, images=1):
    """Random candidates in descending order of score, many of them overlapping."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, crowded, (images, count, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 60, (images, count, 2))], -1)
    scores = -np.sort(-random.uniform(0, 1, (images, count)), axis=1)
    labels = random.integers(0, classes, (images, count))
    return boxes.astype("float32"), scores.astype("float32"), labels.astype("int32")


@functools.lru_cache
def compiled(method, block, *options):
    """The NMS of that name, compiled once where single operations would each be compiled."""

    def suppress(boxes, scores, labels):
        return nms.NMS[method](boxes, scores, labels, *options)

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(suppress)
    return suppress


def keep(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0, method="hard"):
    tensors = [ops.convert_to_tensor(value) for value in (boxes, scores, labels)]
    suppress = compiled(method, nms.BLOCK, max_detections, threshold, score_threshold)
    return ops.convert_to_numpy(suppress(*tensors))


def expect(values, max_detections, **kwargs):
    rows = keep(*values, max_detections, **kwargs)
    expected = [
        greedy(*(value[image] for value in values), max_detections, **kwargs)
        for image in range(len(values[0]))
    ]
    assert rows.tolist() == expected
    return rows


def test_by_hand():
    # 1 overlaps 0 with IoU 80 / 120 and goes; 2 overlaps 1 alone, which is gone, and stays;
    # 3 lies on 0 but is of another class; 4 is at the score threshold and not above it.
    boxes = [[0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10], [0, 0, 10, 10], [50, 0, 60, 10]]
    boxes = np.array([boxes], "float32")
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.25]], "float32")
    labels = np.array([[0, 0, 0, 1, 0]])
    assert keep(boxes, scores, labels, 5, 0.5, 0.25).tolist() == [[0, 2, 3, -1, -1]]
    assert keep(boxes, scores, labels, 5, 0.5, 0.2).tolist() == [[0, 2, 3, 4, -1]]
    assert keep(boxes, scores, labels, 2, 0.5, 0.2).tolist() == [[0, 2]]
    assert keep(boxes, scores, labels * 0, 5, 0.5, 0.2).tolist() == [[0, 2, 4, -1, -1]]


def test_overlap_at_the_threshold_stays():
    # IoU 50 / 100 = 0.5 exactly
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 5]]], "float32")
    scores = np.array([[0.9, 0.8]], "float32")
    assert keep(boxes, scores, np.zeros((1, 2), "int32"), 2, 0.5).tolist() == [[0, 1]]
    assert keep(boxes, scores, np.zeros((1, 2), "int32"), 2, 0.499).tolist() == [[0, -1]]


def test_chain_within_a_block():
    # each box overlaps the next, so greedy keeps every second one: the fixed point takes as many
    # steps as the chain is long
    left = np.arange(40, dtype="float32") * 3
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], -1)[None]
    scores = np.linspace(1, 0.5, 40, dtype="float32")[None]
    labels = np.zeros((1, 40), "int32")
    rows = expect((boxes, scores, labels), 40)
    assert rows[0, :20].tolist() == list(range(0, 40, 2))


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_equals_the_greedy_loop(classes, threshold):
    values = candidates(200, seed=classes, classes=classes, images=3)
    expect(values, 40, threshold=threshold, score_threshold=0.3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5.0, 40.0, 400.0]))
def test_equals_the_greedy_loop_anywhere(seed, crowded):
    expect(candidates(60, seed, crowded=crowded, images=2), 25)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_small_blocks(seed):
    # a block of 7 candidates: kept boxes of earlier blocks suppress, and the loop stops early
    before, nms.BLOCK = nms.BLOCK, 7
    try:
        expect(candidates(60, seed, images=2), 12, score_threshold=0.2)
    finally:
        nms.BLOCK = before


def test_more_candidates_than_a_block():
    values = candidates(nms.BLOCK + 700, seed=5, classes=2, crowded=300.0, images=2)
    rows = expect(values, 180, threshold=0.02)
    assert rows.max() > nms.BLOCK  # some come from the second block


def test_ties_keep_the_earlier_row():
    # two pairs on the same places with one score: of each pair the first stays
    boxes = np.array([[[0, 0, 9, 9], [50, 50, 59, 59], [0, 0, 9, 9], [50, 50, 59, 59]]], "float32")
    scores = np.full((1, 4), 0.5, "float32")
    rows = expect((boxes, scores, np.zeros((1, 4), "int32")), 4)
    assert rows.tolist() == [[0, 1, -1, -1]]


def test_images_do_not_mix():
    # the same boxes with scores that end at different rows
    boxes, _, labels = candidates(30, seed=6)
    boxes, labels = np.repeat(boxes, 3, 0), np.repeat(labels, 3, 0)
    scores = np.linspace(0.9, 0.1, 30) * np.array([[1], [0.5], [0]])  # (3, 30)
    rows = expect((boxes, scores.astype("float32"), labels), 30, score_threshold=0.2)
    assert (rows[2] == -1).all()


def test_fewer_candidates_than_detections():
    rows = expect(candidates(3, seed=7), 50)
    assert rows.shape == (1, 50)
    assert (rows[0, 3:] == -1).all()


@pytest.mark.parametrize("method", ["hard", "none"])
def test_no_candidates(method):
    values = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "float32"), np.zeros((2, 0), "int32")
    assert keep(*values, 4, method=method).tolist() == [[-1] * 4] * 2


def test_padding_is_never_kept():
    # candidates that do not exist score -1, with a box like a real one
    boxes = np.zeros((1, 6, 4), "float32")
    boxes[..., 2:] = 10
    scores = np.array([[0.5, -1, -1, -1, -1, -1]], "float32")
    assert keep(boxes, scores, np.zeros((1, 6), "int32"), 3).tolist() == [[0, -1, -1]]


def test_boxes_without_area_all_stay():
    boxes = np.zeros((1, 4, 4), "float32")
    scores = np.linspace(0.9, 0.6, 4, dtype="float32")[None]
    assert keep(boxes, scores, np.zeros((1, 4), "int32"), 4).tolist() == [[0, 1, 2, 3]]


def test_no_suppression():
    boxes, scores, labels = candidates(20, seed=8, crowded=1.0)
    above = int((scores > 0.5).sum())
    rows = keep(boxes, scores, labels, 25, 0.5, 0.5, method="none")
    assert rows.tolist() == [[*range(above), *[-1] * (25 - above)]]
    assert keep(boxes, scores, labels, 3, method="none").tolist() == [[0, 1, 2]]


def test_gather():
    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    rows = np.array([[2, 0], [1, 1]], "int32")
    gathered = ops.convert_to_numpy(nms.gather(ops.convert_to_tensor(values), rows))
    assert gathered.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own NMS")
@pytest.mark.parametrize("seed", range(4))
def test_equals_tensorflow(seed):
    import tensorflow as tf

    boxes, scores, labels = candidates(1500, seed, classes=1, crowded=400.0)
    yxyx = boxes[0][:, [1, 0, 3, 2]]
    expected = tf.image.non_max_suppression(yxyx, scores[0], 200, 0.5, 0.05).numpy()
    rows = keep(boxes, scores, labels, 200, 0.5, 0.05)[0]
    assert rows[rows >= 0].tolist() == expected.tolist()
