"""COCO: annotations/instances_SET.json, and the pictures in images/SET."""

import json
import os

from keras_retinanet.preprocessing.writers import content, files


def write_coco(dataset, folder, set_name="train", pictures="copy"):
    """Writes an "instances" file, in which boxes to be ignored are crowds, without segments.

    Args:
        dataset: one that `checked` returned. Its category ids are kept, and its image ids where all
            of them are integers; else images count from 1.
        folder: may hold other sets.
        set_name: names the annotation file and the folder of pictures.
        pictures: "copy", "link", or "none": the file then names the pictures where they are.

    Raises:
        InputError: before anything is written, where a file is in the way.
    """
    content.check(dataset, set_name, pictures, ("copy", "link", "none"))
    names = files.picture_names(dataset.records)
    images = os.path.join(folder, "images", set_name)
    targets = [os.path.join(images, name) for name in names]
    if pictures == "none":
        names = [os.path.abspath(record.path) for record in dataset.records]
    path = os.path.join(folder, "annotations", f"instances_{set_name}.json")
    texts = {path: json.dumps(_content(dataset, names))}
    files.store(dataset.records, texts, targets, pictures, own=[images])


def _content(dataset, names):
    """The whole file as plain lists and dicts."""
    ids = _image_ids(dataset.records)
    images = [
        {"id": image_id, "file_name": name, "width": record.size[0], "height": record.size[1]}
        for image_id, name, record in zip(ids, names, dataset.records, strict=True)
    ]
    rows = [
        _annotation(dataset, record, i, box) | {"image_id": image_id}
        for image_id, record in zip(ids, dataset.records, strict=True)
        for i, box in enumerate(content.decimals(record.boxes))
    ]
    categories = [
        {"id": category_id, "name": name}
        for category_id, name in zip(dataset.category_ids, dataset.class_names, strict=True)
    ]
    annotations = [{"id": number, **row} for number, row in enumerate(rows, start=1)]
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _annotation(dataset, record, i, box):
    """What the file says of box i of a record."""
    x1, y1, x2, y2 = box
    return {
        "category_id": dataset.category_ids[record.labels[i]],
        "bbox": [_number(value) for value in (x1, y1, x2 - x1, y2 - y1)],
        "area": _number(content.decimals(record.area[None, i : i + 1])[0][0]),
        "iscrowd": int(record.ignore[i]),
    }


def _number(value):
    """A decimal number as JSON knows it: an int where it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def _image_ids(records):
    """The records' ids where they are integers and differ, else 1 to n."""
    ids = [record.image_id for record in records]
    if all(type(image_id) is int for image_id in ids) and len(set(ids)) == len(ids):
        return ids
    return list(range(1, len(ids) + 1))
