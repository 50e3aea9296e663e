"""YOLO: one text file per image, with a box in each row, as shares of the image."""

import dataclasses
import os
from collections.abc import Sequence

from ...errors import InputError
from ...utils.text import printable
from ..dataset import Dataset
from ..image_info import image_sizes
from .files import lies_in
from .gather import Faults, Found, Object, gather, in_px
from .parsing import box_around, choose_split, fields_of, number
from .yolo_files import SYNONYMS, Layout, find_layout, images_of, resolve

ROW_FORMAT = "'class x y width height', or 'class x1 y1 x2 y2 x3 y3 ...' around an object"
SLACK = 0.01  # tolerance for tools that write shares out of range; `checked` clips the box


def splits(path: str | os.PathLike) -> list[str]:
    """Return the splits whose images or list exist, in the order of data.yaml."""
    layout = find_layout(path)
    return [
        name
        for name, entries in layout.splits.items()
        if name and any(resolve(layout, name, entry) for entry in entries)
    ]


def read_yolo(
    path: str | os.PathLike,
    split: str | None = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read a data.yaml, Darknet's obj.data, or a folder with a list of names.

    An outline of three points or more becomes the box around it. An image whose label file is empty
    or missing has no objects.

    Args:
        path: the file, or its folder; or a folder with images, labels and classes.txt.
        split, images_dir, faults: see `readers`.
    """
    layout = find_layout(path)
    if split not in layout.splits and SYNONYMS.get(split) in layout.splits:
        split = SYNONYMS[split]
    split = choose_split(layout.splits, split, path)
    pairs = images_of(layout, split, images_dir)
    images, malformed = [], Faults(faults)
    sizes = image_sizes(image for image, _ in pairs)
    for ((image, name), label_file), size in zip(pairs.items(), sizes, strict=True):
        image_id = os.path.relpath(image, layout.roots[0])
        with malformed.collect(image_id):
            objects = _objects(label_file, layout, size, malformed) if label_file and size else []
            origin = f"{label_file or layout.source}: line"
            images.append(Found(image, image_id, origin, objects, size=size, name=name))
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    data = gather(images, layout.names, malformed, [folder, images_dir])
    named = [] if lies_in(layout.names_file, [folder]) else [layout.names_file]
    return dataclasses.replace(data, outside=(*named, *data.outside))


def _objects(file: str, layout: Layout, size: tuple[int, int], faults: Faults) -> list[Object]:
    objects = []
    for line, fields in fields_of(file):
        with faults.collect():
            name, shares = _row(fields, layout, f"{file}: line {line}")
            objects.append(Object(line, name, in_px(shares, size)))
    return objects


def _row(fields: Sequence[str], layout: Layout, where: str) -> tuple[str, list[float]]:
    """Return the class name and the box [x1, y1, x2, y2] as shares of the image."""
    fields = fields[:5] if layout.keypoints else fields
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise InputError(f"{where}: format should be {ROW_FORMAT}, got {len(fields)} fields.")
    label = number(fields[0], "class", where)
    if label not in range(len(layout.names)):
        classes = f"a class from 0 to {len(layout.names) - 1}"
        raise InputError(f"{where}: expected {classes}, got {printable(fields[0])}.")
    name = layout.names[int(label)]
    values = [number(text, "value", where) for text in fields[1:]]
    for value, text in zip(values, fields[1:], strict=True):
        if not -SLACK <= value <= 1 + SLACK:
            shares = "shares of the image, 0 to 1"
            raise InputError(f"{where}: expected {shares}, got {printable(text)}.")
    if len(fields) > 5:
        return name, box_around(zip(values[::2], values[1::2], strict=True))
    x, y, width, height = values
    return name, [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
