"""The confusion matrix: by hand, and its sums."""

import numpy as np
import pytest

from keras_retinanet.evaluation.confusion import confusion_matrix, largest_confusions
from keras_retinanet.evaluation.matching import match
from keras_retinanet.evaluation.thresholds import at_threshold, curve_of

from .cases import SQUARE, dataset, detection, random_case, record

PLACES = [[200 * i, 0, 200 * i + 100, 100] for i in range(4)]


def test_by_hand():
    """An a that is found, an a taken for b, a missed b, and an a where nothing is."""
    data = dataset(record(PLACES[:3], [0, 0, 1]), names=("a", "b"))
    found = [detection([PLACES[0], PLACES[1], PLACES[3]], [0.9, 0.8, 0.7], [0, 1, 0])]
    matrix = confusion_matrix(match(data, found), np.array([0.5, 0.5]))
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert largest_confusions(matrix) == [(1, 0, 1)]
    matrix = confusion_matrix(match(data, found), np.array([0.8, 0.85]))
    assert matrix.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert largest_confusions(matrix) == []


def test_the_right_class_goes_before_a_higher_score_of_another():
    data = dataset(record([SQUARE], [0]), names=("a", "b"))
    found = [detection([SQUARE, SQUARE], [0.9, 0.6], [1, 0])]
    matrix = confusion_matrix(match(data, found), np.array([0.5, 0.5]))
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_ignored_objects_and_no_images():
    crowd = dataset(record([SQUARE], ignore=[True]))
    half = np.array([0.5])
    assert not confusion_matrix(match(crowd, [detection([SQUARE], [0.9])]), half).any()
    assert not confusion_matrix(match(dataset(), []), half).any()


@pytest.mark.parametrize("seed", range(3))
def test_sums_are_objects_and_detections(seed):
    matching = match(*random_case(seed))
    matrix = confusion_matrix(matching, np.full(3, 0.4))
    for label, name in enumerate(matching.class_names):
        at = at_threshold(curve_of(matching, label), name, 0.4)
        assert matrix[label].sum() == at.objects
        assert matrix[:, label].sum() == at.detections
        assert matrix[label, label] == at.hits > 0
    assert matrix[-1, -1] == 0
