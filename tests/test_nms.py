"""Non-maximum suppression against a plain greedy loop, and against TensorFlow's."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_retinanet import nms
from keras_retinanet.boxes import diou, iou
from keras_retinanet.errors import InputError

pytestmark = pytest.mark.core


def greedy(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0, overlap=iou):
    """Return the rows kept of one image's candidates, best first, and their scores."""
    kept = []
    for row in range(len(boxes)):
        if scores[row] <= score_threshold or len(kept) == max_detections:
            break
        rivals = [k for k in kept if labels[k] == labels[row]]
        if all(overlap(boxes[k], boxes[row]) <= threshold for k in rivals):
            kept.append(row)
    return kept, [scores[row] for row in kept]


def greedy_diou(*args, **kwargs):
    return greedy(*args, **kwargs, overlap=diou)


def greedy_over_classes(boxes, scores, labels, *args, **kwargs):
    return greedy(boxes, scores, labels * 0, *args, **kwargs)


def first(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0):
    count = min(max_detections, int((scores > score_threshold).sum()))
    return list(range(count)), list(scores[:count])


def soft(boxes, scores, labels, max_detections, threshold, score_threshold, decay):
    """Return the rows of one image's candidates in the order of Soft-NMS, and their last scores."""
    left, kept = dict(enumerate(scores)), {}
    while left and len(kept) < max_detections:
        best = max(left, key=left.get)  # the first of equal ones
        if left[best] <= score_threshold:
            break
        kept[best] = left.pop(best)
        for row in left:
            if labels[row] == labels[best]:
                left[row] *= decay(iou(boxes[best], boxes[row]), threshold)
    return list(kept), list(kept.values())


def soft_linear(*args, threshold=0.5, score_threshold=0.0):
    def decay(overlap, threshold):
        return 1 - overlap if overlap > threshold else 1

    return soft(*args, threshold, score_threshold, decay)


def soft_gaussian(*args, threshold=0.5, score_threshold=0.0):
    def decay(overlap, _):
        return np.exp(-(overlap**2) / np.float32(0.5))

    return soft(*args, threshold, score_threshold, decay)


LOOPS = {
    "hard": greedy,
    "soft_linear": soft_linear,
    "soft_gaussian": soft_gaussian,
    "diou": greedy_diou,
    "class_agnostic": greedy_over_classes,
    "none": first,
}
SOFT = ["soft_linear", "soft_gaussian"]


def candidates(count, seed, classes=3, crowded=100.0, images=1):
    """Return random candidates in descending order of score, many of them overlapping."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, crowded, (images, count, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 60, (images, count, 2))], -1)
    scores = -np.sort(-random.uniform(0, 1, (images, count)), axis=1)
    labels = random.integers(0, classes, (images, count))
    return boxes.astype("float32"), scores.astype("float32"), labels.astype("int32")


@functools.lru_cache
def compiled(kind, sigma, block, *options):
    """Return the NMS of that name, compiled as a whole on JAX."""
    method = nms.get(kind if sigma is None else {"name": kind, "sigma": sigma})

    def suppress(boxes, scores, labels):
        return method(boxes, scores, labels, nms.Limits(*options))

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(suppress)
    return suppress


def run(
    boxes,
    scores,
    labels,
    max_detections,
    threshold=0.5,
    score_threshold=0.0,
    kind="hard",
    sigma=None,
):
    """Return the (rows, scores) that the NMS of that name keeps, as NumPy."""
    tensors = [ops.convert_to_tensor(value) for value in (boxes, scores, labels)]
    suppress = compiled(kind, sigma, nms.BLOCK, max_detections, threshold, score_threshold)
    rows, kept = (ops.convert_to_numpy(value) for value in suppress(*tensors))
    assert rows.shape == kept.shape == (len(boxes), max_detections)
    assert (kept[rows < 0] == -1).all()
    return rows, kept


def keep(*args, **kwargs):
    return run(*args, **kwargs)[0]


def expect(values, max_detections, kind="hard", **kwargs):
    """Return the rows, after checking that rows and scores equal the loop's."""
    rows, kept = run(*values, max_detections, kind=kind, **kwargs)
    for image in range(len(rows)):
        arrays = [value[image] for value in values]
        expected, scores = LOOPS[kind](*arrays, max_detections, **kwargs)
        assert rows[image].tolist() == expected + [-1] * (max_detections - len(expected))
        tolerance = 1e-5 if kind in SOFT else 0
        np.testing.assert_allclose(kept[image, : len(scores)], scores, rtol=tolerance)
    return rows


