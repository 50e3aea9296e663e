"""Precision, recall and F1 against the score threshold, and the best threshold of each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.matching import Matching
from keras_retinanet.options import SHARE, check_number
from keras_retinanet.utils.terminal import aligned, one_line
from keras_retinanet.utils.text import printable

RULES = ("f1", "precision", "recall")
GRID = np.arange(1, 1001) / 1000  # thresholds to choose from
USUAL = 0.5  # of a class without objects or detections, from which no threshold can be chosen


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule by which a threshold is chosen.

    Attributes:
        name: "f1" for the highest F1; "precision" for the lowest threshold with at least this
            precision; "recall" for the highest threshold with at least this recall.
        least: the precision or the recall, in 0..1.
    """

    name: str = "f1"
    least: float = 0.0

    def __str__(self) -> str:
        return self.name if self.name == "f1" else f"{self.name}={self.least:g}"

    @classmethod
    def of(cls, text: str) -> Rule:
        """Return the rule of "f1", "precision=0.95" or "recall=0.9".

        Raises:
            InputError: the text is another one.
        """
        name, equals, value = text.partition("=")
        try:
            least = float(value) if equals else 0.0
        except ValueError:
            least = float("nan")
        if name not in RULES or bool(equals) == (name == "f1"):
            raise InputError(
                f"A threshold is chosen by f1, precision=X or recall=X, not {printable(text)}."
            )
        check_number(f"The {name}", least, SHARE, float)
        return cls(name, least)


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of the detections that score a threshold or more, at every threshold.

    Attributes:
        threshold: (n,) by default the different scores, from the highest to the lowest.
        hits: (n,) detections that find an object.
        detections: (n,) detections that are not ignored.
        objects: number of objects to find.
    """

    threshold: np.ndarray
    hits: np.ndarray
    detections: np.ndarray
    objects: int

    def at(self, thresholds: np.ndarray) -> Curve:
        """Return the curve at other thresholds (t,), compared with the scores in float32."""
        least = thresholds.astype("float32")
        rows = np.searchsorted(-self.threshold, -least.astype(float), side="right")  # (t,)
        hits, detections = (np.append(0, each)[rows] for each in (self.hits, self.detections))
        return Curve(thresholds, hits, detections, self.objects)

    @property
    def precision(self) -> np.ndarray:
        return self.hits / np.maximum(self.detections, 1)

    @property
    def recall(self) -> np.ndarray:
        return self.hits / max(self.objects, 1)

    @property
    def f1(self) -> np.ndarray:
        return 2 * self.hits / np.maximum(self.detections + self.objects, 1)


@dataclasses.dataclass(frozen=True)
class Operating:
    """The figures of one class, or of all, at a threshold.

    Attributes:
        threshold: None for all classes, each at its own.
        reached: False if no threshold satisfies the rule; the nearest one is taken instead.
    """

    name: str
    threshold: float | None
    hits: int
    detections: int
    objects: int
    reached: bool = True

    @property
    def precision(self) -> float | None:
        return self.hits / self.detections if self.detections else None

    @property
    def recall(self) -> float | None:
        return self.hits / self.objects if self.objects else None

    @property
    def f1(self) -> float | None:
        total = self.detections + self.objects
        return 2 * self.hits / total if total else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        figures = {name: getattr(self, name) for name in ("threshold", *RULES[1:], "f1", "objects")}
        return {**figures, "reached": self.reached}


def curve_of(matching: Matching, label: int | None = None) -> Curve:
    """Return the curve of one class, or of all classes together at one threshold."""
    found = matching.found
    mine = ~found.ignored & (label is None or found.label == label)
    order = np.argsort(-found.score[mine], kind="stable")
    score, right = found.score[mine][order], found.right[mine][order]
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])  # of equal scores
    counts = matching.counts()
    objects = counts.sum() if label is None else counts[label]
    return Curve(score[last], np.cumsum(right)[last], last + 1, int(objects))


def choose(curve: Curve, rule: Rule) -> tuple[float, bool]:
    """Return the threshold that a rule chooses among `GRID`, and if the rule is satisfied.

    Of several thresholds with the highest F1 it is the middle one. A rule that no threshold
    satisfies takes the highest precision or recall. A curve without objects or detections leaves no
    choice but `USUAL`.
    """
    if not len(curve.threshold) or not curve.objects:
        return USUAL, True
    grid = curve.at(GRID[curve.threshold[-1] - GRID[0] < GRID])  # not far below the lowest score
    values = getattr(grid, rule.name)  # (g,), from the lowest threshold to the highest
    best = values.max()
    good = np.flatnonzero(values >= (best if rule.name == "f1" else min(rule.least, best)))
    index = good[{"f1": len(good) // 2, "precision": 0, "recall": -1}[rule.name]]
    return float(grid.threshold[index]), bool(best >= rule.least)


def choose_thresholds(matching: Matching, rule: Rule) -> list[Operating]:
    """Return each class at its best threshold, in label order.

    A class without objects or detections has the threshold `USUAL`.
    """
    chosen = []
    for label, name in enumerate(matching.class_names):
        curve = curve_of(matching, label)
        threshold, reached = choose(curve, rule)
        chosen.append(dataclasses.replace(at_threshold(curve, name, threshold), reached=reached))
    return chosen


def at_threshold(curve: Curve, name: str, threshold: float) -> Operating:
    """Return the figures of the detections that score a threshold or more."""
    at = curve.at(np.array([threshold]))
    return Operating(name, threshold, int(at.hits[0]), int(at.detections[0]), curve.objects)


def together(chosen: Sequence[Operating]) -> Operating:
    """Return the figures of all classes, each at its threshold."""
    sums = [
        sum(getattr(each, name) for each in chosen) for name in ("hits", "detections", "objects")
    ]
    return Operating("all", None, *sums)


def threshold_table(chosen: Sequence[Operating]) -> str:
    """Return a table of the classes at their thresholds, and of all together."""
    rows = [["class", "threshold", "precision", "recall", "F1", "objects"]]
    for each in [*chosen, together(chosen)]:
        shares = [
            "-" if value is None else f"{value:.3f}"
            for value in (each.precision, each.recall, each.f1)
        ]
        threshold = "" if each.threshold is None else f"{each.threshold:g}"
        rows.append([one_line(each.name, 40), threshold, *shares, str(each.objects)])
    return "\n".join(aligned(rows))
