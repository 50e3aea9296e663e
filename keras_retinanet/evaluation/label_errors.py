"""Labels that look wrong and objects that seem to have none, the most suspicious first."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import Any

import numpy as np

from keras_retinanet.detections import xywh
from keras_retinanet.evaluation.coco import ground_truth
from keras_retinanet.evaluation.matching import NOTHING, Matching
from keras_retinanet.preprocessing.dataset import Dataset, place_of

MISSING, CLASS, PLACE, UNSEEN = "missing label", "wrong class", "wrong place", "nothing found"
LOW, HIGH = 0.4, 0.8  # IoU of a detection at which its place contradicts and confirms a label
FREE = 0.5  # the largest IoU of a detection without a label with any label
COLUMNS = (
    "rank", "kind", "suspicion", "image", "place", "class", "x1", "y1", "x2", "y2",
    "detected class", "score", "detected x1", "detected y1", "detected x2", "detected y2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Suspects:
    """n labels or detections, the most suspicious first.

    Attributes:
        kind: (n,) `MISSING`, `CLASS`, `PLACE` or `UNSEEN`.
        suspicion: (n,) in 0..1.
        object: (n,) the label's index in `Objects`, `NOTHING` for a missing label.
        detection: (n,) the detection that contradicts the label, or has none; `NOTHING` without.
    """

    kind: np.ndarray
    suspicion: np.ndarray
    object: np.ndarray
    detection: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)

    def first(self, count: int) -> Suspects:
        """Return the first `count` rows."""
        return Suspects(*(getattr(self, each.name)[:count] for each in dataclasses.fields(self)))


def missing_labels(matching: Matching) -> Suspects:
    """Return the detections at which there is no label of any class, by their score.

    A detection that overlaps a label a little is less suspicious.
    """
    found, pairs = matching.found, matching.pairs
    overlap = np.zeros(len(found.score))  # (D,) the largest with any label
    np.maximum.at(overlap, pairs.detection, pairs.iou)
    rows = np.flatnonzero(found.wrong & (overlap <= FREE))
    suspicion = found.score[rows] * (1 - overlap[rows])
    order = np.argsort(-suspicion, kind="stable")
    rows, suspicion = rows[order], suspicion[order]
    kinds = np.full(len(rows), MISSING, object)
    return Suspects(kinds, suspicion, np.full(len(rows), NOTHING), rows)


def wrong_labels(matching: Matching) -> Suspects:
    """Return all labels that are not ignored, by how much the detections contradict them.

    A label is confirmed by the detection of its class at its place with the highest score. It is
    contradicted by one of another class at its place, and by one of its class at a slightly
    different place, unless these find another object. The suspicion is the mean of the lack of
    confirmation and the highest contradiction.
    """
    found, objects, pairs = matching.found, matching.objects, matching.pairs
    score, finds = found.score[pairs.detection], found.object[pairs.detection]
    same = found.label[pairs.detection] == objects.label[pairs.object]
    free = (finds == NOTHING) | (finds == pairs.object)
    agreement = np.clip((pairs.iou - LOW) / (HIGH - LOW), 0, 1)  # (P,) of the places
    confirmed, _ = _highest(matching, np.where(same, score * agreement, 0))
    swapped, by_class = _highest(matching, np.where(~same & free & (pairs.iou >= FREE), score, 0))
    moved, by_place = _highest(matching, np.where(same & free, score * (1 - agreement), 0))
    contradicted = np.maximum(swapped, moved)  # (M,)
    kinds = np.where(swapped >= moved, CLASS, PLACE).astype(object)
    kinds[contradicted == 0] = UNSEEN
    by = np.where(swapped >= moved, by_class, by_place)
    suspicion = (1 - confirmed + contradicted) / 2
    rows = np.flatnonzero(~objects.ignored)
    rows = rows[np.argsort(-suspicion[rows], kind="stable")]
    return Suspects(kinds[rows], suspicion[rows], rows, by[rows])


def _highest(matching: Matching, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest value of the pairs of each object and its detection, (M,) and (M,).

    An object without a value above 0 has 0 and `NOTHING`.

    Args:
        values: (P,) of the pairs, 0 or more.
    """
    count = len(matching.objects.label)
    highest, by = np.zeros(count), np.full(count, NOTHING)
    order = np.argsort(values, kind="stable")
    order = order[values[order] > 0]  # a later, higher one replaces an earlier one
    targets = matching.pairs.object[order]
    highest[targets] = values[order]
    by[targets] = matching.pairs.detection[order]
    return highest, by


def suspects_csv(dataset: Dataset, matching: Matching, suspects: Suspects) -> str:
    """Return suspects as CSV with the columns `COLUMNS`; boxes are px."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    found, objects = matching.found, matching.objects
    for rank, row in enumerate(_rows(suspects), start=1):
        kind, suspicion, target, by = row
        record = dataset.records[_image(matching, target, by)]
        label, place = [""] * 5, record.path
        if target != NOTHING:
            place = place_of(record, int(objects.row[target]))
            label = _named(matching, objects.label[target], objects.box[target])
        seen = [""] * 6
        if by != NOTHING:
            name, *box = _named(matching, found.label[by], found.box[by])
            seen = [name, f"{found.score[by]:.4f}", *box]
        writer.writerow([rank, kind, f"{suspicion:.4f}", record.path, place, *label, *seen])
    return text.getvalue()


def suspects_coco(dataset: Dataset, matching: Matching, suspects: Suspects) -> dict[str, Any]:
    """Return the images of suspects with all their labels as a COCO "instances" dict.

    A label that looks wrong has `attributes` with kind, suspicion and what was detected. A missing
    label is one more annotation with such attributes, at the detection.
    """
    truth = ground_truth(dataset)
    found, objects = matching.found, matching.objects
    images = set()
    annotations = {each["id"]: each for each in truth["annotations"]}
    for kind, suspicion, target, by in _rows(suspects):
        image = _image(matching, target, by)
        images.add(truth["images"][image]["id"])
        notes: dict[str, Any] = {"kind": kind, "suspicion": round(suspicion, 4)}
        if by != NOTHING:
            notes["detected"] = matching.class_names[found.label[by]]
            notes["score"] = round(float(found.score[by]), 4)
        if target != NOTHING:  # annotations are in the order of the objects
            annotations[target + 1]["attributes"] = notes
            continue
        annotation = {
            "id": len(objects.label) + len(annotations) + 1,
            "image_id": truth["images"][image]["id"],
            "category_id": int(dataset.category_ids[found.label[by]]),
            "bbox": xywh(found.box[by][None])[0],
            "iscrowd": 0,
            "attributes": notes,
        }
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
        annotations[annotation["id"]] = annotation
    return {
        "images": [each for each in truth["images"] if each["id"] in images],
        "annotations": [each for each in annotations.values() if each["image_id"] in images],
        "categories": truth["categories"],
    }


def _rows(suspects: Suspects) -> list[tuple[str, float, int, int]]:
    columns = (getattr(suspects, each.name).tolist() for each in dataclasses.fields(suspects))
    return list(zip(*columns, strict=True))


def _image(matching: Matching, target: int, by: int) -> int:
    """Return the image of a suspect."""
    where = matching.found.image[by] if target == NOTHING else matching.objects.image[target]
    return int(where)


def _named(matching: Matching, label: int, box: np.ndarray) -> list[str]:
    """Return a class name and the corners of a box as text."""
    return [matching.class_names[label], *(f"{value:.1f}" for value in box)]