def test_kept_rows_equal_a_calculation_by_hand():
    # 1 overlaps 0 with IoU 80 / 120 and goes; 2 overlaps only 1, which is gone, and stays;
    # 3 lies on 0 but is of another class; 4 is at the score threshold and not above it.
    boxes = [[0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10], [0, 0, 10, 10], [50, 0, 60, 10]]
    boxes = np.array([boxes], "float32")
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.25]], "float32")
    labels = np.array([[0, 0, 0, 1, 0]])
    assert keep(boxes, scores, labels, 5, 0.5, 0.25).tolist() == [[0, 2, 3, -1, -1]]
    assert keep(boxes, scores, labels, 5, 0.5, 0.2).tolist() == [[0, 2, 3, 4, -1]]
    assert keep(boxes, scores, labels, 2, 0.5, 0.2).tolist() == [[0, 2]]
    assert keep(boxes, scores, labels * 0, 5, 0.5, 0.2).tolist() == [[0, 2, 4, -1, -1]]


def test_overlap_at_the_threshold_is_kept():
    # IoU 50 / 100 = 0.5 exactly
    boxes = np.array([[[0, 0, 10, 10], [0, 0, 10, 5]]], "float32")
    scores = np.array([[0.9, 0.8]], "float32")
    assert keep(boxes, scores, np.zeros((1, 2), "int32"), 2, 0.5).tolist() == [[0, 1]]
    assert keep(boxes, scores, np.zeros((1, 2), "int32"), 2, 0.499).tolist() == [[0, -1]]


def test_chain_of_overlaps_keeps_every_second_box():
    # each box overlaps the next, so greedy keeps every second one: the fixed point takes as many
    # steps as the chain is long
    left = np.arange(40, dtype="float32") * 3
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], -1)[None]
    scores = np.linspace(1, 0.5, 40, dtype="float32")[None]
    labels = np.zeros((1, 40), "int32")
    rows = expect((boxes, scores, labels), 40)
    assert rows[0, :20].tolist() == list(range(0, 40, 2))


@pytest.mark.parametrize("kind", nms.NMS)
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_result_equals_a_plain_loop(kind, classes, threshold):
    values = candidates(200, seed=classes, classes=classes, images=3)
    expect(values, 40, kind, threshold=threshold, score_threshold=0.3)


@pytest.mark.parametrize("kind", nms.NMS)
@settings(max_examples=25, deadline=None, derandomize=True)  # a backend's exp is not NumPy's
@given(st.integers(0, 2**32 - 1), st.sampled_from([5.0, 40.0, 400.0]))
def test_result_equals_a_plain_loop_for_any_candidates(kind, seed, crowded):
    expect(candidates(60, seed, crowded=crowded, images=2), 25, kind)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_result_does_not_depend_on_the_block(seed):
    # a block of 7 candidates: kept boxes of earlier blocks suppress, and the loop stops early
    before, nms.BLOCK = nms.BLOCK, 7
    try:
        expect(candidates(60, seed, images=2), 12, score_threshold=0.2)
    finally:
        nms.BLOCK = before


def test_candidates_of_later_blocks_are_kept():
    values = candidates(nms.BLOCK + 700, seed=5, classes=2, crowded=300.0, images=2)
    rows = expect(values, 180, threshold=0.02)
    assert rows.max() > nms.BLOCK  # some come from the second block


