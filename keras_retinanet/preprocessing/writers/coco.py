"""COCO: annotations/instances_SPLIT.json, and the images in images/SPLIT."""

import json
import os
from collections.abc import Sequence
from decimal import Decimal

from ..dataset import Dataset, Record
from . import content
from .files import Output


def write_coco(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write an "instances" file in which ignored boxes are crowds, without segments.

    Category ids are kept, and image ids if all of them are different integers; else images count
    from 1. Arguments: see `writers`.
    """
    modes = ("copy", "link", "none")
    images = "images/{}"
    output = Output(dataset, folder, split, image_files, images, modes=modes, any_suffix=True)
    names = output.names
    if image_files == "none":
        names = [os.path.abspath(record.path) for record in dataset.records]
    path = output.path(f"annotations/instances_{split}.json")
    output.store({path: json.dumps(_content(dataset, names))})


def _content(dataset: Dataset, names: Sequence[str]) -> dict:
    images, ids = [], _image_ids(dataset.records)
    annotations: list[dict] = []
    for image_id, name, record in zip(ids, names, dataset.records, strict=True):
        width, height = record.size
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        areas = content.decimals(record.area[:, None])
        for (box, label, ignored), (area,) in zip(content.rows_of(record), areas, strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "category_id": dataset.category_ids[label],
                    "bbox": [_number(value) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": _number(area),
                    "iscrowd": int(ignored),
                    "image_id": image_id,
                }
            )
    classes = zip(dataset.category_ids, dataset.class_names, strict=True)
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": category_id, "name": name} for category_id, name in classes],
    }


def _number(value: Decimal) -> int | float:
    """Return a decimal number as JSON knows it: an int if it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def _image_ids(records: Sequence[Record]) -> list[int]:
    """Return the records' ids if they are different integers, else 1 to n."""
    ids: list = [record.image_id for record in records]
    if all(type(image_id) is int for image_id in ids) and len(set(ids)) == len(ids):
        return ids
    return list(range(1, len(ids) + 1))
