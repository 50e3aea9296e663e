"""Thresholds: a curve by hand, the rules, and the numbers that are stored."""

import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.matching import match
from keras_retinanet.evaluation.thresholds import (
    Rule,
    at_threshold,
    choose,
    choose_thresholds,
    curve_of,
    threshold_table,
    together,
)

from .cases import SQUARE, dataset, detection, random_case, record

# class a: three objects far apart, two found, at 0.9 and at 0.6; 0.8 and 0.6 find nothing.
# class b: one object, found at 0.3. class c: no object, one detection
PLACES = [[200 * i, 0, 200 * i + 100, 100] for i in range(4)]
DATA = dataset(record([*PLACES[:3], SQUARE], [0, 0, 0, 1]), names=("a", "b", "c"))
FOUND = [
    detection(
        [PLACES[0], PLACES[3], PLACES[1], PLACES[3], PLACES[3], SQUARE],
        [0.9, 0.8, 0.6, 0.6, 0.5, 0.3],
        [0, 0, 0, 0, 2, 1],
    )
]


def test_curve_by_hand():
    curve = curve_of(match(DATA, FOUND), 0)
    assert curve.threshold == pytest.approx([0.9, 0.8, 0.6])
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 4])
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert curve.f1 == pytest.approx([2 / 4, 2 / 5, 4 / 7])  # 2 hits / (detections + objects)
    whole = curve_of(match(DATA, FOUND))
    assert whole.objects == 4
    assert whole.hits.tolist() == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("text", "threshold", "reached"),
    [
        ("f1", 0.6, True),
        ("precision=1", 0.801, True),  # the lowest threshold with enough
        ("precision=0.5", 0.6, True),
        ("recall=0.3", 0.9, True),  # the highest threshold with enough
        ("recall=0.6", 0.6, True),
        ("recall=0.7", 0.6, False),  # never reached: the nearest
    ],
)
def test_rules(text, threshold, reached):
    assert choose(curve_of(match(DATA, FOUND), 0), Rule.of(text)) == (threshold, reached)
    assert str(Rule.of(text)) == text


def test_the_middle_of_equally_good_thresholds():
    """Right from 0.9 on, wrong up to 0.2: any threshold in between has an F1 of 1."""
    data = dataset(record([SQUARE]), record())
    found = [detection([SQUARE], [0.9]), detection([SQUARE], [0.2])]
    threshold, _ = choose(curve_of(match(data, found)), Rule())
    assert threshold == pytest.approx(0.55, abs=0.002)


@pytest.mark.parametrize(
    "text", ["", "f2", "f1=0.5", "precision", "recall=", "recall=2", "precision=nan", "recall=x"]
)
def test_unknown_rules_are_refused(text):
    with pytest.raises(InputError):
        Rule.of(text)


def test_thresholds_of_all_classes():
    chosen = choose_thresholds(match(DATA, FOUND), Rule("f1"))
    assert [each.threshold for each in chosen] == [0.6, 0.3, 0.5]  # c has no objects
    assert [(each.hits, each.detections, each.objects) for each in chosen] == [
        (2, 4, 3),
        (1, 1, 1),
        (0, 1, 0),
    ]
    whole = together(chosen)
    assert (whole.precision, whole.recall, whole.f1) == (3 / 6, 3 / 4, 6 / 10)
    assert chosen[2].recall is None
    lines = threshold_table(chosen).splitlines()
    assert lines[1].split() == ["a", "0.6", "0.500", "0.667", "0.571", "3"]
    assert lines[3].split() == ["c", "0.5", "0.000", "-", "0.000", "0"]
    assert lines[4].split() == ["all", "0.500", "0.750", "0.600", "4"]


@pytest.mark.parametrize("seed", range(3))
def test_detections_at_the_threshold_have_its_figures(seed):
    """Matching again with only the detections that reach the thresholds gives the same figures."""
    data, detections = random_case(seed)
    chosen = choose_thresholds(match(data, detections), Rule("f1"))
    least = np.array([each.threshold for each in chosen], "float32")
    kept = []
    for each in detections:
        enough = each.scores >= least[each.labels]
        kept.append(detection(each.boxes[enough], each.scores[enough], each.labels[enough]))
    again = match(data, kept).found
    for label, each in enumerate(chosen):
        mine = (again.label == label) & ~again.ignored
        assert (each.hits, each.detections) == (again.right[mine].sum(), mine.sum())
        assert each.hits > 0


def test_a_threshold_keeps_the_score_that_is_its_float32():
    data = dataset(record([SQUARE]))
    for score in (0.1, 0.3, 0.6, 0.7, 0.9):  # below and above their float32
        curve = curve_of(match(data, [detection([SQUARE], [score])]))
        assert at_threshold(curve, "a", score).hits == 1
        assert at_threshold(curve, "a", score + 1e-6).hits == 0


def test_no_detections_and_no_images():
    nothing = match(dataset(), [])
    assert len(curve_of(nothing).threshold) == 0
    chosen = choose_thresholds(nothing, Rule("f1"))
    assert [each.threshold for each in chosen] == [0.5]
    assert together(chosen).f1 is None
    missed = choose_thresholds(match(DATA, [detection()]), Rule("recall", 0.9))
    assert [each.recall for each in missed] == [0, 0, None]
