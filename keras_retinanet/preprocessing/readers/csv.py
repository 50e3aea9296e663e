"""CSV: one box a row in the annotation file, one class a row in the class file."""

import csv
import io
import operator
import os

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.preprocessing.readers.files import folders_in, stem
from keras_retinanet.preprocessing.readers.parsing import (
    LARGEST,
    class_labels,
    label_of,
    number,
    stated_size,
)
from keras_retinanet.utils.text import listed, read_text

CLASS_FORMAT = "'class_name,class_id'"
BOX_FORMAT = "'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"
CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = {  # what a header may call each column; case, spaces, "_" and "-" make no difference
    "path": ("filename", "imgfile", "image", "path", "file", "imagepath", "imagename", "filepath"),
    "x1": ("x1", "xmin", "left"),
    "y1": ("y1", "ymin", "top"),
    "x2": ("x2", "xmax", "right"),
    "y2": ("y2", "ymax", "bottom"),
    "class": ("class", "classname", "label", "name", "labelname", "category"),
    "width": ("width", "imagewidth", "imgwidth"),
    "height": ("height", "imageheight", "imgheight"),
}
NEEDED = ("path", *CORNERS, "class")


def read_csv(annotations, classes=None, base_dir=None, faults=None):
    """The data set of an annotation file and a class file.

    The columns are those that a header names, in any order, or without one path, x1, y1, x2, y2,
    class. They are separated by commas, semicolons or tabs.

    Args:
        annotations: file of rows `path,x1,y1,x2,y2,class` (xyxy px), or `path,,,,,` for an image
            without objects. Columns of a header may also be the width and height of the picture.
        classes: file of rows `name,id`, ids 0 to K - 1, or the names in the order of their labels;
            None takes the names found, sorted.
        base_dir: folder that paths start from; by default that of the annotation file, or, where
            the pictures are there, the folder in it after which the file is named, such as train
            for train_labels.csv.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names file and line.
    """
    if isinstance(classes, str | os.PathLike):
        classes = read_classes(classes)
    known = None if classes is None else class_labels(classes)
    rows = _read(annotations, 5, _box_rows, known, faults)
    labels = class_labels(known, (name for _, _, _, name, _ in rows if name is not None))
    folder = _picture_folder(annotations, base_dir, [path for _, path, *_ in rows])
    images = {}  # path: (path as written first, stated size, [(line, box, class name)])
    for line, written, box, name, size in rows:
        path = os.path.normpath(os.path.join(folder, _plain(written)))
        *_, objects = images.setdefault(path, (written, size, []))
        if box:
            objects.append((line, box, name))
    records = [
        make_record(
            path,
            written,
            boxes=[box for _, box, _ in objects],
            labels=[labels[name] for _, _, name in objects],
            origin=f"{annotations}: line",
            entries=[line for line, _, _ in objects],
            stated_size=size,
        )
        for path, (written, size, objects) in images.items()
    ]
    return Dataset(records, list(labels), default_category_ids(labels))


def _plain(path):
    """A path in the one way to spell it: "a/b.jpg" for "a\\b.jpg", "./a/b.jpg", "a/../a/b.jpg"."""
    return os.path.normpath(path.replace("\\", "/"))


def _picture_folder(annotations, base_dir, paths):
    """The folder that paths start from."""
    folder = os.path.dirname(annotations) if base_dir is None else base_dir
    first = _plain(paths[0]) if paths else ""
    if not os.path.isfile(os.path.join(folder, first)):
        for name in folders_in(folder or "."):
            inner = os.path.join(folder, name)
            if stem(annotations).startswith(name) and os.path.isfile(os.path.join(inner, first)):
                return inner
    return folder


def read_classes(path):
    """{class name: id} of a class file, whose ids must be 0 to K - 1 in any order.

    Raises:
        InputError: names file and line.
    """
    rows = _read(path, 1, _class_rows)
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
    for _, path, box, name, _ in _box_rows(csv_reader, known=classes):
        boxes = result.setdefault(path, [])
        if box:
            whole = [int(value) if value.is_integer() else value for value in box]
            boxes.append({**dict(zip(CORNERS, whole, strict=True)), "class": name})
    return result


