"""The confusion matrix of a detector, with background as one more class."""

from __future__ import annotations

import numpy as np

from keras_retinanet.evaluation.matching import Matching


def confusion_matrix(matching: Matching, least: np.ndarray) -> np.ndarray:
    """Return how often an object of a class is detected as another one, (K + 1, K + 1) int.

    Rows are the classes of the objects, columns those of the detections; the last row has the
    detections of background, and the last column the missed objects. The diagonal has the objects
    that are found, so precision and recall at the same thresholds follow from it. The detections
    and objects that remain are confused if they overlap by the IoU threshold of the matching, the
    largest overlap first. Ignored objects and detections do not count.

    Args:
        least: (K,) the least score of each label.
    """
    found, objects = matching.found, matching.objects
    count = len(matching.class_names)
    matrix = np.zeros((count + 1, count + 1), int)
    shown = (found.score >= least[found.label]) & ~found.ignored  # (D,)
    right = shown & found.right
    np.add.at(matrix, (found.label[right], found.label[right]), 1)
    rest = shown & ~found.right
    missed = ~objects.ignored & ~matching.found_at(least)  # (M,)
    for detection, target in _confused(matching, rest, missed):
        matrix[objects.label[target], found.label[detection]] += 1
        rest[detection] = missed[target] = False
    np.add.at(matrix, (count, found.label[rest]), 1)
    np.add.at(matrix, (objects.label[missed], count), 1)
    return matrix


def _confused(matching: Matching, rest: np.ndarray, missed: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of a remaining detection (D,) and a missed object (M,), each in one at most."""
    pairs = matching.pairs
    close = pairs.iou >= matching.iou_threshold
    rows = np.flatnonzero(close & rest[pairs.detection] & missed[pairs.object])
    rows = rows[np.argsort(-pairs.iou[rows], kind="stable")]
    detections: set[int] = set()
    objects: set[int] = set()
    confused = []
    for each in zip(pairs.detection[rows].tolist(), pairs.object[rows].tolist(), strict=True):
        if each[0] not in detections and each[1] not in objects:
            detections.add(each[0])
            objects.add(each[1])
            confused.append(each)
    return confused


def largest_confusions(matrix: np.ndarray, most: int = 5) -> list[tuple[int, int, int]]:
    """Return the most frequent confusions of two classes, (count, label, detected as)."""
    classes = matrix[:-1, :-1].copy()
    np.fill_diagonal(classes, 0)
    order = np.argsort(-classes, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, classes.shape)
    places = zip(rows.tolist(), columns.tolist(), strict=True)
    return [
        (int(classes[row, column]), row, column) for row, column in places if classes[row, column]
    ]
