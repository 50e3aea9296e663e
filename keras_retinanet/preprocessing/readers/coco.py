"""COCO: one JSON file of images, annotations and categories."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...utils.outputs import note_inputs
from ...utils.text import listed, printable, quoted
from ..dataset import FREQUENCIES, Dataset
from .files import IMAGE_SUFFIXES, find_file, first_file, first_folder, folders_in, holds, stem
from .gather import Faults, Found, Object, gather
from .parsing import (
    LARGEST,
    box_around,
    choose_split,
    flag,
    integer,
    number,
    read_json,
    stated_name,
    stated_size,
)
from .recognise import kind_of_file

KEYS = {  # the lists of the file, and the keys that their entries need
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
LAYOUTS = (  # the paths that the file of a split may have in its folder
    "annotations/instances_{}.json",
    "{}/_annotations.coco.json",
    "instances_{}.json",
    "annotations/{}.json",
    "{}.json",
)


def splits(path: str) -> list[str]:
    """Return the sorted splits of a COCO folder."""
    folders_in(path), folders_in(os.path.join(path, "annotations"))  # raise if denied
    for layout in LAYOUTS:
        head, tail = layout.split("{}")
        files = [file.relative_to(path).as_posix() for file in Path(path).glob(head + "*" + tail)]
        if tail == ".json" and "instances" not in head:  # any JSON file
            files = [file for file in files if kind_of_file(os.path.join(path, file)) == "coco"]
        if files:
            note_inputs(os.path.join(path, file) for file in files)
            return sorted(file[len(head) : len(file) - len(tail)] for file in files)
    return []


def coco_paths(
    data_dir: str | os.PathLike, split: str | None = None, images_dir: str | None = None
) -> tuple[str, str]:
    """Return the annotation file and the image folder of a split.

    Args:
        data_dir: the annotation file; or a folder with annotations/instances_<split>.json or
            one of the other `LAYOUTS`, and the images in images/<split>, <split>, images or
            the folder itself.
        split: such as "train2017"; None takes the only split.
        images_dir: the folder of the images, if it is not one of these folders.

    Raises:
        InputError: lists the splits that exist.
    """
    if os.path.isdir(data_dir):
        known = splits(str(data_dir))
        split = choose_split(known, None, data_dir) if split is None else split
        paths = [os.path.join(data_dir, layout.format(split)) for layout in LAYOUTS]
        annotations_json = first_file(paths)
        if annotations_json is None:
            raise InputError(f"{paths[0]}: no such file (splits: {listed(known)}).")
    else:
        annotations_json, split = str(data_dir), stem(data_dir)
        data_dir = _folder_of(annotations_json)
    return annotations_json, images_dir or _images_dir(str(data_dir), split)


def _folder_of(annotations_json: str) -> str:
    folder, name = os.path.split(os.path.dirname(annotations_json))
    return folder if name == "annotations" else os.path.join(folder, name)


def _images_dir(data_dir: str, split: str) -> str:
    """Return the first folder that holds images, else the first that exists."""
    folders = []
    for name in (split, split.rpartition("_")[2]):  # "instances_val" is also "val"
        folders += [os.path.join(data_dir, "images", name), os.path.join(data_dir, name)]
    folders += [os.path.join(data_dir, "images"), data_dir]
    holding = next((folder for folder in folders if holds(folder, IMAGE_SUFFIXES)), None)
    return holding or first_folder(folders) or folders[0]


def read_coco(
    path: str | os.PathLike,
    images_dir: str | None = None,
    faults: list[str] | None = None,
    split: str | None = None,
) -> Dataset:
    """Read a COCO "instances" file. Crowd boxes are ignored.

    Segments are read only if an annotation has no bbox; it then gets the box around its polygons.
    Classes are in the order of the category ids, which may have gaps; two categories with the same
    name are one class. The "frequency" of a category is kept, as LVIS writes it. A category
    without boxes that is the supercategory of all others, such as Roboflow's first, is left out.

    Args:
        path: the file, or a folder, see `coco_paths`.
        images_dir: folder that file names start from, unless they are absolute; None looks in the
            folders that belong to the file.
        faults, split: see `readers`.
    """
    path, images_dir = coco_paths(path, split, images_dir)
    content = read_json(path, list(KEYS))
    malformed = Faults(faults)
    images = _by_id(content, "images", path, malformed)
    categories = _by_id(content, "categories", path, malformed)
    if not images and not malformed.lines:
        raise InputError(f"{path} holds no images.")
    names = {key: categories[key]["name"] for key in sorted(categories)}
    objects = _objects(content["annotations"], images, names, path, malformed)
    found = []
    for key, image in images.items():
        file = find_file(image["file_name"], [images_dir])
        size = stated_size(image.get("width"), image.get("height"))
        origin, written = f"{path}: annotation", image["file_name"]
        found.append(Found(file, image["id"], origin, objects[key], size, name=written))
    used = {o.name for in_image in objects.values() for o in in_image}
    names = {key: name for key, name in names.items() if not _is_heading(key, categories, used)}
    if len(names) < len(categories):
        left = listed(c["name"] for key, c in categories.items() if key not in names)
        message = f"{path}: left out the category {left}, a supercategory without boxes."
        warnings.warn(message, UserWarning, stacklevel=2)
    first_ids = {name: key for key, name in reversed(names.items())}
    classes = list(dict.fromkeys(names.values()))
    folders = [_folder_of(path), images_dir]
    ids = [first_ids[name] for name in classes]
    frequencies = {name: categories[first_ids[name]].get("frequency") for name in classes}
    known = {name: each for name, each in frequencies.items() if each in FREQUENCIES}
    return replace(gather(found, classes, malformed, folders, ids), frequencies=known)


def _is_heading(key: Any, categories: Mapping[Any, dict], used: set[str | None]) -> bool:
    """Return True if a category without boxes is the supercategory of all others."""
    name = categories[key]["name"]
    above = [other.get("supercategory") for other in categories.values()]
    heads = above.count(name) == len(categories) - 1 > 0
    return heads and name not in used and categories[key].get("supercategory") != name


def _by_id(content: dict, kind: str, path: str, faults: Faults) -> dict[Any, dict]:
    """Return {key of the id: entry} of the images or categories, in the file's order."""
    result: dict[Any, dict] = {}
    one = "image" if kind == "images" else "category"
    for position, entry in enumerate(content[kind]):
        with faults.collect():
            where = _check_keys(kind, entry, position, path)
            key = _key(entry["id"])
            if key is None or (kind == "categories" and isinstance(key, str)):
                expected = "an integer as id"
                raise InputError(f"{path}: {one}: expected {expected}, got {quoted(entry['id'])}.")
            where = f"{path}: {one} {printable(key)}"
            what = KEYS[kind][1]  # file_name or name
            entry = {**entry, what: stated_name(entry[what], what, where)}
            entry["id"] = entry["id"] if isinstance(entry["id"], str) else key
            if key in result:
                raise InputError(f"{where}: an earlier entry has the same id; change one of them.")
            result[key] = entry
    return result


