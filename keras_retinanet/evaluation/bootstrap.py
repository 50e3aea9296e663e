"""How sure a figure is: percentile intervals over resampled images (Efron 1979).

Detections are matched once. A resample only changes how often each image counts, so that its
figures follow from weighted precision-recall curves, as if the images had been copied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..utils.terminal import aligned, one_line
from .columns import Columns, Pairs, columns_of, overlapping

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's IoU thresholds
RECALLS = np.linspace(0, 1, 101)  # at which COCO reads precision
BUDGET = 2_000_000  # detections of all copies that are held at a time
COVERAGE = 95  # %


@dataclasses.dataclass(frozen=True, eq=False)
class Ranking:
    """The D detections of one class in all I images, best first, matched at each IoU threshold.

    Attributes:
        image: (D,) index of the image.
        hits: (10, D) bool, the detection finds an object.
        ignored: (10, D) bool, the detection does not count: it lies on a crowd, say.
        objects: (I,) number of objects to find in each image.
    """

    image: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray


def intervals(
    truth: dict[str, Any],
    rows: Sequence[dict],
    resamples: int = 1000,
    seed: int = 0,
    max_detections: int = 100,
) -> dict[str, Any]:
    """Return 95% intervals of AP and AP50 over images drawn with replacement, see `centred`.

    Args:
        truth: a COCO "instances" dict.
        rows: of a result file.
        max_detections: as for `evaluate_coco`.

    Returns:
        {"resamples", "AP": [low, high], "AP50": [low, high], "per_class": {class name: {"AP",
        "AP50"}}}. A figure or a class without ground truth is None. A resample without objects of
        a class leaves the class out, as COCO does.
    """
    columns = columns_of(truth, rows, max_detections)
    classes = rankings(columns)
    (drawn,) = resampled([classes], columns.num_images, resamples, seed)
    exact = figures(classes, np.ones((1, columns.num_images), np.int32))
    per_class = {
        name: None if np.isnan(exact[0, index, 0]) else _intervals(drawn[:, index], exact[0, index])
        for index, name in enumerate(columns.class_names)
    }
    of_all = _intervals(over_classes(drawn), over_classes(exact)[0])
    return {"resamples": resamples, **of_all, "per_class": per_class}


def _intervals(drawn: np.ndarray, exact: np.ndarray) -> dict[str, list[float] | None]:
    """Return the intervals of AP and AP50 from resampled (N, 2) and exact figures (2,)."""
    found: dict[str, list[float] | None] = {}
    for index, name in enumerate(("AP", "AP50")):
        limits = interval(centred(drawn[:, index], exact[index]))
        found[name] = limits and np.clip(limits, 0, 1).tolist()
    return found


def centred(values: np.ndarray, exact: float) -> np.ndarray:
    """Return resampled figures (N,) moved to a mean of `exact`, those that are NaN left out.

    A resample holds fewer distinct images, and a curve of fewer images lies a little higher, so
    that the resamples would place a mean over many classes outside of its own interval.
    """
    values = values[~np.isnan(values)]
    return values - values.mean() + exact if len(values) else values


def interval(values: np.ndarray) -> list[float] | None:
    """Return the 95% percentile interval [low, high] of values (N,), None of none."""
    tail = (100 - COVERAGE) / 2
    return np.percentile(values, [tail, 100 - tail]).tolist() if len(values) else None


def over_classes(figures: np.ndarray) -> np.ndarray:
    """Return the mean (N, 2) of figures (N, K, 2) over the classes that have objects, or NaN."""
    known = ~np.isnan(figures)
    count = known.sum(axis=1)
    total = np.where(known, figures, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def resampled(
    detectors: Sequence[list[Ranking]], num_images: int, resamples: int, seed: int
) -> list[np.ndarray]:
    """Return the AP and AP50 of each class in each resample, (N, K, 2) for each detector.

    All detectors see the same resamples.

    Args:
        detectors: the `rankings` of each detector.
    """
    most = max((len(each.image) for classes in detectors for each in classes), default=0)
    size = max(1, BUDGET // max(most, num_images, 1))
    rng = np.random.default_rng(seed)
    parts = [
        [figures(classes, weights) for classes in detectors]
        for weights in _weights(rng, num_images, resamples, size)
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _weights(
    rng: np.random.Generator, num_images: int, resamples: int, size: int
) -> Iterator[np.ndarray]:
    """Yield how often each resample holds each image, (up to `size`, I) int32 at a time."""
    for start in range(0, resamples, size):
        drawn = np.zeros((min(size, resamples - start), num_images), np.int32)
        for row in drawn if num_images else ():
            row += np.bincount(rng.integers(0, num_images, num_images), minlength=num_images)
        yield drawn


def figures(classes: Sequence[Ranking], weights: np.ndarray) -> np.ndarray:
    """Return AP and AP50 of each class, (N, K, 2), NaN without objects.

    Args:
        weights: (N, I) int32, how often each image counts. They give the figures of a data set with
            so many copies of each image, if no image has two detections of one class and score.
    """
    result = np.full((len(weights), len(classes), 2), np.nan)
    for index, ranking in enumerate(classes):
        objects = weights @ ranking.objects  # (N,)
        copies = weights[:, ranking.image]  # (N, D)
        places = np.cumsum(copies, axis=1, dtype=np.int32)
        precisions = [
            average_precision(copies, places, *states, objects)
            for states in zip(ranking.hits, ranking.ignored, strict=True)
        ]  # 10 of (N,)
        known = objects > 0
        result[known, index, 0] = np.mean(precisions, axis=0)[known]
        result[known, index, 1] = precisions[0][known]
    return result


def average_precision(
    copies: np.ndarray,
    places: np.ndarray,
    hits: np.ndarray,
    ignored: np.ndarray,
    objects: np.ndarray,
) -> np.ndarray:
    """Return COCO's average precision of a class in each resample, (N,).

    The curve is read at its hits: between them precision only falls.

    Args:
        copies: (N, D) int32, how often each detection counts, best first.
        places: (N, D), sum of the copies up to each detection.
        hits, ignored: (D,) bool.
        objects: (N,) number of objects to find.
    """
    at, left_out = np.flatnonzero(hits), np.flatnonzero(ignored)
    true = np.cumsum(copies[:, at], axis=1, dtype=np.int32)  # (N, H)
    seen = places[:, at]  # (N, H)
    if len(left_out):
        skipped = np.cumsum(copies[:, left_out], axis=1, dtype=np.int32)
        skipped = np.pad(skipped, ((0, 0), (1, 0)))
        seen = seen - skipped[:, np.searchsorted(left_out, at)]
    precision = true / np.maximum(seen, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]  # here or at a higher recall
    reached = _recalls_reached(true / np.maximum(objects, 1)[:, None])
    return (np.diff(reached, axis=1, prepend=0) * best).sum(axis=1) / len(RECALLS)


def _recalls_reached(recall: np.ndarray) -> np.ndarray:
    """Return how many of `RECALLS` are at most `recall`, of the same shape."""
    last = np.floor(recall * (len(RECALLS) - 1) + 1e-9).astype(np.int32)
    return last + (RECALLS[last] <= recall)  # the 1e-9 may be one too many


def rankings(columns: Columns) -> list[Ranking]:
    """Return the matched detections of each class."""
    hits, ignored = _match(columns, overlapping(columns, THRESHOLDS[0]))
    found, objects = columns.found, columns.objects
    result = []
    for category in range(len(columns.class_names)):
        mine = np.flatnonzero(found.category == category)
        mine = mine[np.argsort(-found.score[mine], kind="stable")]
        wanted = objects.image[(objects.category == category) & ~objects.crowd]
        counts = np.bincount(wanted, minlength=columns.num_images).astype(np.int32)
        result.append(Ranking(found.image[mine], hits[:, mine], ignored[:, mine], counts))
    return result


def _match(columns: Columns, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return which detections hit an object and which do not count, (10, D) bool each.

    At each threshold a detection, best first, takes the object of its class that it overlaps most
    of those not yet taken, of equals the later one. The thresholds are the bits of a number, so
    that one pass over the pairs serves all.
    """
    found, objects = columns.found, columns.objects
    same = found.category[pairs.detection] == objects.category[pairs.object]
    bits = 1 << np.arange(len(THRESHOLDS))
    close = (pairs.iou[:, None] >= np.minimum(THRESHOLDS, 1 - 1e-10)) @ bits  # (P,)
    crowd = objects.crowd[pairs.object]
    rows = np.flatnonzero(same & ~crowd)
    rows = rows[np.lexsort((-pairs.object[rows], -pairs.iou[rows], pairs.detection[rows]))]
    taken_by = [0] * len(found.image)
    taken_of = [0] * len(objects.image)
    of_pairs = pairs.detection[rows].tolist(), pairs.object[rows].tolist(), close[rows].tolist()
    for detection, target, thresholds in zip(*of_pairs, strict=True):
        new = thresholds & ~taken_by[detection] & ~taken_of[target]
        taken_by[detection] |= new
        taken_of[target] |= new
    hits = np.array(taken_by, int)
    inside_out = found.box[:, 2] * found.box[:, 3] < 0  # outside of COCO's area ranges
    on_crowd = np.where(inside_out, bits.sum(), 0)
    rows = np.flatnonzero(same & crowd)
    np.bitwise_or.at(on_crowd, pairs.detection[rows], close[rows])
    return _unpacked(hits, bits), _unpacked(on_crowd & ~hits, bits)


def _unpacked(numbers: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the bits (10,) of numbers (D,) as (10, D) bool."""
    return (numbers & bits[:, None]) != 0


def report_intervals(metrics: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a table of figures of `evaluate_coco` with their `intervals`."""
    rows = [["class", "AP", "from", "to", "AP50", "from", "to"]]
    for name in [*metrics["per_class"], None]:
        values = metrics if name is None else metrics["per_class"][name]
        ranges = found if name is None else found["per_class"][name]
        cells = []
        for figure in ("AP", "AP50"):
            known = values and values[figure] is not None
            numbers = [values[figure], *ranges[figure]] if known else []
            cells += [f"{number:.3f}" for number in numbers] or ["-"] * 3
        rows.append(["all" if name is None else one_line(name, 40), *cells])
    title = f"{COVERAGE}% intervals over {found['resamples']} resamples of the images"
    return "\n".join([title, *aligned(rows)])
