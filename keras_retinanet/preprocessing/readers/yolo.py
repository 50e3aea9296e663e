"""YOLO: one text file a picture, a box a row as shares of the picture."""

import os

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.preprocessing.measure import image_sizes
from keras_retinanet.preprocessing.readers.gather import collect_of, without_lost
from keras_retinanet.preprocessing.readers.parsing import box_around, choose_set, number
from keras_retinanet.preprocessing.readers.yolo_files import (
    SYNONYMS,
    find_layout,
    pictures_of,
    resolve,
)
from keras_retinanet.utils.text import read_text

ROW_FORMAT = "'class x y width height', or 'class x1 y1 x2 y2 x3 y3 ...' around an object"
SLACK = 1e-5  # what rounding may add to a share


def sets(path):
    """The names of the sets whose pictures or list are there, in the order of data.yaml."""
    layout = find_layout(path)
    return [
        name
        for name, entries in layout.sets.items()
        if name and any(resolve(layout, name, entry) for entry in entries)
    ]


def read_yolo(path, set_name=None, images_dir=None, faults=None):
    """The data set of a data.yaml, of Darknet's obj.data, or of a folder with a list of names.

    Of an outline of three points or more the box around it is taken. A picture whose label file
    is empty or missing is one without objects.

    Args:
        path: the file, or the folder that holds it; or one with images, labels and classes.txt.
        set_name: such as "train"; None takes the only one.
        images_dir: folder of the pictures where it is another one.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names file and line.
    """
    layout = find_layout(path)
    if set_name not in layout.sets and SYNONYMS.get(set_name) in layout.sets:
        set_name = SYNONYMS[set_name]
    set_name = choose_set(layout.sets, set_name, path)
    pairs = pictures_of(layout, set_name, images_dir)
    records, lost = [], set()
    for (image, label_file), size in zip(pairs.items(), image_sizes(pairs), strict=True):
        image_id = os.path.relpath(image, layout.roots[0])
        with collect_of(image_id, lost, faults):
            rows = _rows(label_file, layout, faults) if label_file and size else []
            width, height = size or (0, 0)
            records.append(
                make_record(
                    image,
                    image_id,
                    boxes=[
                        (x1 * width, y1 * height, x2 * width, y2 * height)
                        for *_, (x1, y1, x2, y2) in rows
                    ],
                    labels=[label for _, label, _ in rows],
                    size=size,
                    origin=f"{label_file}: line",
                    entries=[line for line, *_ in rows],
                )
            )
    return Dataset(without_lost(records, lost), layout.names, default_category_ids(layout.names))


def _rows(file, layout, faults):
    """[(line, label, box as shares of the picture)]"""
    rows = []
    for line, text in enumerate(read_text(file).splitlines(), start=1):
        fields = text.split()
        if fields:
            with collect(faults):
                rows.append((line, *_row(fields, layout, f"{file}: line {line}")))
    return rows


def _row(fields, layout, where):
    """(label, [x1, y1, x2, y2])"""
    fields = fields[:5] if layout.keypoints else fields
    if len(fields) != 5 and (len(fields) < 7 or len(fields) % 2 == 0):
        raise InputError(f"{where}: format should be {ROW_FORMAT}. Received: {len(fields)} fields")
    label = number(fields[0], "class", where)
    if label not in range(len(layout.names)):
        classes = f"a class from 0 to {len(layout.names) - 1}"
        raise InputError(f"{where}: expected {classes}. Received: {fields[0]}")
    values = [number(text, "value", where) for text in fields[1:]]
    for value, text in zip(values, fields[1:], strict=True):
        if not -SLACK <= value <= 1 + SLACK:
            raise InputError(f"{where}: expected shares of the picture, 0 to 1. Received: {text}")
    if len(fields) > 5:
        return int(label), box_around(zip(values[::2], values[1::2], strict=True))
    x, y, width, height = values
    return int(label), [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