def _key(value: Any) -> int | str | None:
    """Return an id as an integer if it is a number, unchanged if it is other text, else None."""
    try:
        return integer(value, "id", "")
    except InputError:
        return value if isinstance(value, str) else None


def _objects(
    annotations: list, images: dict, names: Mapping, path: str, faults: Faults
) -> dict[int | str, list[Object]]:
    objects: dict[int | str, list[Object]] = {key: [] for key in images}
    for position, annotation in enumerate(annotations):
        with faults.collect():
            where = _check_keys("annotations", annotation, position, path)
            of_image = _look_up(objects, annotation, "image_id", where)
            with faults.collect(images[_key(annotation["image_id"])]["id"]):
                name = _look_up(names, annotation, "category_id", where)
                box, area = _box(annotation, where)
                crowd = flag(annotation.get("iscrowd"), "iscrowd", where)
                of_image.append(Object(_id_of(annotation, position), name, box, crowd, area))
    return objects


def _check_keys(kind: str, entry: Any, position: int, path: str) -> str:
    """Return the place of an entry; raise an InputError that lists the keys that it lacks."""
    if kind == "annotations" and isinstance(entry, dict) and entry.get("segmentation"):
        entry.setdefault("bbox", [])
    missing = [key for key in KEYS[kind] if not isinstance(entry, dict) or key not in entry]
    if missing:
        where = f"{path}: {kind}, entry {_id_of(entry, position)}"
        raise InputError(f"{where}: missing keys: {listed(missing)}; needed: {listed(KEYS[kind])}.")
    return f"{path}: annotation {_id_of(entry, position)}"


def _id_of(entry: Any, position: int) -> int | str:
    """Return the id of an entry, else its position in the list: "#0" for the first."""
    value = entry.get("id") if isinstance(entry, dict) else None
    if isinstance(value, str):
        return printable(value)
    return value if type(value) is int else f"#{position}"


def _look_up(known: Mapping, annotation: dict, name: str, where: str) -> Any:
    key = _key(annotation[name])
    if key not in known:
        value = quoted(annotation[name])
        raise InputError(f"{where}: unknown {name}: {value} (known: {listed(known)}).")
    return known[key]


def _box(annotation: dict, where: str) -> tuple[Sequence[float], float]:
    """Return the annotation's box (x1, y1, x2, y2) in px, and its area in px²."""
    box, segments, area = (annotation.get(key) for key in ("bbox", "segmentation", "area"))
    try:
        if not box and isinstance(segments, list) and segments:
            corners = [number(value, "segmentation", where) for part in segments for value in part]
            x1, y1, x2, y2 = box_around(zip(corners[::2], corners[1::2], strict=True))
            x, y, width, height = x1, y1, x2 - x1, y2 - y1
        else:
            if not isinstance(box, list) or len(box) != 4:
                raise InputError(where)
            x, y, width, height = (number(value, "bbox", where) for value in box)
        area = width * height if area is None else number(area, "area", where, LARGEST**2)
        sound = area >= 0 or annotation.get("area") is None
    except (InputError, TypeError, ValueError):
        sound = False
    if not sound:
        expected = "expected a bbox of 4 numbers x, y, width, height, and a number as area"
        got = f"bbox={quoted(box)}, area={quoted(annotation.get('area'))}"
        raise InputError(f"{where}: {expected}, got {got}.")
    return (x, y, x + width, y + height), area
