"""COCO: one JSON file of images, annotations and categories."""

import json
import math
import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.utils.text import listed, read_text

KEYS = {  # what every entry must have
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}


def coco_paths(data_dir, set_name):
    """The annotation file and the image folder of a set in COCO's own layout."""
    annotations_json = os.path.join(data_dir, "annotations", f"instances_{set_name}.json")
    images_dir = os.path.join(data_dir, "images", set_name)
    if not os.path.isdir(images_dir):
        images_dir = os.path.join(data_dir, set_name)
    return annotations_json, images_dir


def read_coco(annotations_json, images_dir):
    """The data set of a COCO "instances" file.

    Classes are in the order of the category ids, which may have gaps; crowd boxes are ignored, and
    segments are not read.

    Args:
        annotations_json: the file.
        images_dir: folder that file names start from, unless they are absolute.

    Raises:
        InputError: names the file, and line and column or the entry.
    """
    content = _read_json(annotations_json)
    where = f"{annotations_json}: annotation"
    images = _by_id(content["images"], int | str, f"{annotations_json}: image")
    categories = _by_id(content["categories"], int, f"{annotations_json}: category")
    if not images:
        raise InputError(f"{annotations_json} holds no images")
    category_ids = sorted(categories)
    rows = _boxes(content["annotations"], images, category_ids, where)
    records = [
        make_record(
            os.path.join(images_dir, str(image["file_name"])),
            image_id,
            boxes=[box for box, *_ in rows[image_id]],
            labels=[label for _, label, *_ in rows[image_id]],
            ignore=[crowd for _, _, crowd, *_ in rows[image_id]],
            area=[area for *_, area, _ in rows[image_id]],
            origin=where,
            entries=[entry for *_, entry in rows[image_id]],
        )
        for image_id, image in images.items()
    ]
    return Dataset(records, [str(categories[i]["name"]) for i in category_ids], category_ids)


def _boxes(annotations, images, category_ids, where):
    """{image id: [(box, label, crowd, area, annotation id)]}"""
    labels = {category_id: label for label, category_id in enumerate(category_ids)}
    rows = {image_id: [] for image_id in images}
    for position, annotation in enumerate(annotations):
        entry = _name(annotation, position)
        image_rows = _look_up(rows, annotation, "image_id", f"{where} {entry}")
        label = _look_up(labels, annotation, "category_id", f"{where} {entry}")
        box, area = _box(annotation, f"{where} {entry}")
        image_rows.append((box, label, bool(annotation.get("iscrowd")), area, entry))
    return rows


def _read_json(path):
    """The file's content, with every list and every key of its entries present."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno}, column {error.colno}: malformed JSON: {error.msg}"
        ) from None
    for kind, keys in KEYS.items():
        entries = content.get(kind) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise InputError(f"{path}: expected an object with a list of {kind!r}")
        for position, entry in enumerate(entries):
            missing = [key for key in keys if not isinstance(entry, dict) or key not in entry]
            if missing:
                where = f"{path}: {kind}, entry {_name(entry, position)}"
                raise InputError(
                    f"{where}: expected the keys {listed(keys)}. Missing: {listed(missing)}"
                )
    return content


def _name(entry, position):
    """The id of an entry, else its position in the list: "#0" for the first."""
    has_id = isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
    return entry["id"] if has_id else f"#{position}"


def _by_id(entries, kind, where):
    """{id: entry}, in the file's order."""
    result = {}
    for entry in entries:
        if not isinstance(entry["id"], kind) or isinstance(entry["id"], bool):
            raise InputError(f"{where}: expected an integer as id. Received: {entry['id']!r}")
        if entry["id"] in result:
            raise InputError(f"{where} {entry['id']}: stands there twice")
        result[entry["id"]] = entry
    return result


def _look_up(known, annotation, key, where):
    try:
        return known[annotation[key]]
    except (KeyError, TypeError):  # TypeError: a list or an object where an id belongs
        raise InputError(
            f"{where}: unknown {key}: {annotation[key]!r} (known: {listed(known)})"
        ) from None


def _box(annotation, where):
    """The annotation's box (x1, y1, x2, y2) in px, and its area in px²."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        given = annotation.get("area")
        area = width * height if given is None else float(given)
    except (TypeError, ValueError):
        area = math.nan
    if not math.isfinite(area) or not math.isfinite(x + y + width + height):
        raise InputError(
            f"{where}: expected a bbox of 4 numbers x, y, width, height, and a number as area. "
            f"Received: bbox={annotation['bbox']}, area={annotation.get('area')}"
        )
    return (x, y, x + width, y + height), area
