"""Calibration: is a detection of score 0.8 right in 8 of 10 cases?"""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_retinanet.evaluation.matching import Matching

BINS = 15


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """The detections in bins of equal width in score, from 0 to 1; ignored ones do not count.

    Attributes:
        count: (b,) detections.
        score: (b,) their mean score, 0 in an empty bin.
        precision: (b,) the share of them that is right, 0 in an empty bin.
    """

    count: np.ndarray
    score: np.ndarray
    precision: np.ndarray

    @property
    def error(self) -> float | None:
        """The expected calibration error: the mean gap between score and precision, in 0..1.

        It weighs each bin by its detections; None without detections.
        """
        total = self.count.sum()
        gaps = np.abs(self.score - self.precision)  # (b,)
        return float((self.count * gaps).sum() / total) if total else None

    @property
    def leaning(self) -> float:
        """The mean of score minus precision: above 0, the scores promise too much."""
        total = max(int(self.count.sum()), 1)
        return float((self.count * (self.score - self.precision)).sum() / total)


def reliability(matching: Matching, label: int | None = None, bins: int = BINS) -> Reliability:
    """Return the reliability of the scores of one class, or of all.

    The expected calibration error is Guo et al.'s, 2017, arXiv 1706.04599, over detections.
    """
    found = matching.found
    mine = ~found.ignored & (label is None or found.label == label)
    score, right = found.score[mine], found.right[mine]
    place = np.clip((score * bins).astype(int), 0, bins - 1)  # (n,) the bin
    count = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, values, minlength=bins) for values in (score, right))
    score, precision = (each / np.maximum(count, 1) for each in sums)
    return Reliability(count, score, precision)
