"""A COCO "instances" dict and the rows of a result file as a data set with detections."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..detections import Detections
from ..preprocessing.dataset import Dataset, make_record


def dataset_of(truth: dict[str, Any], folder: str | os.PathLike = "") -> Dataset:
    """Return an "instances" dict as a data set; nothing is read.

    Args:
        truth: of `result_file.read_instances`.
        folder: of the images.
    """
    categories = sorted(truth["categories"], key=lambda category: category["id"])
    label_of = {category["id"]: label for label, category in enumerate(categories)}
    annotations = _by_image(truth["annotations"])
    records = []
    for image in truth["images"]:
        mine = annotations[image["id"]]
        size = image.get("width"), image.get("height")
        records.append(
            make_record(
                os.path.join(folder, str(image.get("file_name", image["id"]))),
                image["id"],
                _corners(mine),
                [label_of[each["category_id"]] for each in mine],
                [bool(each.get("iscrowd")) for each in mine],
                [each["area"] for each in mine],
                size=size if all(isinstance(side, int) for side in size) else None,
            )
        )
    names = [category["name"] for category in categories]
    return Dataset(records, names, [category["id"] for category in categories])


def detections_of(dataset: Dataset, rows: Sequence[dict]) -> list[Detections]:
    """Return the detections of a result file in each image of a data set, best first."""
    label_of = {category_id: label for label, category_id in enumerate(dataset.category_ids)}
    found = _by_image(rows)
    detections = []
    for index, record in enumerate(dataset.records):
        mine = sorted(found[record.image_id], key=lambda row: -row["score"])
        detections.append(
            Detections(
                _corners(mine),
                np.array([row["score"] for row in mine], float),
                np.array([label_of[row["category_id"]] for row in mine], int),
                dataset.class_names,
                path=record.path,
                index=index,
            )
        )
    return detections


def _by_image(rows: Sequence[dict]) -> dict[Any, list[dict]]:
    """Return the rows of each image id."""
    found: dict[Any, list[dict]] = defaultdict(list)
    for row in rows:
        found[row["image_id"]].append(row)
    return found


def _corners(rows: Sequence[dict]) -> np.ndarray:
    """Return the boxes of rows as corners, (n, 4) float32 px."""
    boxes = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes.astype("float32")
