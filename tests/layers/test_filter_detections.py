"""From scores to detections: what is kept, in which order, and what fills the rest."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import FilterDetections, NonMaxSuppression
from keras_retinanet.layers.filter_detections import filter_detections
from keras_retinanet.nms import NMS

pytestmark = pytest.mark.core

# the first two boxes overlap with IoU 80 / 120; the third stands alone
BOXES = np.array([[[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]]], "float32")
SCORES = np.array([[[0.9, 0.1], [0.8, 0.7], [0.04, 0.6]]], "float32")


def run(layer, *values):
    call = layer.call
    if keras.backend.backend() == "jax":  # else each of its operations is compiled alone
        import jax

        call = jax.jit(call)
    return [ops.convert_to_numpy(value) for value in call(list(values))]


def padded(rows, length, shape=()):
    return [*rows, *np.full((length - len(rows), *shape), -1).tolist()]


def test_by_hand():
    # class 0: 0.9 drops 0.8, 0.04 is below the threshold; class 1: 0.7 drops the 0.1 of box 0,
    # 0.6 stays
    boxes, scores, labels = run(FilterDetections(max_detections=6), BOXES, SCORES)
    np.testing.assert_allclose(scores, [padded([0.9, 0.7, 0.6], 6)], rtol=1e-6)
    assert labels.tolist() == [padded([0, 1, 1], 6)]
    assert boxes.tolist() == [padded(BOXES[0].tolist(), 6, (4,))]
    assert labels.dtype == "int32"
    assert boxes.dtype == scores.dtype == "float32"


def test_thresholds():
    layer = FilterDetections(nms_threshold=0.7, score_threshold=0.65, max_detections=4)
    boxes, scores, labels = run(layer, BOXES, SCORES)
    np.testing.assert_allclose(scores, [padded([0.9, 0.8, 0.7], 4)], rtol=1e-6)
    assert labels.tolist() == [[0, 0, 1, -1]]
    assert boxes[0, :3].tolist() == BOXES[0, [0, 1, 1]].tolist()


def test_without_suppression():
    for layer in (FilterDetections(nms=False, max_detections=7), FilterDetections("none", True)):
        boxes, scores, labels = run(layer, BOXES, SCORES)
        length = layer.postprocess.max_detections
        np.testing.assert_allclose(scores, [padded([0.9, 0.8, 0.7, 0.6, 0.1], length)], rtol=1e-6)
        assert labels[0, :5].tolist() == [0, 0, 1, 1, 1]
        assert boxes[0, :5].tolist() == BOXES[0, [0, 1, 1, 2, 0]].tolist()


def test_over_all_classes():
    # each box counts with its best class, and suppresses whatever class the other has
    layer = FilterDetections(class_specific_filter=False, max_detections=4)
    scores = np.array([[[0.9, 0.1], [0.1, 0.8], [0.04, 0.6]]], "float32")
    boxes, scores, labels = run(layer, BOXES, scores)
    np.testing.assert_allclose(scores, [padded([0.9, 0.6], 4)], rtol=1e-6)
    assert labels.tolist() == [[0, 1, -1, -1]]
    assert boxes[0, :2].tolist() == BOXES[0, [0, 2]].tolist()
    both = FilterDetections(nms=False, class_specific_filter=False, max_detections=4)
    _, scores, labels = run(both, BOXES, SCORES)
    np.testing.assert_allclose(scores, [[0.9, 0.8, 0.6, -1]], rtol=1e-6)
    assert labels.tolist() == [[0, 0, 1, -1]]


def test_others_follow_their_box():
    angles = np.array([[1.5, 2.5, 3.5]], "float32")  # (B, N)
    masks = np.arange(12, dtype="float32").reshape(1, 3, 2, 2)  # (B, N, 2, 2)
    kinds = np.array([[[7], [8], [9]]], "int32")  # (B, N, 1)
    layer = FilterDetections(max_detections=5)
    results = run(layer, BOXES, SCORES, angles, masks, kinds)
    assert len(results) == 6
    assert results[3].tolist() == [padded([1.5, 2.5, 3.5], 5)]
    assert results[4].tolist() == [padded(masks[0].tolist(), 5, (2, 2))]
    assert results[5].tolist() == [padded([[7], [8], [9]], 5, (1,))]


def test_images_of_a_batch_do_not_mix():
    # the second image has one object, the third none
    boxes = np.concatenate([BOXES, BOXES + 100, BOXES])
    scores = np.concatenate([SCORES, SCORES * [0, 0.9], SCORES * 0.05]).astype("float32")
    found = run(FilterDetections(max_detections=4), boxes, scores)
    for image in range(3):
        alone = run(FilterDetections(max_detections=4), boxes[[image]], scores[[image]])
        for together, single in zip(found, alone, strict=True):
            np.testing.assert_array_equal(together[image], single[0])
    assert found[2][1].tolist() == [1, 1, -1, -1]
    assert (found[2][2] == -1).all()


@pytest.mark.parametrize("nms", [True, False, *NMS])
@pytest.mark.parametrize("class_specific", [True, False])
def test_no_boxes(nms, class_specific):
    layer = FilterDetections(nms, class_specific, max_detections=3)
    none = np.zeros((2, 0, 4), "float32"), np.zeros((2, 0, 5), "float32")
    boxes, scores, labels, other = run(layer, *none, np.zeros((2, 0, 7), "float32"))
    assert boxes.tolist() == [[[-1] * 4] * 3] * 2
    assert scores.tolist() == labels.tolist() == [[-1] * 3] * 2
    assert other.shape == (2, 3, 7)
    assert (other == -1).all()


def test_more_boxes_than_detections():
    boxes = np.arange(40, dtype="float32")[None, :, None] * 20 + [0, 0, 10, 10]
    scores = np.linspace(0.1, 0.9, 40, dtype="float32")[None, :, None]
    found = run(FilterDetections(max_detections=5), boxes.astype("float32"), scores)
    np.testing.assert_array_equal(found[0][0], boxes[0, :34:-1])
    np.testing.assert_allclose(found[1][0], scores[0, :34:-1, 0])


def test_one_image():
    together = run(FilterDetections(max_detections=6), BOXES, SCORES, BOXES * 2)
    results = filter_detections(BOXES[0], SCORES[0], [BOXES[0] * 2], max_detections=6)
    for result, expected in zip(results, together, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(result), expected[0])
    options = {"class_specific_filter": False, "nms": False, "score_threshold": 0.85}
    _, scores, _ = filter_detections(BOXES[0], SCORES[0], max_detections=2, **options)
    np.testing.assert_allclose(ops.convert_to_numpy(scores), [0.9, -1], rtol=1e-6)


def test_in_a_graph():
    inputs = keras.Input((None, 4)), keras.Input((None, 2)), keras.Input((None, 3))
    outputs = FilterDetections(max_detections=6)(list(inputs))
    model = keras.Model(inputs, outputs)
    assert [output.shape for output in model.outputs] == [
        (None, 6, 4),
        (None, 6),
        (None, 6),
        (None, 6, 3),
    ]
    values = BOXES, SCORES, BOXES[..., :3]
    found = model.predict_on_batch(list(values))
    expected = run(FilterDetections(max_detections=6), *values)
    for result, value in zip(found, expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("build", [FilterDetections, NonMaxSuppression])
def test_config(build):
    options = {
        "class_specific_filter": False,
        "nms_threshold": 0.3,
        "score_threshold": 0.2,
        "max_detections": 17,
    }
    for nms in ("none", "diou", {"name": "soft_gaussian", "sigma": 0.3}):
        layer = build(nms=nms, **options, name="filter")
        again = build.from_config(json.loads(json.dumps(layer.get_config())))
        assert again.get_config() == layer.get_config()
        assert {name: getattr(again.postprocess, name) for name in options} == options
        assert again.postprocess.nms == nms


@pytest.mark.parametrize("kind", [*NMS, {"name": "soft_gaussian", "sigma": 0.3}])
def test_a_saved_layer_gives_the_same(kind, tmp_path):
    random = np.random.default_rng(0)
    low = random.uniform(0, 40, (2, 30, 2))
    boxes = np.concatenate([low, low + random.uniform(5, 40, (2, 30, 2))], -1).astype("float32")
    scores = random.uniform(0, 1, (2, 30, 3)).astype("float32")
    inputs = keras.Input((None, 4)), keras.Input((None, 3))
    layer = FilterDetections(kind, nms_threshold=0.4, score_threshold=0.3, max_detections=25)
    keras.Model(inputs, layer(list(inputs))).save(tmp_path / "model.keras")
    found = keras.saving.load_model(tmp_path / "model.keras").predict_on_batch([boxes, scores])
    expected = run(layer, boxes, scores)
    assert (expected[1] > 0.3).sum() > 10
    for result, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-6)


def test_old_arguments():
    layer = FilterDetections(
        nms=True,
        class_specific_filter=True,
        nms_threshold=0.5,
        score_threshold=0.05,
        max_detections=300,
        parallel_iterations=32,
    )
    assert layer.postprocess.nms == "hard"
    assert layer.postprocess.max_detections == 300


def test_an_unknown_nms_names_the_known():
    with pytest.raises(ValueError, match=r"'gentle'; known: hard, .* none"):
        FilterDetections(nms="gentle")


def test_suppression_of_sorted_candidates():
    order = [[0, 1, 1, 2]]  # the candidates of `test_by_hand` in descending order
    boxes = BOXES[0][order]
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], "float32")
    labels = np.array([[0, 0, 1, 1]], "int32")
    found = run(NonMaxSuppression(max_detections=4), boxes, scores, labels, scores * 2)
    np.testing.assert_allclose(found[1], [[0.9, 0.7, 0.6, -1]], rtol=1e-6)
    np.testing.assert_allclose(found[3], [[1.8, 1.4, 1.2, -1]], rtol=1e-6)
    assert found[2].tolist() == [[0, 1, 1, -1]]


@pytest.mark.parametrize("kind", [*NMS, {"name": "soft_gaussian", "sigma": 0.3}])
def test_scores_are_those_that_nms_gives(kind):
    # the candidates of `test_by_hand` in descending order: boxes 0 and 1 of one class overlap with
    # IoU 2/3, box 1 again and box 2 of the other do not overlap
    order, labels = [[0, 1, 1, 2]], np.array([[0, 0, 1, 1]], "int32")
    boxes, scores = BOXES[0][order], np.array([[0.9, 0.8, 0.7, 0.6]], "float32")
    rows, expected = {
        "hard": ([0, 2, 3], [0.9, 0.7, 0.6]),
        "diou": ([0, 2, 3], [0.9, 0.7, 0.6]),
        "class_agnostic": ([0, 3], [0.9, 0.6]),
        "none": ([0, 1, 2, 3], [0.9, 0.8, 0.7, 0.6]),
        "soft_linear": ([0, 2, 3, 1], [0.9, 0.7, 0.6, 0.8 / 3]),
        "soft_gaussian": ([0, 2, 3, 1], [0.9, 0.7, 0.6, 0.8 * np.exp(-4 / 9 / 0.5)]),
        "narrow": ([0, 2, 3, 1], [0.9, 0.7, 0.6, 0.8 * np.exp(-4 / 9 / 0.3)]),
    }[kind if isinstance(kind, str) else "narrow"]
    layer = NonMaxSuppression(nms=kind, max_detections=5)
    found = run(layer, boxes, scores, labels, np.arange(4, dtype="int32")[None])
    np.testing.assert_allclose(found[1], [padded(expected, 5)], rtol=1e-5)
    assert found[3].tolist() == [padded(rows, 5)]
    assert found[2].tolist() == [padded(labels[0, rows].tolist(), 5)]
    assert found[0].tolist() == [padded(boxes[0, rows].tolist(), 5, (4,))]


def test_soft_nms_over_all_classes():
    # each box with its best class; 1, of the other class, is lowered by 0 all the same
    layer = FilterDetections("soft_linear", class_specific_filter=False, max_detections=4)
    scores = np.array([[[0.9, 0.1], [0.1, 0.6], [0.04, 0.3]]], "float32")
    _, scores, labels = run(layer, BOXES, scores)
    np.testing.assert_allclose(scores, [[0.9, 0.3, 0.2, -1]], rtol=1e-6)
    assert labels.tolist() == [[0, 1, 1, -1]]
