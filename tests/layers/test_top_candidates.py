"""The best pairs of anchor and class: none of a level's best is lost."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import TopCandidates
from keras_retinanet.layers.top_candidates import best_pairs

pytestmark = pytest.mark.core

SIZES = (30, 12, 3)  # anchors of three levels
K = 4


def some_inputs(seed=0, batch=2, sizes=SIZES):
    """(anchors of each level, regression, classification): every value tells where it is from."""
    random = np.random.default_rng(seed)
    count = sum(sizes)
    places = np.arange(count, dtype="float32")[:, None] + [0, 0.1, 0.2, 0.3]
    places = np.repeat(places[None], batch, 0).astype("float32")
    levels = np.split(places, np.cumsum(sizes)[:-1], axis=1)
    scores = random.permutation(batch * count * K).reshape(batch, count, K) / (batch * count * K)
    return levels, places * 10, scores.astype("float32")


def run(layer, levels, *values):
    call = layer.call
    if keras.backend.backend() == "jax":  # else each of its operations is compiled alone
        import jax

        call = jax.jit(call)
    tensors = [[ops.convert_to_tensor(value) for value in part] for part in (levels, values)]
    return [ops.convert_to_numpy(value) for value in call(tensors)]


def best_of(scores, top_k, start=0):
    """(score, anchor, class) of the best `top_k` of scores (N, K), descending."""
    pairs = [
        (float(score), start + anchor, label)
        for anchor, row in enumerate(scores)
        for label, score in enumerate(row)
    ]
    return sorted(pairs, reverse=True)[:top_k]


@pytest.mark.parametrize("top_k", [1, 5, 20])
def test_keeps_the_best_pairs_of_each_level(top_k):
    levels, regression, classification = some_inputs(top_k)
    anchors, values, scores, labels = run(TopCandidates(top_k), levels, regression, classification)
    assert scores.shape == (2, 3 * top_k)
    for image in range(2):
        expected, start = [], 0
        for size in SIZES:
            level = classification[image, start : start + size]
            expected += best_of(level, top_k, start)
            start += size
        expected = sorted(expected, reverse=True)
        found = scores[image] >= 0
        assert found.sum() == len(expected)  # 3 anchors have 12 pairs, fewer than 20
        assert found[: len(expected)].all()
        score, row, label = (np.array(column) for column in zip(*expected, strict=True))
        np.testing.assert_allclose(scores[image, found], score)
        assert labels[image, found].tolist() == label.tolist()
        np.testing.assert_array_equal(values[image, found], regression[image, row])
        np.testing.assert_array_equal(anchors[image, found], np.concatenate(levels, 1)[image, row])
        assert (scores[image, ~found] == -1).all()


def test_many_classes_of_one_anchor():
    # all of the best pairs belong to one anchor
    classification = np.full((1, 10, 6), 0.1, "float32")
    classification[0, 7] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    rows, labels, scores = (ops.convert_to_numpy(v) for v in best_pairs(classification, 4))
    assert rows.tolist() == [[7] * 4]
    assert labels.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_allclose(scores, [[0.9, 0.8, 0.7, 0.6]], rtol=1e-6)


@pytest.mark.parametrize("top_k", [None, 5, 60])
def test_one_class_for_each_anchor(top_k):
    levels, regression, classification = some_inputs(3)
    layer = TopCandidates(top_k, class_specific=False)
    anchors, _, scores, labels = run(layer, levels, regression, classification)
    rows = np.round(anchors[..., 0]).astype(int)
    for image in range(2):
        found = scores[image] >= 0
        best = classification[image].max(-1)
        per_level = np.split(np.arange(sum(SIZES)), np.cumsum(SIZES)[:-1])
        expected = [level[np.argsort(-best[level])][:top_k] for level in per_level]
        expected = np.concatenate(expected)
        expected = expected[np.argsort(-best[expected])]
        assert rows[image, found].tolist() == expected.tolist()
        np.testing.assert_array_equal(scores[image, found], best[expected])
        assert labels[image, found].tolist() == classification[image, expected].argmax(-1).tolist()


def test_all_pairs():
    levels, regression, classification = some_inputs(4)
    _, values, scores, labels = run(TopCandidates(None), levels, regression, classification)
    assert scores.shape == (2, sum(SIZES) * K)
    for image in range(2):
        score, row, label = zip(*best_of(classification[image], None), strict=True)
        np.testing.assert_allclose(scores[image], score)
        np.testing.assert_array_equal(values[image], regression[image][list(row)])
        assert labels[image].tolist() == list(label)


def test_others_follow_their_anchor():
    levels, regression, classification = some_inputs(5)
    more = regression[..., :2] * 3
    angles = regression[..., 0] + 1
    found = run(TopCandidates(6), levels, regression, classification, more, angles)
    assert len(found) == 6
    kept = found[2] >= 0
    np.testing.assert_array_equal(found[4][kept], found[1][kept][:, :2] * 3)
    np.testing.assert_array_equal(found[5][kept], found[1][kept][:, 0] + 1)


def test_one_level_of_one_anchor():
    levels, regression, classification = some_inputs(6, batch=1, sizes=(1,))
    _, _, scores, labels = run(TopCandidates(10), levels, regression, classification)
    assert (scores[0, K:] == -1).all()
    np.testing.assert_allclose(scores[0, :K], -np.sort(-classification[0, 0]))
    assert labels[0, :K].tolist() == np.argsort(-classification[0, 0]).tolist()


def test_in_a_graph():
    levels = [keras.Input((None, 4)) for _ in SIZES]
    regression, classification = keras.Input((None, 4)), keras.Input((None, K))
    outputs = TopCandidates(5)([levels, [regression, classification]])
    assert [output.shape for output in outputs] == [
        (None, 15, 4),
        (None, 15, 4),
        (None, 15),
        (None, 15),
    ]
    model = keras.Model([*levels, regression, classification], outputs)
    places, *values = some_inputs(7)
    found = model.predict_on_batch([*places, *values])
    for result, expected in zip(found, run(TopCandidates(5), places, *values), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_config():
    layer = TopCandidates(7, class_specific=False)
    again = TopCandidates.from_config(layer.get_config())
    assert (again.top_k, again.class_specific) == (7, False)
    assert TopCandidates.from_config(TopCandidates(None).get_config()).top_k is None
