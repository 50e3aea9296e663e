"""CSV: one box a row in the annotation file, one class a row in the class file."""

import csv
import io
import math
import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.utils.text import listed, read_text

CLASS_FORMAT = "'class_name,class_id'"
BOX_FORMAT = "'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"


def read_csv(annotations, classes, base_dir=None):
    """The data set of an annotation file and a class file.

    Args:
        annotations: file of rows `path,x1,y1,x2,y2,class` (xyxy px), or `path,,,,,` for an image
            without objects.
        classes: file of rows `name,id`, ids 0 to K - 1.
        base_dir: folder that paths start from; by default that of the annotation file.

    Raises:
        InputError: names file and line.
    """
    labels = read_classes(classes)
    folder = os.path.dirname(annotations) if base_dir is None else base_dir
    images = {}  # path as written: [(line, box, class name)]
    for line, path, box, name in _parse(annotations, _box_rows, labels):
        rows = images.setdefault(path, [])
        if box:
            rows.append((line, box, name))
    records = [
        make_record(
            os.path.join(folder, path),
            path,
            boxes=[box for _, box, _ in rows],
            labels=[labels[name] for _, _, name in rows],
            origin=f"{annotations}: line",
            entries=[line for line, _, _ in rows],
        )
        for path, rows in images.items()
    ]
    names = sorted(labels, key=labels.get)
    return Dataset(records, names, default_category_ids(names))


def read_classes(path):
    """{class name: id} of a class file, whose ids must be 0 to K - 1 in any order.

    Raises:
        InputError: names file and line.
    """
    rows = _parse(path, _class_rows)
    lines = {class_id: line for line, _, class_id in reversed(rows)}  # the first line of each id
    for line, name, class_id in rows:
        if lines[class_id] != line:
            raise InputError(f"{path}: line {line}: class ID {class_id} of {name!r} is taken")
    for expected, class_id in enumerate(sorted(lines)):
        if class_id != expected:
            raise InputError(
                f"{path}: line {lines[class_id]}: expected class IDs 0, 1, 2, ... without a gap. "
                f"Received: {class_id}, but no {expected}"
            )
    return {name: class_id for _, name, class_id in rows}


def _read_classes(csv_reader):
    """{class name: id} of the rows of a `csv.reader`; ValueError names the line."""
    return {name: class_id for _, name, class_id in _class_rows(csv_reader)}


def _read_annotations(csv_reader, classes):
    """{file: [{"x1", "y1", "x2", "y2", "class"}]} of a `csv.reader`; ValueError names the line."""
    result = {}
    for _, path, box, name in _box_rows(csv_reader, classes):
        boxes = result.setdefault(path, [])
        if box:
            boxes.append({**dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)), "class": name})
    return result


def _parse(path, parse, *arguments):
    """`parse(csv_reader, *arguments)` of a file; errors begin with its path."""
    csv_reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        rows = parse(csv_reader, *arguments)
    except csv.Error as error:
        raise InputError(f"{path}: line {csv_reader.line_num}: {error}") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    if not rows:
        raise InputError(f"{path} holds no rows")
    return rows


def _fields(csv_reader):
    """(line number, fields) of every row that is not blank."""
    for count, row in enumerate(csv_reader, start=1):
        fields = [field.strip() for field in row]
        if any(fields):
            yield getattr(csv_reader, "line_num", count), fields


def _class_rows(csv_reader):
    """[(line, class name, id)]"""
    rows, names = [], set()
    for line, fields in _fields(csv_reader):
        if len(fields) != 2 or not fields[0]:
            raise ValueError(f"line {line}: format should be {CLASS_FORMAT}")
        name, text = fields
        try:
            class_id = int(text)
        except ValueError:
            raise ValueError(f"line {line}: malformed class ID: {text!r} is no integer") from None
        if name in names:
            raise ValueError(f"line {line}: duplicate class name: {name!r}")
        names.add(name)
        rows.append((line, name, class_id))
    return rows


def _box_rows(csv_reader, classes):
    """[(line, image file, (x1, y1, x2, y2), class name)], the last two None without an object."""
    rows = []
    for line, (path, *fields) in _fields(csv_reader):
        if len(fields) < 5 or not path:  # further columns are left unread
            raise ValueError(f"line {line}: format should be {BOX_FORMAT}")
        if not any(fields[:5]):
            rows.append((line, path, None, None))
            continue
        coordinates = zip(("x1", "y1", "x2", "y2"), fields[:4], strict=True)
        x1, y1, x2, y2 = box = tuple(_number(text, name, line) for name, text in coordinates)
        if x2 <= x1:
            raise ValueError(f"line {line}: x2 ({x2}) must be higher than x1 ({x1})")
        if y2 <= y1:
            raise ValueError(f"line {line}: y2 ({y2}) must be higher than y1 ({y1})")
        if fields[4] not in classes:
            raise ValueError(
                f"line {line}: unknown class name: {fields[4]!r} (classes: {listed(classes)})"
            )
        rows.append((line, path, box, fields[4]))
    return rows


def _number(text, name, line):
    """A coordinate: int where it is whole, else float."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"line {line}: malformed {name}: {text!r} is no number")
    return int(value) if value.is_integer() else value
