"""Which format a file or folder is in, by names and by the ends of a few files."""

import itertools
import os
import re
import xml.etree.ElementTree as ElementTree

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.coco import LAYOUTS as COCO_LAYOUTS
from keras_retinanet.preprocessing.readers.files import folders_in, names_in
from keras_retinanet.preprocessing.readers.open_images import sets as open_images_sets
from keras_retinanet.preprocessing.readers.yolo_files import NAME_FILES
from keras_retinanet.utils.text import listed

PEEK = 65_536  # bytes at either end of a file that are looked at
FEW = 5  # files of a folder that are looked into
COCO = re.compile(rb'\s*\{(?s:.*)"(images|annotations|categories)"\s*:\s*\[')
LABELME = re.compile(rb'\s*\{(?s:.*)"shapes"\s*:\s*\[')
YOLO = re.compile(rb"(?m)^names\s*[:=]")
ROOTS = {"annotation": "pascal", "annotations": "cvat"}
EXPECTED = (
    "a CSV file, COCO's JSON, Pascal VOC's Annotations, KITTI's label_2, Open Images' "
    "SET-annotations-bbox.csv, YOLO's data.yaml, obj.data or classes.txt, labelme's JSON or "
    "CVAT's annotations.xml"
)


def kind_of(path):
    """The name in `READERS` of the format of a file or folder.

    Raises:
        InputError: says what was looked for.
    """
    path = str(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    try:
        kind = _of_folder(path) if os.path.isdir(path) else _of_file(path)
    except OSError as error:
        raise InputError(f"{error.filename or path}: {error.strerror}") from None
    if kind is None:
        tables = names_in(path, (".csv",))
        hint = f". Name one of its CSV files: {listed(tables)}" if tables else ""
        raise InputError(f"{path}: expected {EXPECTED}{hint}")
    return kind


def _of_file(path):
    suffix = os.path.splitext(path)[1].lower()
    if suffix in YOLO_SUFFIXES:
        return "yolo"  # or its reader says what is missing
    return OF_SUFFIX[suffix](path) if suffix in OF_SUFFIX else None


def _of_folder(path):
    inner = folders_in(path)
    folders = [path, *(os.path.join(path, name) for name in inner)]
    if any(_of_few(path, suffix) for suffix in YOLO_SUFFIXES):
        return "yolo"
    if any(os.path.isdir(os.path.join(folder, "label_2")) for folder in folders):
        return "kitti"
    for folder in folders:  # Pascal VOC, CVAT, and Roboflow's folders of XML files
        annotations = os.path.join(folder, "Annotations")
        kind = _of_few(annotations, ".xml") or _of_few(folder, ".xml")
        if kind:
            return kind
    coco = [os.path.join(path, os.path.dirname(layout).format("")) for layout in COCO_LAYOUTS]
    for folder in dict.fromkeys([*coco, *folders]):
        kind = _of_few(folder, ".json")
        if kind:
            return kind
    if open_images_sets(path):
        return "oid"
    return _of_text_files(path, folders)


def _of_text_files(path, folders):
    """KITTI or YOLO, whose old layouts both have a text file for each picture."""
    for folder in [*(os.path.join(folder, "labels") for folder in folders), *folders]:
        kind = _of_few(folder, ".txt")
        if kind == "kitti":
            return kind
    has_names = any(os.path.isfile(os.path.join(f, n)) for f in folders for n in NAME_FILES)
    named = any(os.path.isfile(os.path.join(path, name)) for name in YOLO_FILES)
    return "yolo" if has_names or named else None  # or its reader says what is missing


def _of_few(folder, suffix):
    """The kind that one of the first files of that suffix in a folder shows."""
    try:
        with os.scandir(folder) as entries:
            files = (e.path for e in entries if e.name.endswith(suffix) and e.name[0] != ".")
            kinds = map(OF_SUFFIX.get(suffix, _of_label_file), itertools.islice(files, FEW))
            return next(filter(None, kinds), None)
    except PermissionError:
        raise
    except OSError:
        return None


def _of_json(path):
    data = b"\n".join(_ends(path))
    return "labelme" if LABELME.match(data) else "coco" if COCO.match(data) else None


def _of_names(path):
    return "yolo" if YOLO.search(_ends(path)[0]) else None


def _of_xml(path):
    try:
        _, root = next(ElementTree.iterparse(path, events=["start"]))
    except (ElementTree.ParseError, LookupError, StopIteration, ValueError):
        return None
    return ROOTS.get(root.tag)


def _of_csv(path):
    header = _ends(path)[0].partition(b"\n")[0]
    is_open_images = all(name in header for name in (b"ImageID", b"LabelName", b"XMin"))
    return "oid" if is_open_images else "csv"


def _of_label_file(path):
    """The kind of a text file of boxes; "yolo" is not told from other rows of numbers."""
    fields = _ends(path)[0].partition(b"\n")[0].split()
    return "kitti" if len(fields) in (15, 16) and fields[0][:1].isalpha() else None


def _ends(path):
    """The first and the last bytes of a file."""
    with open(path, "rb") as file:
        head = file.read(PEEK)
        file.seek(max(0, file.seek(0, os.SEEK_END) - PEEK))
        return head, file.read()


YOLO_FILES = ("data.yaml", "dataset.yaml", "obj.data")
YOLO_SUFFIXES = (".yaml", ".yml", ".data")
OF_SUFFIX = {
    ".csv": _of_csv,
    ".json": _of_json,
    ".tsv": _of_csv,
    ".xml": _of_xml,
    **dict.fromkeys(YOLO_SUFFIXES, _of_names),
}
