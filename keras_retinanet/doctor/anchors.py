"""The objects that the anchors reach, and anchors that would reach more."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..preprocessing.best_recall import SIZES, Objects
from ..utils.anchor_fit import fit_anchors
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from .findings import Finding, box_place, found
from .splits import Split

TOLERABLE = 0.05  # share of a class's objects that may be missed
SPOILING = 0.5  # share of missed objects above which training is spoiled
MANY = 20  # objects that a meaningful share needs
GAIN = 0.005  # minimum gain of recall for suggesting fitted anchors
ADVICE = (
    "Fit the anchors to the data (--write-config, or retinanet-train --fit-anchors), or train with "
    "larger images."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """The objects of a split that anchors reach, for the best possible recall.

    `counts` and `reached` are (K + 1, 4): a row for each class and one for all classes; columns for
    small, medium, large and all objects.
    """

    class_names: list[str]  # K
    counts: np.ndarray  # (K + 1, 4) int, objects
    reached: np.ndarray  # (K + 1, 4) int
    missed: np.ndarray  # (N,) bool: boxes of the split that no anchor reaches
    params: AnchorParameters


def coverage(
    split: Split,
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
) -> Coverage:
    """Return the `Coverage` of a split's objects, at the size that the model sees."""
    params = anchor_params or AnchorParameters.default
    levels = list(PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels)
    objects = _objects(split)
    hit = objects.reached(params, levels)
    missed = np.zeros(len(split.boxes), bool)
    missed[split.placed] = ~hit
    names, sizes = split.dataset.class_names, objects.size_classes
    counts = _table(objects.labels, sizes, len(names))
    reached = _table(objects.labels[hit], sizes[hit], len(names))
    return Coverage(names, counts, reached, missed, params)


def _objects(split: Split) -> Objects:
    """Return the objects of a split whose boxes are in px of their image."""
    known = split.placed
    sizes = split.seen_sizes[split.image[known]]
    return Objects(split.seen[known].astype("float32"), split.labels[known], sizes)


def _table(labels: np.ndarray, columns: np.ndarray, kinds: int) -> np.ndarray:
    """Count the objects of each class and size, with a row and a column of sums: (K + 1, 4)."""
    table = np.zeros((kinds + 1, len(SIZES) + 1), int)
    np.add.at(table, (labels, columns), 1)
    table[-1] = table.sum(axis=0)
    table[:, -1] = table.sum(axis=1)
    return table


def unreached(split: Split, seen: Coverage) -> list[Finding]:
    """Return the finding of objects that no anchor reaches, [] if they are few."""
    counts, missed = seen.counts[:, -1], seen.counts[:, -1] - seen.reached[:, -1]
    share = missed / np.maximum(counts, 1)
    bad = np.flatnonzero((share[:-1] > TOLERABLE) & (counts[:-1] >= MANY))
    spoilt = share[-1] > SPOILING and counts[-1] >= MANY
    if not (spoilt or len(bad)):
        return []
    worst = sorted(bad, key=lambda label: -share[label])[:3]
    named = ", ".join(f"{seen.class_names[label]} {share[label]:.0%}" for label in worst)
    return found(
        "objects that no anchor reaches",
        "error" if spoilt else "warning",
        [(split, index) for index in np.flatnonzero(seen.missed)],
        int(counts[-1]),
        "objects",
        (f"Most missed: {named}. " if named else "") + ADVICE,
        box_place,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Suggestion:
    """Anchors fitted to a split, and the best possible recall before and after."""

    params: AnchorParameters
    levels: list[int]
    before: float
    after: float

    @property
    def is_better(self) -> bool:
        return self.after > self.before + GAIN


def suggest(split: Split, seen: Coverage) -> Suggestion:
    """Fit anchors to the objects of a split, as many per location as the model has."""
    objects = _objects(split)
    total = max(len(objects.boxes), 1)
    params, levels = fit_anchors(
        objects.boxes,
        objects.image_sizes,
        objects.labels,
        num_ratios=len(seen.params.ratios),
        num_scales=len(seen.params.scales),
    )
    before, after = (c.reached[-1, -1] / total for c in (seen, coverage(split, params, levels)))
    return Suggestion(params, levels, float(before), float(after))