@pytest.mark.parametrize("kind", [kind for kind in nms.NMS if kind != "none"])
def test_ties_keep_the_earlier_row(kind):
    # two pairs on the same places with one score: of each pair the first stays
    boxes = np.array([[[0, 0, 9, 9], [50, 50, 59, 59], [0, 0, 9, 9], [50, 50, 59, 59]]], "float32")
    scores = np.full((1, 4), 0.5, "float32")
    # 0.5 exp(-1 / 0.5) = 0.068 is all that soft NMS leaves of the others
    rows = expect((boxes, scores, np.zeros((1, 4), "int32")), 4, kind, score_threshold=0.1)
    assert rows.tolist() == [[0, 1, -1, -1]]


@pytest.mark.parametrize("kind", nms.NMS)
def test_images_do_not_mix(kind):
    # the same boxes with scores that end at different rows
    boxes, _, labels = candidates(30, seed=6)
    boxes, labels = np.repeat(boxes, 3, 0), np.repeat(labels, 3, 0)
    scores = np.linspace(0.9, 0.1, 30) * np.array([[1], [0.5], [0]])  # (3, 30)
    rows = expect((boxes, scores.astype("float32"), labels), 30, kind, score_threshold=0.2)
    assert (rows[2] == -1).all()


@pytest.mark.parametrize("kind", nms.NMS)
def test_missing_candidates_give_padding_rows(kind):
    rows = expect(candidates(3, seed=7), 50, kind)
    assert (rows[0, 3:] == -1).all()


@pytest.mark.parametrize("kind", nms.NMS)
def test_no_candidates_give_padding_rows(kind):
    values = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "float32"), np.zeros((2, 0), "int32")
    assert keep(*values, 4, kind=kind).tolist() == [[-1] * 4] * 2


@pytest.mark.parametrize("kind", nms.NMS)
def test_padding_is_never_kept(kind):
    # candidates that do not exist score -1, with a box like a real one
    boxes = np.zeros((1, 6, 4), "float32")
    boxes[..., 2:] = 10
    scores = np.array([[0.5, -1, -1, -1, -1, -1]], "float32")
    labels = np.zeros((1, 6), "int32")
    assert keep(boxes, scores, labels, 3, kind=kind).tolist() == [[0, -1, -1]]


@pytest.mark.parametrize("kind", nms.NMS)
def test_boxes_without_area_are_kept(kind):
    boxes = np.zeros((1, 4, 4), "float32")
    scores = np.linspace(0.9, 0.6, 4, dtype="float32")[None]
    rows, kept = run(boxes, scores, np.zeros((1, 4), "int32"), 4, kind=kind)
    assert rows.tolist() == [[0, 1, 2, 3]]
    assert kept.tolist() == scores.tolist()


def test_none_keeps_the_best_scores():
    boxes, scores, labels = candidates(20, seed=8, crowded=1.0)
    above = int((scores > 0.5).sum())
    rows = keep(boxes, scores, labels, 25, 0.5, 0.5, kind="none")
    assert rows.tolist() == [[*range(above), *[-1] * (25 - above)]]
    assert keep(boxes, scores, labels, 3, kind="none").tolist() == [[0, 1, 2]]


# soft NMS

# 1 overlaps 0 with IoU 80 / 120 = 2/3, 2 overlaps 0 with 50 / 150 = 1/3 and 1 with 70 / 130
THREE = np.array([[[0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]]], "float32")
SCORES = np.array([[0.9, 0.8, 0.7]], "float32")
ONE_CLASS = np.zeros((1, 3), "int32")


def test_soft_linear_equals_a_calculation_by_hand():
    # 0 leaves 1 a third of 0.8 and does not touch 2, whose IoU with it is not above a half; then 2,
    # with 0.7, leaves 1 the share 60 / 130 of that: 0.8 / 3 * 6 / 13 = 0.1231
    rows, scores = run(THREE, SCORES, ONE_CLASS, 4, kind="soft_linear")
    assert rows.tolist() == [[0, 2, 1, -1]]
    np.testing.assert_allclose(scores, [[0.9, 0.7, 0.8 / 3 * 6 / 13, -1]], rtol=1e-6)
    rows = keep(THREE, SCORES, ONE_CLASS, 4, score_threshold=0.124, kind="soft_linear")
    assert rows.tolist() == [[0, 2, -1, -1]]
    # with a threshold of 0.3, 0 leaves 2 two thirds of 0.7, still more than 1 has
    rows, scores = run(THREE, SCORES, ONE_CLASS, 3, 0.3, kind="soft_linear")
    assert rows.tolist() == [[0, 2, 1]]
    np.testing.assert_allclose(scores, [[0.9, 1.4 / 3, 0.8 / 3 * 6 / 13]], rtol=1e-6)


