"""Recognize the format of a file or folder by file names and by the ends of a few files."""

import os
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from ...errors import InputError
from ...utils.text import listed, open_file
from .files import (
    IMAGE_SUFFIXES,
    ends_in,
    files_under,
    first_file,
    folders_in,
    names_in,
    raise_denied,
)
from .open_images_files import splits as open_images_splits
from .yolo_files import NAME_FILES

PEEK = 65_536  # bytes to read at either end of a file
BOM = b"\xef\xbb\xbf"
LABELME = re.compile(rb'\s*\{(?s:.*)"shapes"\s*:\s*\[')
COCO = re.compile(rb'\s*\{(?s:.*)"images"\s*:\s*\[')
LONG_COCO = re.compile(rb'\s*\{(?s:.*)"(images|annotations|categories)"\s*:\s*\[')
YOLO = re.compile(rb"(?m)^names\s*[:=]")
YOLO_SUFFIXES = (".yaml", ".yml", ".data")
SUFFIXES = (*YOLO_SUFFIXES, ".csv", ".json", ".tsv", ".txt", ".xml")
ROOTS = {"annotation": "pascal", "annotations": "cvat"}

FEW = 10  # files to look into in a folder
YOLO_FILES = ("data.yaml", "dataset.yaml", "obj.data")
EXPECTED = (
    "a CSV file, COCO's JSON, Pascal VOC's Annotations, KITTI's label_2, Open Images' "
    "SPLIT-annotations-bbox.csv, YOLO's data.yaml, obj.data or classes.txt, labelme's JSON or "
    "CVAT's annotations.xml"
)


def kind_of(path: str | os.PathLike) -> str:
    """Return the key in `READERS` of the format of a file or folder.

    If a folder has several formats, a `UserWarning` names them.

    Raises:
        InputError: lists the files that were looked for.
    """
    path = str(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder.")
    try:
        if os.path.isdir(path):
            kind = _of_folder(path)
        else:
            open_file(path).close()  # raises for a pipe or a device
            # if a YOLO file has no names, the reader reports it
            kind = "yolo" if path.lower().endswith(YOLO_SUFFIXES) else kind_of_file(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}.") from None
    if kind is None:
        tables = names_in(path, (".csv",))
        hint = f" Name one of its CSV files: {listed(tables)}." if tables else ""
        if not tables and (count := len(files_under(path, IMAGE_SUFFIXES))):
            raise InputError(
                f"{path} has images ({count}) but no boxes; add a CSV file with a row "
                "path,x1,y1,x2,y2,class for each box, or the annotations of another format: "
                f"{EXPECTED}."
            )
        raise InputError(f"{path}: no annotations found; pass {EXPECTED}.{hint}")
    return kind


def _of_folder(path: str) -> str | None:
    folders = [path, *(os.path.join(path, name) for name in folders_in(path))]
    found: dict[str, str] = {}  # {format: the first file or folder that shows it}
    for kind, file in _shown(path, folders):
        found.setdefault(kind, os.path.relpath(file, path))
    if len(found) > 1:
        formats = listed(f"{kind} ({file})" for kind, file in found.items())
        warnings.warn(
            f"{path} has files of several formats, {formats}; it is read as {next(iter(found))}. "
            "To read another format, name it.",
            UserWarning,
            stacklevel=3,
        )
    if found:
        return next(iter(found))
    # the old layouts of KITTI and YOLO both have a text file for each image, so KITTI is first
    labels = [os.path.join(folder, "labels") for folder in folders]
    if any(_of_few(folder, ".txt") for folder in [*labels, *folders]):
        return "kitti"
    names = [os.path.join(folder, name) for folder in folders for name in NAME_FILES]
    names += [os.path.join(path, name) for name in YOLO_FILES]
    if first_file(names):
        return "yolo"
    return "labelme" if "labelme" in dict(_of_few(path, ".json", below=True)) else None


def _shown(path: str, folders: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (format, a file or folder that proves it), the most certain format first."""
    for suffix in YOLO_SUFFIXES:
        yield from _of_few(path, suffix)
    labels = (os.path.join(folder, "label_2") for folder in folders)
    yield from (("kitti", folder) for folder in labels if os.path.isdir(folder))
    for folder in folders:  # Pascal VOC, CVAT, and Roboflow's folders of XML files
        yield from _of_few(os.path.join(folder, "Annotations"), ".xml", below=True)
        yield from _of_few(folder, ".xml")
    for folder in dict.fromkeys([os.path.join(path, "annotations"), *folders]):  # COCO
        yield from _of_few(folder, ".json")
    if open_images_splits(path):
        yield "oid", path


def _of_few(folder: str, suffix: str, below: bool = False) -> list[tuple[str, str]]:
    """Return the first format found in a few files with that suffix in a folder, [] for none."""
    for base, inner, names in os.walk(folder, onerror=raise_denied):
        if not below:
            inner.clear()
        for name in sorted(n for n in names if ends_in(n, (suffix,)))[:FEW]:
            file = os.path.join(base, name)
            if kind := kind_of_file(file):
                return [(kind, file)]
    return []


def kind_of_file(path: str) -> str | None:
    """Return the key in `READERS` of the format of a file, None for an unknown format."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES or not os.path.isfile(path):
        return None
    if suffix == ".xml":
        try:
            with open_file(path) as file:
                _, root = next(ElementTree.iterparse(file, events=["start"]))
        except (ElementTree.ParseError, InputError, LookupError, StopIteration, ValueError):
            return None
        return ROOTS.get(root.tag)
    with open_file(path) as file:
        head = file.read(PEEK).removeprefix(BOM)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - PEEK))
        tail = file.read()
    if suffix == ".json":
        data = head + b"\n" + tail
        is_coco = (COCO if length <= 2 * PEEK else LONG_COCO).match(data)
        return "labelme" if LABELME.match(data) else "coco" if is_coco else None
    if suffix in YOLO_SUFFIXES:
        return "yolo" if YOLO.search(head) else None
    lines = head.split(b"\n", 2)
    if suffix == ".txt":  # YOLO's rows look like any other rows of numbers
        fields = lines[0].split()
        return "kitti" if len(fields) in (15, 16) and fields[0][:1].isalpha() else None
    has_separator = len(lines) > 1 and lines[0].lower().startswith((b"sep=", b'"sep='))
    header = lines[has_separator]
    return "oid" if all(name in header for name in (b"ImageID", b"LabelName", b"XMin")) else "csv"
