"""The objects that the anchors reach, and anchors that would reach more."""

import dataclasses

import numpy as np

from keras_retinanet.doctor.boxes import placed
from keras_retinanet.doctor.findings import box_place, found
from keras_retinanet.preprocessing.coverage import SIZES, Objects
from keras_retinanet.utils.anchor_fit import fit_anchors, reach
from keras_retinanet.utils.anchors import PYRAMID_LEVELS, AnchorParameters

OVERLAP = 0.5  # IoU at which training makes an anchor stand for an object
TOLERABLE = 0.05  # share of a class's objects that may be missed
SPOILING = 0.5  # share of all objects that, missed, leave nothing to learn
MANY = 20  # objects, from which on a share tells something
GAIN = 0.005  # of the share reached, for which fitted anchors are suggested
ADVICE = (
    "Fit the anchors to the data (--write-config, or retinanet-train --fit-anchors), or train with "
    "larger images."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """What the anchors reach of the objects of a set.

    `counts` and `reached` are of the K classes and all together, by small, medium, large and all.
    """

    class_names: list[str]  # K
    counts: np.ndarray  # (K + 1, 4) int, objects
    reached: np.ndarray  # (K + 1, 4) int
    missed: np.ndarray  # (N,) bool: which boxes of the split no anchor reaches
    params: AnchorParameters
    levels: list[int]


def coverage(split, anchor_params=None, pyramid_levels=None):
    """The `Coverage` of anchors for the objects of a split, at the size that the model sees."""
    params = anchor_params or AnchorParameters.default
    levels = list(PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels)
    known, objects = placed(split), _objects(split)
    hit = reach(objects.boxes, objects.image_sizes, params, levels) >= OVERLAP
    missed = np.zeros(len(known), bool)
    missed[known] = ~hit
    names, sizes = split.dataset.class_names, objects.size_classes
    return Coverage(
        names,
        _table(objects.labels, sizes, len(names)),
        _table(objects.labels[hit], sizes[hit], len(names)),
        missed,
        params,
        levels,
    )


def _objects(split):
    """The `Objects` of a split that are in px of their picture."""
    known = placed(split)
    return Objects(
        split.seen[known].astype("float32"),
        split.labels[known],
        split.seen_sizes[split.image[known]],
    )


def _table(labels, columns, kinds):
    """How many there are of each class and size, with sums: (K + 1, 4)."""
    table = np.zeros((kinds + 1, len(SIZES) + 1), int)
    np.add.at(table, (labels, columns), 1)
    table[-1] = table.sum(axis=0)
    table[:, -1] = table.sum(axis=1)
    return table


def unreached(split, seen):
    """The finding of objects that no anchor reaches, [] where they are few."""
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
        lambda case: box_place(*case),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Suggestion:
    """Anchors fitted to a set, and the share of its objects that anchors reach before and after."""

    params: AnchorParameters
    levels: list[int]
    before: float
    after: float

    @property
    def is_better(self):
        return self.after > self.before + GAIN


def suggest(split, seen):
    """The `Suggestion` for a split and its `Coverage`, of as many anchors at each place."""
    objects = _objects(split)
    total = max(len(objects.boxes), 1)
    params, levels = fit_anchors(
        objects.boxes,
        objects.image_sizes,
        objects.labels,
        num_ratios=len(seen.params.ratios),
        num_scales=len(seen.params.scales),
    )
    hit = reach(objects.boxes, objects.image_sizes, params, levels) >= OVERLAP
    return Suggestion(params, levels, float(seen.reached[-1, -1] / total), float(hit.sum() / total))