def test_soft_gaussian_equals_a_calculation_by_hand():
    # 0 leaves 1: 0.8 exp(-4/9 / 0.5) = 0.3289 and 2: 0.7 exp(-1/9 / 0.5) = 0.5605; 2 leaves 1:
    # 0.3289 exp(-(7/13)² / 0.5) = 0.1842
    rows, scores = run(THREE, SCORES, ONE_CLASS, 4, kind="soft_gaussian")
    assert rows.tolist() == [[0, 2, 1, -1]]
    np.testing.assert_allclose(scores, [[0.9, 0.5605, 0.1842, -1]], atol=5e-5)
    # sigma 2: 1: 0.8 exp(-2/9) = 0.6406, 2: 0.7 exp(-1/18) = 0.6622, then 1 times exp(-0.14497)
    rows, scores = run(THREE, SCORES, ONE_CLASS, 3, kind="soft_gaussian", sigma=2)
    assert rows.tolist() == [[0, 2, 1]]
    np.testing.assert_allclose(scores, [[0.9, 0.6622, 0.5541]], atol=5e-5)


@pytest.mark.parametrize("kind", SOFT)
def test_other_classes_keep_their_scores(kind):
    rows, scores = run(THREE, SCORES, np.array([[0, 1, 2]]), 3, kind=kind)
    assert rows.tolist() == [[0, 1, 2]]
    assert scores.tolist() == SCORES.tolist()


@pytest.mark.parametrize("kind", SOFT)
def test_fewer_detections_are_the_first_of_more(kind):
    values = candidates(50, seed=9)
    for many, few in zip(run(*values, 30, kind=kind), run(*values, 4, kind=kind), strict=True):
        assert many[:, :4].tolist() == few.tolist()


@pytest.mark.parametrize("kind", SOFT)
def test_soft_scores_descend_and_are_no_higher(kind):
    boxes, scores, labels = candidates(80, seed=10, crowded=30.0, images=2)
    rows, kept = run(boxes, scores, labels, 80, kind=kind)
    assert (np.sort(rows, axis=1) == np.arange(80)).all()  # without a threshold all stay
    assert (np.diff(kept, axis=1) <= 0).all()
    assert (kept <= np.take_along_axis(scores, rows, axis=1)).all()
    assert (kept < np.take_along_axis(scores, rows, axis=1)).any()


def test_gaussian_of_boxes_far_apart_suppresses_nothing():
    _, scores, labels = candidates(40, seed=11, images=2)
    corner = np.arange(80, dtype="float32").reshape(2, 40, 1) * 100
    boxes = corner + np.array([0, 0, 1, 1], "float32")
    for ours, theirs in zip(
        run(boxes, scores, labels, 50, kind="soft_gaussian"),
        run(boxes, scores, labels, 50, kind="none"),
        strict=True,
    ):
        assert ours.tolist() == theirs.tolist()


def test_linear_with_threshold_1_suppresses_nothing():
    values = candidates(40, seed=12, crowded=1.0, images=2)
    soft = run(*values, 50, 1.0, kind="soft_linear")
    assert [each.tolist() for each in soft] == [
        each.tolist() for each in run(*values, 50, kind="none")
    ]


def test_narrow_gaussian_equals_hard_with_threshold_0():
    # exp(-IoU² / 0.001) is below the score threshold from an IoU of 0.06 on; boxes on a grid of
    # 5 px overlap by more than that or not at all
    random = np.random.default_rng(13)
    low = random.integers(0, 8, (2, 60, 2)) * 5
    boxes = np.concatenate([low, low + 10], axis=-1).astype("float32")
    _, scores, labels = candidates(60, seed=13, images=2)
    options = {"threshold": 0.0, "score_threshold": 0.04}
    narrow = run(boxes, scores, labels, 60, **options, kind="soft_gaussian", sigma=1e-3)
    for ours, theirs in zip(narrow, run(boxes, scores, labels, 60, **options), strict=True):
        assert ours.tolist() == theirs.tolist()