def _read(path, separators, parse, *arguments):
    """`parse(csv_reader, *arguments)` of a file whose rows have that many separators or more."""
    text = read_text(path)
    first = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if first.count(mark) >= separators), ",")
    csv_reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = parse(csv_reader, *arguments, prefix=f"{path}: ")
    except csv.Error as error:
        raise InputError(f"{path}: line {csv_reader.line_num}: {error}") from None
    if not rows and not any(arguments[1:]):
        raise InputError(f"{path} holds no rows")
    return rows


def _fields(csv_reader):
    """(line number, fields) of every row that is not blank."""
    for count, row in enumerate(csv_reader, start=1):
        fields = [field.strip() for field in row]
        if any(fields):
            yield getattr(csv_reader, "line_num", count), fields


def _class_rows(csv_reader, prefix=""):
    """[(line, class name, id)]"""
    rows, names = [], set()
    for line, fields in _fields(csv_reader):
        where = f"{prefix}line {line}"
        if len(fields) != 2 or not fields[0]:
            raise InputError(f"{where}: format should be {CLASS_FORMAT}")
        name, text = fields
        try:
            class_id = int(text)
        except ValueError:
            raise InputError(f"{where}: malformed class ID: {text!r} is no integer") from None
        if name in names:
            raise InputError(f"{where}: duplicate class name: {name!r}")
        names.add(name)
        rows.append((line, name, class_id))
    return rows


def _box_rows(csv_reader, known=None, faults=None, prefix=""):
    """[(line, path, (x1, y1, x2, y2), class name, stated size)], box and name None without an
    object; `known` are the class names that may stand there, None for any.
    """
    rows, pick = [], None
    decimal_comma = _delimiter(csv_reader) == ";"
    for line, fields in _fields(csv_reader):
        where = f"{prefix}line {line}"
        if pick is None:
            columns = _header(fields, where)
            order = columns or dict(zip(NEEDED, range(6), strict=True))
            pick = operator.itemgetter(*(order.get(name, -1) for name in COLUMNS))
            shape = f"the columns of the header, {listed(columns)}" if columns else BOX_FORMAT
            if columns:
                continue
        with collect(faults):
            if len(fields) <= max(order.values()):
                raise InputError(f"{where}: format should be {shape}")
            path, *texts, name, width, height = pick([*fields, ""])  # "" at -1: no such column
            if not path:
                raise InputError(f"{where}: format should be {shape}")
            if decimal_comma:
                texts = [text.replace(",", ".") for text in texts]
            box = _box(texts, where, faults) if name or any(texts) else None
            if box and known is not None:
                label_of(known, name, where)
            elif box and not name:
                raise InputError(f"{where}: expected a class name")
            size = stated_size(width, height) if width else None
            rows.append((line, path, box, name if box else None, size))
    return rows


def _delimiter(csv_reader):
    return getattr(getattr(csv_reader, "dialect", None), "delimiter", ",")


def _header(fields, where):
    """{column: position} of a header, None for a row of data."""
    names = [field.lower().translate(str.maketrans("", "", " _-")) for field in fields]
    columns, twice = {}, []
    for column, known in COLUMNS.items():
        found = next((name for name in known if name in names), None)
        if found:
            columns[column] = names.index(found)
            twice += [found] if names.count(found) > 1 else []
    if len(columns.keys() & set(CORNERS)) < 2 or any(map(_is_number, fields)):
        return None
    missing = [f"{name} ({', '.join(COLUMNS[name])})" for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"{where}: expected a header that names {listed(missing)}")
    if twice:
        raise InputError(f"{where}: the header names a column twice: {listed(twice)}")
    return columns


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _box(texts, where, faults):
    """(x1, y1, x2, y2); inverted boxes are for the check to find where faults are collected."""
    try:
        x1, y1, x2, y2 = box = tuple(map(float, texts))
        sound = abs(x1) + abs(y1) + abs(x2) + abs(y2) <= LARGEST and "_" not in "".join(texts)
    except ValueError:
        sound = False
    if not sound:
        x1, y1, x2, y2 = box = tuple(map(number, texts, CORNERS, [where] * 4))
    if faults is None and x2 <= x1:
        raise InputError(f"{where}: x2 ({x2:.9g}) must be higher than x1 ({x1:.9g})")
    if faults is None and y2 <= y1:
        raise InputError(f"{where}: y2 ({y2:.9g}) must be higher than y1 ({y1:.9g})")
    return box
