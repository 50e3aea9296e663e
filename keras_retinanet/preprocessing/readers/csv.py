"""CSV: one box a row in the annotation file, one class a row in the class file."""

import operator
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...errors import InputError, collect
from ...utils.text import listed, quoted, read_text
from ..dataset import Dataset
from .files import find_file, folders_in, is_shortened, stem
from .gather import Classes, Faults, Found, Object, class_labels, gather, label_of
from .parsing import csv_rows, integer, naming_line, numbers, stated_size

CLASS_FORMAT = "'class_name,class_id'"
BOX_FORMAT = "'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'"
CORNERS = ("x1", "y1", "x2", "y2")
COLUMNS = {  # the names of each column in a header, without capitals, spaces, "_" and "-"
    "path": ("filename", "imgfile", "image", "path", "file", "imagepath", "imagename", "filepath"),
    "x1": ("x1", "xmin", "left"),
    "y1": ("y1", "ymin", "top"),
    "x2": ("x2", "xmax", "right"),
    "y2": ("y2", "ymax", "bottom"),
    "class": ("class", "classname", "label", "name", "labelname", "category"),
    "width": ("width", "imagewidth", "imgwidth"),
    "height": ("height", "imageheight", "imgheight"),
}
NUMBER = re.compile(r"[+-]?\d+([.,]\d*)?")
NEEDED = ("path", *CORNERS, "class")


class BoxRow(NamedTuple):
    """A row of an annotation file."""

    line: int
    path: str
    box: tuple[float, ...] | None  # None for an image without objects
    name: str | None
    stated_size: tuple[int, int] | None


