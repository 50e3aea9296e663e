"""The files of an Open Images folder that hold a subset's boxes, images and classes."""

import dataclasses
import os
import re
from collections.abc import Iterable

from ...errors import InputError
from .files import folders_in, names_in
from .parsing import choose_split

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
    """The files of a subset; None or [] for files that do not exist."""

    folder: str
    subset: str | None
    boxes: str
    classes: str | None
    hierarchy: str | None
    listing: str | None
    images: list[str]  # folders


def splits(path: str | os.PathLike) -> list[str]:
    """Return the sorted subsets of a folder."""
    return sorted(_boxes_by_subset(_files(str(path))))


def find(path: str, subset: str | None = None, version: str | None = None) -> Files:
    """Return the `Files` of a subset in a folder, or the files beside a CSV file of boxes."""
    boxes = path if os.path.isfile(path) else None
    path = os.path.dirname(path) if boxes else path
    files = _files(path)
    if boxes:
        match = BOXES.fullmatch(os.path.basename(boxes))
        subset = subset or (match["subset"] if match else None)
    else:
        by_subset = _boxes_by_subset(files)
        if not by_subset:
            raise InputError(f"{path} holds no SPLIT-annotations-bbox.csv; pass another folder.")
        subset = choose_split(by_subset, subset, path)
        boxes = _best(by_subset[subset], version)
    usual = [("images", subset), (subset, "data"), (subset, "images"), (subset,)] if subset else []
    usual += [("images",), ("data",), ()]
    images = [os.path.join(path, *parts) for parts in usual]
    return Files(
        path,
        subset,
        boxes,
        _best(_matching(files, CLASSES), version, "boxable"),
        _best(_matching(files, HIERARCHY), version),
        _best(_matching(files, LISTING, subset), version, "boxable"),
        [folder for folder in images if os.path.isdir(folder)] or [path],
    )


def _boxes_by_subset(files: Iterable[str]) -> dict[str, list[str]]:
    """Return {subset: paths of its box files}."""
    found: dict[str, list[str]] = {}
    for file in _matching(files, BOXES):
        subset = BOXES.fullmatch(os.path.basename(file))["subset"]
        if subset is None:  # detections.csv, which is in SUBSET/labels
            subset = os.path.basename(os.path.dirname(os.path.dirname(file)))
        found.setdefault(subset, []).append(file)
    return found


def _files(path: str) -> list[str]:
    """Return the CSV and JSON files of a folder and of the usual folders in it."""
    folders = [path]
    for name in folders_in(path):
        folder = os.path.join(path, name)
        inner = folders_in(folder) if name in FOLDERS else ("labels", "metadata")
        folders += [folder, *(os.path.join(folder, name) for name in inner)]
    return [
        os.path.join(folder, name)
        for folder in folders
        for name in names_in(folder, (".csv", ".json"))
    ]


def _matching(files: Iterable[str], pattern: re.Pattern, subset: str | None = None) -> list[str]:
    """Return the files whose name fits a pattern, and `subset` if the name states a subset."""
    found = []
    for file in files:
        match = pattern.fullmatch(os.path.basename(file))
        if match and (subset is None or match["subset"] in (None, subset)):
            found.append(file)
    return found


def _best(files: Iterable[str], version: str | None, word: str = "") -> str | None:
    """Return the best file: of the wanted version, not of a challenge, with `word` in its name."""
    version = version or ""
    prefixes = (f"oid{version}-", f"{version.replace('challenge', 'challenge-')}-")

    def rank(file: str) -> tuple:
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
