"""COCO result files of any detector, checked against a COCO "instances" file."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..errors import InputError
from ..preprocessing.readers.parsing import read_json
from ..utils.text import counted, printable

INSTANCES = ("images", "annotations", "categories")
MANY = 0.5  # the share of boxes that leave their image, from which on xyxy is suspected
TOLERANCE = 1.0  # px by which a box may leave its image


def read_results(
    path: str | os.PathLike, truth: dict[str, Any], lenient: bool = False
) -> tuple[list[dict], list[str]]:
    """Return the rows of a result file that can be scored, and the faults of the others.

    Args:
        path: a list of {"image_id", "category_id", "bbox" [x, y, width, height] px, "score"}.
        truth: of `read_instances`.
        lenient: leave out the rows with a fault instead of raising an InputError.

    Raises:
        InputError: names the file and the row, counted from 1.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of detections.")
    faults = dict(faults_of(rows, truth))
    if faults and not lenient:
        number, fault = next(iter(faults.items()))
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InputError(f"{path}: detection {number}: {fault}{more}")
    kept = [row for number, row in enumerate(rows, start=1) if number not in faults]
    check_boxes_are_xywh(kept, truth, path)
    return kept, [f"detection {number}: {fault}" for number, fault in faults.items()]


def read_instances(path: str | os.PathLike) -> dict[str, Any]:
    """Return the content of a COCO "instances" file, with what its figures need in each entry.

    Raises:
        InputError: names the file and the entry.
    """
    truth = read_json(path, list(INSTANCES))
    known: dict[str, set] = {}
    for name in ("images", "categories"):
        for number, entry in enumerate(truth[name], start=1):
            if not isinstance(entry, dict) or not is_whole(entry.get("id")):
                raise InputError(f"{path}: {name}, entry {number} has no whole number as id.")
        ids = [entry["id"] for entry in truth[name]]
        known[name] = set(ids)
        if len(known[name]) < len(ids):
            repeated = next(each for each in ids if ids.count(each) > 1)
            raise InputError(f"{path}: {name} repeat the id {repeated}.")
    annotations = []
    for number, entry in enumerate(truth["annotations"], start=1):
        if not isinstance(entry, dict) or (fault := fault_of_place(entry, known, 0)):
            raise InputError(f"{path}: annotation {number}: {fault or 'it is no object.'}")
        width, height = entry["bbox"][2:]
        area = entry.get("area")
        area = area if is_finite(area) else width * height
        annotations.append({**entry, "id": number, "area": area})
    names = Counter(category.get("name") for category in truth["categories"])
    for category in truth["categories"]:
        name = category.get("name")
        if not isinstance(name, str) or names[name] > 1:
            category["name"] = f"{name or 'category'} ({category['id']})"
    return {**truth, "annotations": annotations}


def faults_of(rows: list, truth: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the number of each row that cannot be scored, from 1, and what is wrong with it."""
    known = {name: {entry["id"] for entry in truth[name]} for name in ("images", "categories")}
    seen: dict[tuple, int] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            yield number, "it is no object with image_id, category_id, bbox and score."
            continue
        fault = fault_of_place(row, known, 1e-9) or fault_of_score(row.get("score"))
        if fault:
            yield number, fault
            continue
        key = (row["image_id"], row["category_id"], *row["bbox"], row["score"])
        first = seen.setdefault(key, number)
        if first != number:
            yield number, f"it repeats detection {first}."


def fault_of_place(row: dict, known: dict[str, set], least: float) -> str | None:
    """Return what is wrong with the image, the category or the box of a row.

    Args:
        least: px that a side of the box must have.
    """
    for key, name in (("image_id", "images"), ("category_id", "categories")):
        value = row.get(key)
        if not is_whole(value) or value not in known[name]:
            return f"unknown {key} {printable(value)}."
    box = row.get("bbox")
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_finite, box))):
        return f"bbox must be 4 finite numbers, got {printable(box)}."
    if min(box[2:]) < least:
        return f"the bbox {printable(box)} has no area."
    return None


def fault_of_score(score: Any) -> str | None:
    return None if is_finite(score) else f"score must be a finite number, got {printable(score)}."


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_boxes_are_xywh(rows: list[dict], truth: dict[str, Any], path: str | os.PathLike) -> None:
    """Raise an InputError if most boxes fit their image as [x1, y1, x2, y2] alone."""
    sizes = {
        image["id"]: (image["width"], image["height"])
        for image in truth["images"]
        if is_finite(image.get("width")) and is_finite(image.get("height"))
    }
    sized = [row for row in rows if row["image_id"] in sizes]
    suspect = sum(is_xyxy_alone(row["bbox"], sizes[row["image_id"]]) for row in sized)
    if suspect > MANY * len(sized):
        raise InputError(
            f"{path}: {counted(suspect, 'box')} of {len(sized)} leave their image as [x, y, width, "
            "height] and fit as [x1, y1, x2, y2]; write width and height."
        )


def is_xyxy_alone(box: list[float], size: tuple[float, float]) -> bool:
    """Return True if a box fits an image (width, height) as corners but not as corner and sides."""
    x, y, third, fourth = box
    width, height = size[0] + TOLERANCE, size[1] + TOLERANCE
    as_sides = x + third <= width and y + fourth <= height
    as_corners = x < third <= width and y < fourth <= height
    return as_corners and not as_sides
