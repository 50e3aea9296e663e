"""Which files of an Open Images folder hold a subset's boxes, images and classes."""

import dataclasses
import os
import re

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.files import folders_in, names_in
from keras_retinanet.preprocessing.readers.parsing import choose_set

FOLDERS = ("annotations", "metadata", "csv", "labels", "2018_04", "2017_11", "challenge2018")
VERSION_FOLDERS = {"v3": "2017_11", "v4": "2018_04", "challenge2018": "challenge2018"}
PREFIX = r"(?P<prefix>oidv\d+-|challenge-\d+-)?"
BOXES = re.compile(
    PREFIX + r"(?P<subset>.+)-(annotations|detection)-bbox\.csv|detections\.csv", re.I
)
CLASSES = re.compile(PREFIX + r"class(es)?-descriptions?.*\.csv|classes\.csv", re.I)
HIERARCHY = re.compile(PREFIX + r".*hierarchy.*\.json", re.I)
LISTING = re.compile(PREFIX + r"((?P<subset>.+)-images.*|image_ids_and)[-_]rotation\.csv", re.I)


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of a subset; None or [] for those that are not there."""

    subset: str | None
    boxes: str
    classes: str | None
    hierarchy: str | None
    listing: str | None
    images: list[str]  # folders


def sets(path):
    """The names of the subsets in a folder, sorted."""
    return sorted(_boxes_by_subset(str(path)))


def find(path, subset=None, version=None):
    """The `Files` of a subset in a folder, or those beside a CSV file of boxes."""
    if os.path.isfile(path):
        boxes, path = path, os.path.dirname(path)
        match = BOXES.fullmatch(os.path.basename(boxes))
        subset = subset or (match and match["subset"])
    else:
        by_subset = _boxes_by_subset(path)
        if not by_subset:
            raise InputError(f"{path}: expected a file SET-annotations-bbox.csv")
        subset = choose_set(by_subset, subset, path)
        boxes = _best(by_subset[subset], version)
    files = _files(path)
    images = [os.path.join(path, *parts) for parts in _image_folders(subset)]
    return Files(
        subset,
        boxes,
        _best(_matching(files, CLASSES), version, "boxable"),
        _best(_matching(files, HIERARCHY), version),
        _best(_matching(files, LISTING, subset), version, "boxable"),
        [folder for folder in images if os.path.isdir(folder)] or [path],
    )


def _image_folders(subset):
    own = [("images", subset), (subset, "data"), (subset, "images"), (subset,)] if subset else []
    return [*own, ("images",), ("data",), ()]


def _boxes_by_subset(path):
    """{subset: paths of its files of boxes}"""
    found = {}
    for file in _matching(_files(path), BOXES):
        subset = BOXES.fullmatch(os.path.basename(file))["subset"]
        if subset is None:  # detections.csv, which lies in SUBSET/labels
            subset = os.path.basename(os.path.dirname(os.path.dirname(file)))
        found.setdefault(subset, []).append(file)
    return found


def _files(path):
    """The CSV and JSON files of a folder and of those in it where such files are kept."""
    folders = [path]
    for name in folders_in(path):
        folder = os.path.join(path, name)
        if name in FOLDERS:
            folders += [folder, *(os.path.join(folder, inner) for inner in folders_in(folder))]
        else:
            folders += [folder, *(os.path.join(folder, inner) for inner in ("labels", "metadata"))]
    return [
        os.path.join(folder, name)
        for folder in folders
        for name in names_in(folder, (".csv", ".json"))
    ]


def _matching(files, pattern, subset=None):
    """The files whose name fits a pattern and, where it names a subset, that one."""
    found = []
    for file in files:
        match = pattern.fullmatch(os.path.basename(file))
        if match and (subset is None or match["subset"] in (None, subset)):
            found.append(file)
    return found


def _best(files, version, word=""):
    """The file of the version that is asked for, else of a release before that of a challenge, and
    the one whose name holds `word`, if there is one."""
    version = version or ""
    prefixes = (f"oid{version}-", f"{version.replace('challenge', 'challenge-')}-")

    def rank(file):
        folder, name = os.path.split(file)
        return (
            not (version and name.startswith(prefixes)),
            VERSION_FOLDERS.get(version, "") not in folder,
            name.startswith("challenge"),
            word not in name,
            len(file),
            file,
        )

    return min(files, key=rank, default=None)
