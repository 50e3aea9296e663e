"""Is one detector better than another? A paired bootstrap: both see the same resampled images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.terminal import aligned, one_line
from .bootstrap import figures, interval, over_classes, rankings, resampled
from .columns import Columns, columns_of

FIGURES = ("AP", "AP50")
FEWEST = 10  # images with objects, below which resamples say too little


@dataclasses.dataclass(frozen=True)
class Difference:
    """A figure of two detectors, A and B.

    Attributes:
        a, b: the figures.
        low, high: 95% interval of b - a.
        p_value: of the hypothesis that the difference is 0, two-sided.
        num_images: number of images with objects.
    """

    a: float
    b: float
    low: float
    high: float
    p_value: float
    num_images: int

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """Return what the interval says of B."""
        if self.num_images < FEWEST:
            return "too few images"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not distinguishable"

    def to_dict(self) -> dict[str, Any]:
        """Return all values for a JSON file."""
        more = {"difference": self.difference, "verdict": self.verdict}
        return {**dataclasses.asdict(self), **more}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The differences of two detectors, None where there are no objects.

    Attributes:
        of_all: {"AP", "AP50"} over all classes.
        per_class: {class name: {"AP", "AP50"}}.
    """

    of_all: dict[str, Difference | None]
    per_class: dict[str, dict[str, Difference | None]]
    resamples: int

    def to_dict(self) -> dict[str, Any]:
        """Return all values for a JSON file."""

        def plain(found: dict[str, Difference | None]) -> dict[str, Any]:
            return {name: each and each.to_dict() for name, each in found.items()}

        classes = {name: plain(found) for name, found in self.per_class.items()}
        return {"resamples": self.resamples, **plain(self.of_all), "per_class": classes}


def compare(
    truth: dict[str, Any],
    rows_a: Sequence[dict],
    rows_b: Sequence[dict],
    resamples: int = 1000,
    seed: int = 0,
    max_detections: int = 100,
) -> Comparison:
    """Return the differences of AP and AP50 of two result files.

    Args:
        truth: a COCO "instances" dict.
        rows_a, rows_b: rows of the result files of A and B.
        max_detections: as for `evaluate_coco`.
    """
    both = [columns_of(truth, rows, max_detections) for rows in (rows_a, rows_b)]
    detectors = [rankings(columns) for columns in both]
    num_images = both[0].num_images
    once = np.ones((1, num_images), np.int32)
    exact = np.stack([figures(classes, once)[0] for classes in detectors])  # (2, K, 2)
    drawn = np.stack(resampled(detectors, num_images, resamples, seed))  # (2, N, K, 2)
    means = np.stack([over_classes(each) for each in drawn])  # (2, N, 2)
    names, counts = both[0].class_names, _images_with_objects(both[0])
    return Comparison(
        _differences(means, over_classes(exact), counts[-1]),
        {
            name: _differences(drawn[:, :, index], exact[:, index], counts[index])
            for index, name in enumerate(names)
        },
        resamples,
    )


def _differences(
    drawn: np.ndarray, exact: np.ndarray, num_images: int
) -> dict[str, Difference | None]:
    """Return the difference of each figure. The surplus of resampled figures cancels out in it.

    Args:
        drawn: (2, N, 2), the resampled AP and AP50 of A and B.
        exact: (2, 2), the figures of the data set.
    """
    found: dict[str, Difference | None] = {}
    for index, name in enumerate(FIGURES):
        a, b = exact[:, index].tolist()
        values = drawn[1, :, index] - drawn[0, :, index]
        values = values[~np.isnan(values)]
        if np.isnan(a) or not len(values):
            found[name] = None
            continue
        low, high = interval(values)
        found[name] = Difference(a, b, low, high, _p_value(values), num_images)
    return found


def _p_value(values: np.ndarray) -> float:
    """Return twice the share of differences (N,) on the rarer side of 0, never 0 itself."""
    rarer = min((values <= 0).sum(), (values >= 0).sum())
    return min(1.0, 2 * float(rarer + 1) / (len(values) + 1))


def _images_with_objects(columns: Columns) -> list[int]:
    """Return the number of images with objects of each class, and of any class: K + 1 counts."""
    objects = columns.objects
    counts = [
        len(np.unique(objects.image[~objects.crowd & (objects.category == category)]))
        for category in range(len(columns.class_names))
    ]
    return [*counts, len(np.unique(objects.image[~objects.crowd]))]


def sentence(comparison: Comparison) -> str:
    """Return in words if B is better than A, by AP."""
    found = comparison.of_all["AP"]
    if found is None:
        return "The ground truth has no objects, so A and B cannot be compared."
    figure = (
        f"AP differs by {found.difference:+.3f} "
        f"(95% interval {found.low:+.3f} to {found.high:+.3f}, p = {found.p_value:.2g})"
    )
    words = {
        "better": "B is better than A",
        "worse": "B is worse than A",
        "not distinguishable": "B and A are not distinguishable on these images",
        "too few images": f"Objects in fewer than {FEWEST} images are too few to compare A and B",
    }
    return f"{words[found.verdict]}: {figure}."


def report_comparison(comparison: Comparison) -> str:
    """Return a table of the differences, the sentence, and what to make of the classes."""
    rows = [["class", "figure", "A", "B", "B - A", "from", "to", "p", "B is"]]
    for name, found in [*comparison.per_class.items(), ("all", comparison.of_all)]:
        for figure in FIGURES:
            rows.append([one_line(name, 40), figure, *_cells(found[figure])])
    lines = [*aligned(rows), "", sentence(comparison)]
    tested = sum(found["AP"] is not None for found in comparison.per_class.values())
    if tested > 1:
        lines.append(
            f"Each of the {tested} classes is tested alone: of 20 equal ones about one looks "
            "different by chance."
        )
    return "\n".join(lines)


def _cells(found: Difference | None) -> list[str]:
    """Return the cells of a row after its names."""
    if found is None:
        return ["-"] * 7
    signed = [f"{each:+.3f}" for each in (found.difference, found.low, found.high)]
    return [f"{found.a:.3f}", f"{found.b:.3f}", *signed, f"{found.p_value:.3f}", found.verdict]
