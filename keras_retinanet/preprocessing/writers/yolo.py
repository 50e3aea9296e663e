"""YOLO: data.yaml, the images in images/SPLIT, and a text file for each in labels/SPLIT."""

import os
from collections.abc import Iterator, Sequence

import yaml

from ...errors import InputError
from ...utils.text import listed, read_text
from ..dataset import Dataset, Record
from . import content
from .files import OTHER_CLASSES, Output

SPLITS = ("train", "val", "test")


def write_yolo(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write rows `label x y width height`: the box's centre and sides as shares of the image.

    Ignored boxes are left out, with a warning. data.yaml knows the splits train, val and test; a
    name that begins with one of them, such as train2017, counts as it.

    Arguments: see `writers`.
    """
    output = Output(dataset, folder, split, image_files, "images/{}", "labels/{}")
    texts = output.label_files(".txt", ("".join(_rows(record)) for record in dataset.records))
    path = output.path("data.yaml")
    texts[path] = _data_yaml(path, dataset.class_names, split)
    output.store(texts, replaced=[path])
    content.warn_left_out(dataset, ignored="ignored boxes")


def _rows(record: Record) -> Iterator[str]:
    width, height = record.size
    for (x1, y1, x2, y2), label, _ in content.rows_of(record, with_ignored=False):
        sides = (x1 + x2, 2 * width), (y1 + y2, 2 * height), (x2 - x1, width), (y2 - y1, height)
        yield f"{label} {' '.join(content.share(*pair) for pair in sides)}\n"


def _data_yaml(path: str, names: Sequence[str], split: str) -> str:
    """Return the text of data.yaml, with the lines of other splits that are there."""
    key = next((known for known in SPLITS if split.startswith(known)), None)
    if key is None:
        raise InputError(f"YOLO knows no split {split!r}; known: {listed(SPLITS)}.")
    head = _yaml({"nc": len(names), "names": dict(enumerate(names))})
    text = read_text(path) if os.path.lexists(path) else head
    if not text.startswith(head):
        raise InputError(f"{path} {OTHER_CLASSES}")
    if key in yaml.safe_load(text):
        raise InputError(f"{path} names a split {key} already; choose another folder.")
    return text + _yaml({key: f"images/{split}"})


def _yaml(mapping: dict) -> str:
    return yaml.safe_dump(mapping, allow_unicode=True, sort_keys=False, width=10_000)