# the other kinds


def test_diou_equals_hard_for_boxes_around_one_center():
    random = np.random.default_rng(14)
    half = random.uniform(5, 60, (2, 100, 2))
    boxes = np.concatenate([100 - half, 100 + half], axis=-1).astype("float32")
    _, scores, labels = candidates(100, seed=14, images=2)
    rows = [keep(boxes, scores, labels, 60, 0.6, kind=kind) for kind in ("diou", "hard")]
    assert rows[0].tolist() == rows[1].tolist()


def test_diou_keeps_boxes_with_distant_centers():
    # IoU 2/3; centres 2 px apart in a hull of 12 x 10 px: DIoU = 2/3 - 4 / 244 = 0.6503
    values = THREE[:, :2], SCORES[:, :2], ONE_CLASS[:, :2]
    assert keep(*values, 2, 0.66, kind="hard").tolist() == [[0, -1]]
    assert keep(*values, 2, 0.66, kind="diou").tolist() == [[0, 1]]
    assert keep(*values, 2, 0.65, kind="diou").tolist() == [[0, -1]]


def test_class_agnostic_equals_hard_with_one_class():
    boxes, scores, labels = candidates(60, seed=15, images=2)
    rows = keep(boxes, scores, labels, 30, kind="class_agnostic")
    assert rows.tolist() == keep(boxes, scores, labels * 0, 30).tolist()
    assert rows.tolist() != keep(boxes, scores, labels, 30).tolist()


# choices


def test_config_normalizes_every_form_of_a_choice():
    gaussian = {"name": "soft_gaussian", "sigma": 0.3}
    for choice, expected in (
        (True, "hard"),
        (False, "none"),
        ("diou", "diou"),
        ({"name": "hard"}, "hard"),
        ("soft_gaussian", "soft_gaussian"),
        ({"name": "soft_gaussian", "sigma": 0.5}, "soft_gaussian"),
        (gaussian, gaussian),
    ):
        assert nms.config(choice) == nms.config(nms.config(choice)) == expected
    assert gaussian == {"name": "soft_gaussian", "sigma": 0.3}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("gentle", "'gentle'; known: hard, .* class_agnostic"),
        (None, "NMS None"),
        ({"sigma": 0.3}, "NMS None"),
        ({"name": "soft_gaussian", "sgima": 1}, "unknown argument sgima; known: sigma"),
        ({"name": "hard", "sigma": 0.3}, "hard: unknown argument sigma; known: none"),
        ({"name": "soft_gaussian", "sigma": 0}, "from 0.001 to 1000, got 0"),
        ({"name": "soft_gaussian", "sigma": float("nan")}, "got nan"),
        ({"name": "soft_gaussian", "sigma": "wide"}, "got 'wide'"),
    ],
)
def test_wrong_choices_are_refused(choice, message):
    for read in (nms.config, nms.get):
        with pytest.raises(InputError, match=message):
            read(choice)


def test_gather_takes_rows_of_each_image():
    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    rows = np.array([[2, 0], [1, 1]], "int32")
    gathered = ops.convert_to_numpy(nms.gather(ops.convert_to_tensor(values), rows))
    assert gathered.tolist() == [[[4, 5], [0, 1]], [[8, 9], [8, 9]]]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own NMS")
@pytest.mark.parametrize("seed", range(4))
def test_hard_equals_tensorflow(seed):
    import tensorflow as tf

    boxes, scores, labels = candidates(1500, seed, classes=1, crowded=400.0)
    yxyx = boxes[0][:, [1, 0, 3, 2]]
    expected = tf.image.non_max_suppression(yxyx, scores[0], 200, 0.5, 0.05).numpy()
    rows = keep(boxes, scores, labels, 200, 0.5, 0.05)[0]
    assert rows[rows >= 0].tolist() == expected.tolist()
