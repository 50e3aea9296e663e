"""NMS in NumPy against the NMS of the graph, which other tests compare with plain loops."""

import numpy as np
import pytest
from keras import ops

from keras_retinanet import nms, nms_numpy
from keras_retinanet.layers import ClipDetections, NonMaxSuppression
from keras_retinanet.nms_numpy import Limits
from keras_retinanet.parts import PostProcess

KINDS = [*nms.NMS, {"name": "soft_gaussian", "sigma": 0.1}]


def candidates(count, seed=0, classes=3, crowded=100.0, images=1, ties=False):
    """Return random boxes (B, C, 4), descending scores (B, C) and labels (B, C); with ties, few
    places and few scores, so that many are equal."""
    random = np.random.default_rng(seed)
    low = random.uniform(0, crowded, (images, count, 2))
    sides = random.uniform(5, 60, (images, count, 2))
    scores = -np.sort(-random.uniform(0, 1, (images, count)), axis=1)
    if ties:
        low, sides, scores = low // 20 * 20, sides // 20 * 20 + 20, np.ceil(scores * 8) / 8
    boxes = np.concatenate([low, low + sides], axis=-1)
    labels = random.integers(0, classes, (images, count))
    return boxes.astype("float32"), scores.astype("float32"), labels.astype("int32")


def expect_the_graphs(values, limits, kind="hard"):
    """Check each image's rows and scores against `nms`, and return the rows of the first."""
    tensors = [ops.convert_to_tensor(value) for value in values]
    found = [ops.convert_to_numpy(value) for value in nms.get(kind)(*tensors, limits)]
    for image, (rows, scores) in enumerate(zip(*found, strict=True)):
        ours, kept = nms_numpy.get(kind)(*(value[image] for value in values), limits)
        assert ours.tolist() == rows[rows >= 0].tolist()
        np.testing.assert_allclose(kept, scores[rows >= 0], rtol=1e-5)
    return nms_numpy.get(kind)(*(value[0] for value in values), limits)[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.95])
def test_rows_equal_the_graphs(kind, threshold):
    for crowded in (5.0, 60.0, 500.0):
        values = candidates(90, seed=int(crowded), crowded=crowded, images=3)
        expect_the_graphs(values, Limits(25, threshold, 0.2), kind)


@pytest.mark.parametrize("kind", nms.NMS)
def test_ties_equal_the_graphs(kind):
    expect_the_graphs(candidates(300, ties=True, images=2), Limits(40, 0.5, 0.1), kind)


@pytest.mark.parametrize("kind", nms.NMS)
@pytest.mark.parametrize("count", [0, 1])
def test_an_image_without_candidates_and_one_with_a_single_one(kind, count):
    values = candidates(count, images=2)
    rows = expect_the_graphs(values, Limits(5), kind)
    assert rows.tolist() == list(range(count))
    boxes, scores, labels = (value[0] for value in values)
    found = nms_numpy.detections((boxes, scores, labels), PostProcess(nms=kind), (100, 100))
    assert [value.shape for value in found] == [(count, 4), (count,), (count,)]
    assert [value.dtype for value in found] == ["float32", "float32", "int32"]


@pytest.mark.parametrize("kind", nms.NMS)
def test_missing_candidates_are_not_kept(kind):
    # scores of -1, as in `TopCandidates`, with boxes that would suppress
    boxes, scores, labels = candidates(8)
    scores[0, 3:] = -1
    rows = expect_the_graphs((boxes, scores, labels), Limits(8, 0.99), kind)
    assert set(rows.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("kind", ["hard", "diou", "class_agnostic", "none"])
@pytest.mark.parametrize(("classes", "crowded"), [(1, 30.0), (1, 400.0), (80, 400.0)])
def test_5000_candidates_equal_the_graphs(kind, classes, crowded):
    values = candidates(5000, classes=classes, crowded=crowded)
    expect_the_graphs(values, Limits(300, 0.5, 0.05), kind)


def test_a_chain_longer_than_a_block_keeps_every_second_box():
    # each box overlaps the next by 70 / 130 > 0.5 and no other; the fixed point takes as many steps
    # as the chain is long, and block borders fall on both kinds of boxes
    count = 2 * nms_numpy.BLOCK + 31
    left = np.arange(count, dtype="float32") * 3
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], axis=-1)
    scores = np.linspace(1, 0.5, count, dtype="float32")
    rows, kept = nms_numpy.hard(boxes, scores, np.zeros(count, "int32"), Limits(count))
    assert rows.tolist() == list(range(0, count, 2))
    assert kept.tolist() == scores[::2].tolist()


def test_overlap_at_the_threshold_is_kept():
    # IoU 50 / 100 = 0.5 exactly
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], "float32")
    scores, labels = np.array([0.9, 0.8], "float32"), np.zeros(2, "int32")
    assert nms_numpy.hard(boxes, scores, labels, Limits(2, 0.5))[0].tolist() == [0, 1]
    assert nms_numpy.hard(boxes, scores, labels, Limits(2, 0.499))[0].tolist() == [0]


def test_scores_given_are_not_changed():
    boxes, scores, labels = (value[0] for value in candidates(50))
    before = scores.copy()
    for kind in nms.NMS:
        nms_numpy.get(kind)(boxes, scores, labels, Limits(50))
    assert scores.tolist() == before.tolist()


@pytest.mark.parametrize("class_specific", [True, False])
@pytest.mark.parametrize("clip", ["before", "dropping", "after"])
def test_detections_equal_the_layers(clip, class_specific):
    # clipping before NMS, dropping or not, has happened in the graph; after NMS it happens here
    boxes, scores, labels = candidates(200, images=2)
    boxes[..., ::2] -= 40  # a part lies beyond the left edge, a part beyond the right one of 80 px
    chosen = PostProcess("hard", class_specific, 0.4, 0.1, 60, clip=clip, clip_margin=1)
    fields = ("nms", "class_specific_filter", "nms_threshold", "score_threshold", "max_detections")
    layer = NonMaxSuppression(**{name: getattr(chosen, name) for name in fields})
    tensors = layer([ops.convert_to_tensor(value) for value in (boxes, scores, labels)])
    if clip == "after":
        tensors = ClipDetections(1)([ops.zeros((2, 90, 80, 3)), *tensors])
    expected = [ops.convert_to_numpy(value) for value in tensors]
    for image in range(2):
        found = nms_numpy.detections((boxes[image], scores[image], labels[image]), chosen, (80, 90))
        used = expected[2][image] >= 0
        assert used.any()
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs[image][used])
