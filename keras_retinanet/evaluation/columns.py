"""A COCO "instances" dict and the rows of a result file as arrays, and the boxes that overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The D detections that count, image by image, class by class, best first.

    Attributes:
        image: (D,) index of the image.
        category: (D,) index of the category.
        score: (D,) float64.
        box: (D, 4) float64 [x, y, width, height] px.
    """

    image: np.ndarray
    category: np.ndarray
    score: np.ndarray
    box: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The M annotated objects, image by image: as `Found`, and which are ignored.

    Attributes:
        crowd: (M,) bool.
    """

    image: np.ndarray
    category: np.ndarray
    box: np.ndarray
    crowd: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """The P pairs of a detection and an object that overlap, whatever their categories.

    Attributes:
        detection, object: (P,) indices.
        iou: (P,); for a crowd the share of the detection's area.
    """

    detection: np.ndarray
    object: np.ndarray
    iou: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """Ground truth and detections of I images and K categories, both in the order of their ids."""

    found: Found
    objects: Objects
    num_images: int
    class_names: list[str]


def columns_of(truth: dict[str, Any], rows: Sequence[dict], max_detections: int = 100) -> Columns:
    """Return an "instances" dict and rows of a result file as arrays.

    Args:
        max_detections: the number of detections that count for each image and class, best first.
    """
    images = np.sort([image["id"] for image in truth["images"]])
    categories = sorted(truth["categories"], key=lambda category: category["id"])
    ids = np.array([category["id"] for category in categories], int)
    found = Found(
        *_places(rows, images, ids),
        np.array([row["score"] for row in rows], float),
        _boxes(rows),
    )
    order = np.lexsort((-found.score, found.category, found.image))
    found = _taken(found, order)
    found = _taken(found, _ranks(found) < max_detections)
    annotations = truth["annotations"]
    crowd = np.array([bool(each.get("iscrowd")) for each in annotations], bool)
    objects = Objects(*_places(annotations, images, ids), _boxes(annotations), crowd)
    objects = _taken(objects, np.argsort(objects.image, kind="stable"))
    names = [category["name"] for category in categories]
    return Columns(found, objects, len(images), names)


def overlapping(columns: Columns, least: float) -> Pairs:
    """Return the pairs whose overlap is at least `least`, calculated as pycocotools does."""
    found, objects = columns.found, columns.objects
    parts = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    for mine, others in _shared_images(columns):
        overlap = _overlap(found.box[mine], objects.box[others], objects.crowd[others])  # (n, m)
        rows, places = np.nonzero(overlap >= least)
        parts.append((rows + mine.start, places + others.start, overlap[rows, places]))
    return Pairs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _shared_images(columns: Columns) -> Iterator[tuple[slice, slice]]:
    """Yield the detections and the objects of each image that has both."""
    edges = np.arange(columns.num_images + 1)
    found = np.searchsorted(columns.found.image, edges).tolist()
    objects = np.searchsorted(columns.objects.image, edges).tolist()
    for index in range(columns.num_images):
        mine = slice(found[index], found[index + 1])
        others = slice(objects[index], objects[index + 1])
        if mine.start < mine.stop and others.start < others.stop:
            yield mine, others


def _overlap(boxes: np.ndarray, objects: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU (n, m) of boxes (n, 4) and objects (m, 4), all [x, y, width, height]."""
    boxes, objects = boxes[:, None], objects[None]
    ends = np.minimum(boxes[..., :2] + boxes[..., 2:], objects[..., :2] + objects[..., 2:])
    sides = np.maximum(ends - np.maximum(boxes[..., :2], objects[..., :2]), 0)  # (n, m, 2)
    shared = sides[..., 0] * sides[..., 1]
    area = boxes[..., 2] * boxes[..., 3]
    whole = np.where(crowd, area, area + objects[..., 2] * objects[..., 3] - shared)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _places(
    rows: Sequence[dict], images: np.ndarray, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the images and of the categories of rows, (n,) each."""
    of_images = np.array([row["image_id"] for row in rows], int)
    of_categories = np.array([row["category_id"] for row in rows], int)
    return np.searchsorted(images, of_images), np.searchsorted(ids, of_categories)


def _boxes(rows: Sequence[dict]) -> np.ndarray:
    return np.array([row["bbox"] for row in rows], float).reshape(-1, 4)


def _ranks(found: Found) -> np.ndarray:
    """Return the rank of each detection in its image and class, 0 for the best: (D,)."""
    places = np.arange(len(found.image))
    changed = (np.diff(found.image, prepend=-1) != 0) | (np.diff(found.category, prepend=-1) != 0)
    return places - np.maximum.accumulate(np.where(changed, places, 0))


def _taken(columns: Any, rows: np.ndarray) -> Any:
    """Return rows, indices or a mask, of `Found` or `Objects`."""
    return type(columns)(*(column[rows] for column in vars(columns).values()))