def read_csv(
    annotations: str,
    classes: str | os.PathLike | Classes = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read an annotation file and a class file.

    A header names the columns, in any order; without a header they are path, x1, y1, x2, y2, class.
    Columns are separated by commas, semicolons or tabs.

    Args:
        annotations: file of rows `path,x1,y1,x2,y2,class` (xyxy px), or `path,,,,,` for an image
            without objects. A header may also name the width and height of the image.
        classes: file of rows `name,id`, ids 0 to K - 1; else see `readers`.
        images_dir: folder that paths are relative to; None takes the folder of the annotation file,
            or a folder in it with the images and the name of the file, such as train for
            train_labels.csv.
        faults: see `readers`.
    """
    if isinstance(classes, str | os.PathLike):
        classes = read_classes(classes)
    known = None if classes is None else class_labels(classes)
    rows = _read(annotations, 5, _box_rows, known, faults)
    folder = os.path.dirname(annotations) if images_dir is None else images_dir
    inner = [name for name in folders_in(folder or ".") if stem(annotations).startswith(name)]
    folders = [folder, *(os.path.join(folder, name) for name in inner)]
    by_name: dict[str, Found] = {}
    images: dict[tuple[str, str], Found] = {}
    for line, name, box, class_name, size in rows:
        if name not in by_name:
            path = find_file(name, folders)
            key = path, name if is_shortened(path, name) else ""
            found = Found(path, name, f"{annotations}: line", [], size, name=name)
            by_name[name] = images.setdefault(key, found)
        if box:
            by_name[name].objects.append(Object(line, class_name, box))
    own = [os.path.dirname(annotations), images_dir]
    return gather(list(images.values()), known, Faults(faults), own)


def read_classes(path: str | os.PathLike) -> dict[str, int]:
    """Return {class name: id} of a class file with the ids 0 to K - 1, in any order.

    Raises:
        InputError: names file and line.
    """
    rows = _read(path, 1, _class_rows)
    lines = {class_id: line for line, _, class_id in reversed(rows)}  # the first line of each id
    for line, name, class_id in rows:
        if lines[class_id] != line:
            taken = f"class ID {class_id} of {quoted(name)} is on line {lines[class_id]} too"
            raise InputError(f"{path}: line {line}: {taken}; change one of them.")
    for expected, class_id in enumerate(sorted(lines)):
        if class_id != expected:
            raise InputError(
                f"{path}: line {lines[class_id]}: class ID {class_id} leaves a gap: no class has "
                f"the ID {expected}; number the classes from 0 without gaps."
            )
    return {name: class_id for _, name, class_id in rows}


def _read_classes(csv_reader: Iterable[list[str]]) -> dict[str, int]:
    """Return {class name: id} of the rows of a `csv.reader`; ValueError names the line."""
    return {name: class_id for _, name, class_id in _class_rows(csv_reader)}


def _read_annotations(
    csv_reader: Iterable[list[str]], classes: Mapping[str, int]
) -> dict[str, list[dict]]:
    """Return {file: [{"x1", "y1", "x2", "y2", "class"}]} of a `csv.reader`; ValueError names the
    line.
    """
    result: dict[str, list[dict]] = {}
    for row in _box_rows(csv_reader, known=classes):
        boxes = result.setdefault(row.path, [])
        if row.box:
            whole = [int(value) if value.is_integer() else value for value in row.box]
            boxes.append({**dict(zip(CORNERS, whole, strict=True)), "class": row.name})
    return result


def _read(path: str | os.PathLike, separators: int, parse: Callable, *arguments: object) -> list:
    """Return `parse(csv_reader, *arguments)` of a file whose rows have `separators` or more."""
    csv_reader = csv_rows(read_text(path), separators)
    with naming_line(path, csv_reader):
        rows = parse(csv_reader, *arguments, prefix=f"{path}: ")
    if not rows and not any(arguments[1:]):
        raise InputError(f"{path} holds no rows.")
    return rows


def _fields(csv_reader: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of every row that is not blank."""
    for count, row in enumerate(csv_reader, start=1):
        fields = [field.strip() for field in row]
        if any(fields):
            yield getattr(csv_reader, "line_num", count), fields  # scripts also pass lists


def _class_rows(csv_reader: Iterable[list[str]], prefix: str = "") -> list[tuple[int, str, int]]:
    """Return [(line, class name, id)]."""
    rows, names = [], set()
    for line, fields in _fields(csv_reader):
        where = f"{prefix}line {line}"
        if len(fields) != 2 or not fields[0]:
            raise InputError(f"{where}: format should be {CLASS_FORMAT}.")
        name, text = fields
        class_id = integer(text, "class ID", where)
        if name in names:
            raise InputError(f"{where}: duplicate class name: {quoted(name)}.")
        names.add(name)
        rows.append((line, name, class_id))
    return rows


def _box_rows(
    csv_reader: Iterable[list[str]],
    known: Mapping[str, int] | None = None,
    faults: list[str] | None = None,
    prefix: str = "",
) -> list[BoxRow]:
    """Return the rows; `known` are the class names that they may have, None for any names."""
    rows, pick, zeros = [], None, []
    decimal_comma = getattr(getattr(csv_reader, "dialect", None), "delimiter", ",") != ","
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
            enough = len(fields) > max(order.values())
            path, *texts, name, width, height = pick([*fields, ""]) if enough else [""] * 8
            if not path:  # no path or too few columns; index -1 gives "" for a missing column
                raise InputError(f"{where}: format should be {shape}.")
            if decimal_comma:
                texts = [text.replace(",", ".") for text in texts]
            box = _box(texts, where, faults) if name or any(texts) else None
            if box == (0, 0, 0, 0):
                zeros.append(where)
                box = None
            if box and known is not None:
                label_of(known, name, where)
            elif box and not name:
                raise InputError(f"{where}: the class name is missing; add it.")
            size = stated_size(width, height) if width else None
            rows.append(BoxRow(line, path, box, name if box else None, size))
    if zeros:
        message = f"Read {len(zeros)} rows with the box 0,0,0,0 as images without objects"
        warnings.warn(f"{message}; the first: {zeros[0]}.", UserWarning, stacklevel=2)
    return rows


def _header(fields: Sequence[str], where: str) -> dict[str, int] | None:
    """Return {column: position} of a header, None for a row of data."""
    names = [field.lower().translate(str.maketrans("", "", " _-")) for field in fields]
    columns, twice = {}, []
    for column, known in COLUMNS.items():
        found = next((name for name in known if name in names), None)
        if found:
            columns[column] = names.index(found)
            twice += [found] if names.count(found) > 1 else []
    if len(columns.keys() & set(CORNERS)) < 2 or any(map(NUMBER.fullmatch, fields)):
        return None
    missing = [f"{name} ({', '.join(COLUMNS[name])})" for name in NEEDED if name not in columns]
    if missing:
        raise InputError(f"{where}: the header lacks {listed(missing)}; add it.")
    if twice:
        raise InputError(f"{where}: the header names a column twice: {listed(twice)}; remove one.")
    return columns


def _box(texts: Sequence[str], where: str, faults: list[str] | None) -> tuple[float, ...]:
    """Return (x1, y1, x2, y2); with `faults`, inverted boxes are left to the later check."""
    x1, y1, x2, y2 = box = tuple(numbers(texts, CORNERS, where))
    for axis, low, high in (("x", x1, x2), ("y", y1, y2)) if faults is None and any(box) else ():
        if high <= low:
            text = f"{axis}2 ({high:.9g}) must be higher than {axis}1 ({low:.9g})"
            raise InputError(f"{where}: {text}.")
    return box
