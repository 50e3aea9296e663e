"""Recognise the format of a file or folder by names and by the ends of a few files."""

import itertools
import os
import re
import xml.etree.ElementTree as ElementTree

from ...errors import InputError
from ...utils.text import listed
from .coco import LAYOUTS as COCO_LAYOUTS
from .files import first_file, folders_in, names_in
from .open_images import sets as open_images_sets
from .yolo_files import NAME_FILES

PEEK = 65_536  # bytes at either end of a file that are looked at
FEW = 5  # files of a folder that are looked into
COCO = re.compile(rb'\s*\{(?s:.*)"(images|annotations|categories)"\s*:\s*\[')
LABELME = re.compile(rb'\s*\{(?s:.*)"shapes"\s*:\s*\[')
YOLO = re.compile(rb"(?m)^names\s*[:=]")
YOLO_FILES = ("data.yaml", "dataset.yaml", "obj.data")
YOLO_SUFFIXES = (".yaml", ".yml", ".data")
ROOTS = {"annotation": "pascal", "annotations": "cvat"}
EXPECTED = (
    "a CSV file, COCO's JSON, Pascal VOC's Annotations, KITTI's label_2, Open Images' "
    "SET-annotations-bbox.csv, YOLO's data.yaml, obj.data or classes.txt, labelme's JSON or "
    "CVAT's annotations.xml"
)


def kind_of(path: str | os.PathLike) -> str:
    """Return the name in `READERS` of the format of a file or folder.

    Raises:
        InputError: lists the files that were looked for.
    """
    path = str(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder.")
    try:
        kind = _of_folder(path) if os.path.isdir(path) else _of_file(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}") from None
    if kind is None:
        tables = names_in(path, (".csv",))
        hint = f" Name one of its CSV files: {listed(tables)}." if tables else ""
        raise InputError(f"{path}: expected {EXPECTED}.{hint}")
    return kind


def _of_file(path: str) -> str | None:
    suffix = os.path.splitext(path)[1].lower()
    # of a YOLO file without names, its reader says what is missing
    return "yolo" if suffix in YOLO_SUFFIXES else _of_content(path, suffix)


def _of_folder(path: str) -> str | None:
    folders = [path, *(os.path.join(path, name) for name in folders_in(path))]
    if any(_of_few(path, suffix) for suffix in YOLO_SUFFIXES):
        return "yolo"
    if any(os.path.isdir(os.path.join(folder, "label_2")) for folder in folders):
        return "kitti"
    for folder in folders:  # Pascal VOC, CVAT, and Roboflow's folders of XML files
        kind = _of_few(os.path.join(folder, "Annotations"), ".xml") or _of_few(folder, ".xml")
        if kind:
            return kind
    coco = [os.path.join(path, os.path.dirname(layout).format("")) for layout in COCO_LAYOUTS]
    for folder in dict.fromkeys([*coco, *folders]):
        if kind := _of_few(folder, ".json"):
            return kind
    if open_images_sets(path):
        return "oid"
    # the old layouts of KITTI and YOLO both have a text file for each image
    labels = [os.path.join(folder, "labels") for folder in folders]
    if any(_of_few(folder, ".txt") for folder in [*labels, *folders]):
        return "kitti"
    names = [os.path.join(folder, name) for folder in folders for name in NAME_FILES]
    names += [os.path.join(path, name) for name in YOLO_FILES]
    return "yolo" if first_file(names) else None


def _of_few(folder: str, suffix: str) -> str | None:
    """Return the format that one of the first files of that suffix in a folder shows."""
    try:
        with os.scandir(folder) as entries:
            files = (e.path for e in entries if e.name.endswith(suffix) and e.name[0] != ".")
            kinds = (_of_content(file, suffix) for file in itertools.islice(files, FEW))
            return next(filter(None, kinds), None)
    except PermissionError:
        raise
    except OSError:
        return None


def _of_content(path: str, suffix: str) -> str | None:
    """Return the format that the head and the tail of a file show."""
    if suffix == ".xml":
        try:
            _, root = next(ElementTree.iterparse(path, events=["start"]))
        except (ElementTree.ParseError, LookupError, StopIteration, ValueError):
            return None
        return ROOTS.get(root.tag)
    if suffix not in (*YOLO_SUFFIXES, ".csv", ".json", ".tsv", ".txt"):
        return None
    head, tail = _ends(path)
    first_line = head.partition(b"\n")[0]
    if suffix == ".json":
        data = head + b"\n" + tail
        return "labelme" if LABELME.match(data) else "coco" if COCO.match(data) else None
    if suffix in YOLO_SUFFIXES:
        return "yolo" if YOLO.search(head) else None
    if suffix == ".txt":  # of boxes; rows of YOLO look like any other rows of numbers
        fields = first_line.split()
        return "kitti" if len(fields) in (15, 16) and fields[0][:1].isalpha() else None
    is_open_images = all(name in first_line for name in (b"ImageID", b"LabelName", b"XMin"))
    return "oid" if is_open_images else "csv"


def _ends(path: str) -> tuple[bytes, bytes]:
    """Return the first and the last bytes of a file."""
    with open(path, "rb") as file:
        head = file.read(PEEK)
        file.seek(max(0, file.seek(0, os.SEEK_END) - PEEK))
        return head, file.read()
