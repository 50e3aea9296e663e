"""Pascal VOC's average precision. Everingham et al. 2010, doi:10.1007/s11263-009-0275-4."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_retinanet.boxes import iou
from keras_retinanet.detections import Detections
from keras_retinanet.preprocessing.dataset import Dataset, Record

VocFigures = dict[int, tuple[float, int]]  # {label: (average precision, number of boxes)}

HIT, MISS, IGNORED = 1, 0, -1


def evaluate_voc(
    dataset: Dataset,
    detections: Sequence[Detections],
    iou_threshold: float = 0.5,
    eleven_point: bool = False,
) -> VocFigures:
    """Return the average precision of each class.

    Args:
        dataset: its ignored (difficult) boxes are neither rewarded nor punished.
        detections: the `Detections` of each record, in the same order.
        iou_threshold: the least IoU of a detection and the box it finds.
        eleven_point: VOC 2007's mean over eleven recalls instead of the area under the curve.

    Returns:
        {label: (average precision in 0..1, number of boxes that count)}; a class without boxes has
        (0.0, 0).
    """
    none = np.zeros(0, np.int64)  # lets a data set without images pass
    truth = [none] + [record.labels[~record.ignore] for record in dataset.records]
    counts = np.bincount(np.concatenate(truth), minlength=len(dataset.class_names)).tolist()

    found = [(none, none, none)]
    for record, detection in zip(dataset.records, detections, strict=True):
        states = match(detection, record, iou_threshold)
        found.append((detection.scores, detection.labels, states))
    scores, labels, states = (np.concatenate(column) for column in zip(*found, strict=True))

    average_precisions: VocFigures = {}
    for label, count in enumerate(counts):
        mine = labels == label
        curve = precision_recall(scores[mine], states[mine], count)
        average_precisions[label] = (average_precision(*curve, eleven_point), count)
    return average_precisions


def match(detection: Detections, record: Record, iou_threshold: float = 0.5) -> np.ndarray:
    """Return the state of each detection of an image: HIT, MISS or IGNORED, (n,) int8.

    A detection is judged by the box of its class that it overlaps most. The best score at
    a box is the hit and the others there are misses; at an ignored box nothing counts.
    """
    states = np.full(len(detection.scores), MISS, np.int8)  # (n,)
    if not len(record.boxes):
        return states
    overlaps = iou(detection.boxes[:, None], record.boxes[None])  # (n, m)
    same = detection.labels[:, None] == record.labels[None]  # (n, m)
    overlaps = np.where(same, overlaps, -1)
    best = overlaps.argmax(axis=1)  # (n,)
    close = overlaps.max(axis=1) >= iou_threshold  # (n,)

    states[close & record.ignore[best]] = IGNORED
    rows = np.flatnonzero(close & ~record.ignore[best])
    rows = rows[np.argsort(-detection.scores[rows], kind="stable")]
    _, first = np.unique(best[rows], return_index=True)
    states[rows[first]] = HIT
    return states


def precision_recall(
    scores: np.ndarray, states: np.ndarray, num_annotations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and recall, each (m,), after each detection that counts, best score first.

    Args:
        scores: (n,) of one class, over all images.
        states: (n,) of `match`; m of them are not ignored.
        num_annotations: number of boxes to find.
    """
    states = states[np.argsort(-scores, kind="stable")]
    states = states[states != IGNORED]
    hits = np.cumsum(states == HIT)
    return hits / np.arange(1, len(hits) + 1), hits / max(num_annotations, 1)


def average_precision(
    precision: np.ndarray, recall: np.ndarray, eleven_point: bool = False
) -> float:
    """Return the area under the curve of precision (m,) over recall (m,), in 0..1.

    Precision at a recall is the best one reached there or at any higher recall. The area is exact
    (VOC 2010 and later), or the mean over the recalls 0, 0.1, ... 1 (VOC 2007).
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # (m,)
    if eleven_point:
        reached = np.searchsorted(recall, np.arange(11) / 10)  # m if a recall is never reached
        return float(np.append(envelope, 0)[reached].mean())
    return float(np.sum(np.diff(recall, prepend=0) * envelope))


def voc_metric(figures: VocFigures) -> float | None:
    """Return the `mean_average_precision`; None, as for COCO's metrics, if no class has boxes."""
    has_boxes = any(count for _, count in figures.values())
    return mean_average_precision(figures) if has_boxes else None


def mean_average_precision(average_precisions: VocFigures, weighted: bool = False) -> float:
    """Return the mean over the classes that have boxes, 0.0 if none has.

    Args:
        weighted: weigh each class by its number of boxes.
    """
    counted = [(ap, count if weighted else 1) for ap, count in average_precisions.values() if count]
    return sum(ap * w for ap, w in counted) / max(sum(w for _, w in counted), 1)
