"""Everything that the report of an evaluation says, computed from one matching."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_retinanet.detections import Detections
from keras_retinanet.evaluation.calibration import Reliability, reliability
from keras_retinanet.evaluation.confusion import confusion_matrix
from keras_retinanet.evaluation.groups import Group, groups_of
from keras_retinanet.evaluation.label_errors import Suspects, missing_labels, wrong_labels
from keras_retinanet.evaluation.matching import Matching, match
from keras_retinanet.evaluation.thresholds import (
    Curve,
    Operating,
    Rule,
    at_threshold,
    choose,
    choose_thresholds,
    curve_of,
)
from keras_retinanet.preprocessing.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """The figures of a detector on a data set, and where it errs.

    Attributes:
        metrics: of `evaluate_coco`.
        rule: by which the thresholds are chosen.
        single: all classes at their best common threshold.
        chosen: each class at its best threshold.
        whole: the curve of all classes at a common threshold.
        curves: of each class.
        calibration: of all detections; `class_calibration` of each class.
        confusion: (K + 1, K + 1), see `confusion_matrix`, at the thresholds of the classes.
        groups: by size, aspect ratio, crowding and place, at these thresholds.
        missing, wrong: rankings of labels to check.
        worst: (n, 3) image, missed objects and wrong detections, the image with most errors first.
    """

    dataset: Dataset
    matching: Matching
    metrics: dict[str, Any]
    rule: Rule
    single: Operating
    chosen: list[Operating]
    whole: Curve
    curves: list[Curve]
    calibration: Reliability
    class_calibration: list[Reliability]
    confusion: np.ndarray
    groups: dict[str, list[Group]]
    missing: Suspects
    wrong: Suspects
    worst: np.ndarray

    @property
    def least(self) -> np.ndarray:
        """The threshold of each label, (K,)."""
        return least_of(self.chosen)


def explain(
    dataset: Dataset,
    detections: Sequence[Detections],
    metrics: dict[str, Any],
    rule: Rule,
) -> Explanation:
    """Return the explanation of detections in a data set.

    Args:
        dataset: an image of unknown size has no edge.
        detections: the `Detections` of each record, in the same order, from low scores on.
        metrics: of `evaluate_coco` for them.
    """
    matching = match(dataset, detections)
    labels = range(len(matching.class_names))
    chosen = choose_thresholds(matching, rule)
    least = least_of(chosen)
    whole = curve_of(matching)
    return Explanation(
        dataset,
        matching,
        metrics,
        rule,
        at_threshold(whole, "all", choose(whole, rule)[0]),
        chosen,
        whole,
        [curve_of(matching, label) for label in labels],
        reliability(matching),
        [reliability(matching, label) for label in labels],
        confusion_matrix(matching, least),
        groups_of(dataset, matching, least),
        missing_labels(matching),
        wrong_labels(matching),
        worst_images(matching, least),
    )


def least_of(chosen: Sequence[Operating]) -> np.ndarray:
    """Return the threshold of each label in float32, as detectors compare scores, (K,)."""
    return np.array([each.threshold for each in chosen], "float32")


def worst_images(matching: Matching, least: np.ndarray) -> np.ndarray:
    """Return the images with errors, (n, 3): image, missed objects, wrong detections; most first.

    Args:
        least: (K,) the least score of each label.
    """
    found, objects = matching.found, matching.objects
    wrong = found.wrong & (found.score >= least[found.label])
    missed = ~objects.ignored & ~matching.found_at(least)
    counts = [
        np.bincount(image, minlength=matching.num_images)
        for image in (objects.image[missed], found.image[wrong])
    ]
    rows = np.stack([np.arange(matching.num_images), *counts], axis=1)
    rows = rows[np.argsort(-rows[:, 1:].sum(axis=1), kind="stable")]
    return rows[rows[:, 1:].any(axis=1)]
