"""Which detection finds which object: COCO's greedy matching of a whole data set, as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.detections import Detections
from keras_retinanet.preprocessing.dataset import Dataset, Record

NOTHING = -1  # a detection that finds no object, or an object that is not found
TOUCHING = 0.1  # the least IoU of a pair that is kept


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """All D detections of a data set, image by image, best first.

    Attributes:
        image: (D,) index of the image.
        label: (D,) int.
        score: (D,) float64.
        box: (D, 4) xyxy px.
        object: (D,) the object that the detection finds, or `NOTHING`.
        iou: (D,) with that object, 0 without one.
        ignored: (D,) bool, at an ignored box: neither right nor wrong.
    """

    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    box: np.ndarray
    object: np.ndarray
    iou: np.ndarray
    ignored: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """True for the detections that find an object, (D,)."""
        return self.object != NOTHING

    @property
    def wrong(self) -> np.ndarray:
        """True for the detections that find nothing and are not ignored, (D,)."""
        return (self.object == NOTHING) & ~self.ignored


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """All M objects of a data set, image by image.

    Attributes:
        image: (M,) index of the image.
        row: (M,) index of the object in the image's record.
        label: (M,) int.
        box: (M, 4) xyxy px.
        area: (M,) px².
        ignored: (M,) bool, neither object nor background.
        found_by: (M,) the detection that finds the object, or `NOTHING`.
    """

    image: np.ndarray
    row: np.ndarray
    label: np.ndarray
    box: np.ndarray
    area: np.ndarray
    ignored: np.ndarray
    found_by: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """The P pairs of a detection and an object, of any class, that overlap by `TOUCHING` or more.

    Attributes:
        detection, object: (P,) indices.
        iou: (P,); for an ignored object the share of the detection's area.
    """

    detection: np.ndarray
    object: np.ndarray
    iou: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Matching:
    """The detections and the objects of a data set, matched at one IoU threshold."""

    found: Found
    objects: Objects
    pairs: Pairs
    class_names: list[str]
    num_images: int
    iou_threshold: float

    def counts(self) -> np.ndarray:
        """Return the number of objects of each class that are to be found, (K,)."""
        labels = self.objects.label[~self.objects.ignored]
        return np.bincount(labels, minlength=len(self.class_names))

    def found_at(self, least: np.ndarray) -> np.ndarray:
        """Return True for the objects that a detection of a sufficient score finds, (M,).

        Args:
            least: (K,) the least score of each label.
        """
        by = self.objects.found_by
        if not len(self.found.score):
            return np.zeros(len(by), bool)
        return (by != NOTHING) & (self.found.score[by] >= least[self.objects.label])


def match(
    dataset: Dataset, detections: Sequence[Detections], iou_threshold: float = 0.5
) -> Matching:
    """Match the detections of each image with its objects of the same class, as COCO does.

    From the highest score to the lowest, a detection takes the object that it overlaps most of
    those not yet taken. So the detections above any score threshold are matched as if the others
    were not there.

    Args:
        detections: the `Detections` of each record, in the same order.
        iou_threshold: the least IoU of a detection and the object it finds. The overlap with an
            ignored box is a share of the detection's area.
    """
    found = _found(detections)
    objects = _objects(dataset.records)
    pairs = _pairs(dataset.records, detections)
    least = min(iou_threshold, 1 - 1e-10)  # COCO's, for a threshold of 1
    close = pairs.iou >= least
    close &= found.label[pairs.detection] == objects.label[pairs.object]
    crowd = objects.ignored[pairs.object]
    taken = _greedy(found, pairs, close & ~crowd)  # rows of `pairs`
    found.object[pairs.detection[taken]] = pairs.object[taken]
    found.iou[pairs.detection[taken]] = pairs.iou[taken]
    objects.found_by[pairs.object[taken]] = pairs.detection[taken]
    found.ignored[pairs.detection[close & crowd]] = True
    found.ignored[found.right] = False
    names = list(dataset.class_names)
    return Matching(found, objects, pairs, names, len(dataset.records), iou_threshold)


def _greedy(found: Found, pairs: Pairs, allowed: np.ndarray) -> list[int]:
    """Return the rows of `pairs` that the greedy matching takes among the allowed ones, (P,) bool.

    Of equal overlaps, the later object is taken.
    """
    rows = np.flatnonzero(allowed)
    rank = np.empty(len(found.score), int)
    rank[np.argsort(-found.score, kind="stable")] = np.arange(len(rank))
    keys = -pairs.object[rows], -pairs.iou[rows], rank[pairs.detection[rows]]
    rows = rows[np.lexsort(keys)]  # by detection, the best first, then by overlap
    used_detections, used_objects, taken = set(), set(), []
    columns = rows.tolist(), pairs.detection[rows].tolist(), pairs.object[rows].tolist()
    for row, detection, target in zip(*columns, strict=True):
        if detection not in used_detections and target not in used_objects:
            used_detections.add(detection)
            used_objects.add(target)
            taken.append(row)
    return taken


def _found(detections: Sequence[Detections]) -> Found:
    """Return the columns of all detections, nothing found yet."""
    counts = [len(each) for each in detections]
    total = sum(counts)
    return Found(
        np.repeat(np.arange(len(counts)), counts),
        _joined([each.labels for each in detections], int),
        _joined([each.scores for each in detections], float),
        _joined([each.boxes for each in detections], "float32", (0, 4)),
        np.full(total, NOTHING),
        np.zeros(total),
        np.zeros(total, bool),
    )


def _objects(records: Sequence[Record]) -> Objects:
    """Return the columns of all objects, none found yet."""
    counts = [len(record.boxes) for record in records]
    return Objects(
        np.repeat(np.arange(len(counts)), counts),
        _joined([np.arange(count) for count in counts], int),
        _joined([record.labels for record in records], int),
        _joined([record.boxes for record in records], "float32", (0, 4)),
        _joined([record.area for record in records], float),
        _joined([record.ignore for record in records], bool),
        np.full(sum(counts), NOTHING),
    )


def _pairs(records: Sequence[Record], detections: Sequence[Detections]) -> Pairs:
    """Return the pairs of all images whose boxes overlap."""
    columns: list[tuple[np.ndarray, ...]] = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    first = np.zeros(2, int)  # detection and object of the image
    for record, each in zip(records, detections, strict=True):
        if len(each) and len(record.boxes):
            overlaps = _overlaps(each.boxes, record.boxes, record.ignore)  # (n, m)
            rows, others = np.nonzero(overlaps >= TOUCHING)
            columns.append((rows + first[0], others + first[1], overlaps[rows, others]))
        first += len(each), len(record.boxes)
    return Pairs(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _overlaps(boxes: np.ndarray, objects: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Return the IoU of boxes (n, 4) with objects (m, 4), with ignored ones the share of the box,
    in float64: (n, m).
    """
    boxes, objects = boxes[:, None].astype(float), objects[None].astype(float)
    shared = box_math.intersection(boxes, objects)
    area = box_math.area(boxes)
    whole = np.where(ignored, area, area + box_math.area(objects) - shared)
    return shared / np.maximum(whole, box_math.EPSILON)


def _joined(columns: list[np.ndarray], dtype: type | str, empty: tuple = (0,)) -> np.ndarray:
    return np.concatenate([np.zeros(empty), *columns]).astype(dtype)
