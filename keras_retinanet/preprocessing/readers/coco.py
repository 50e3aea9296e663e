"""COCO: one JSON file of images, annotations and categories."""

import math
import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...utils.outputs import note_inputs
from ...utils.text import listed
from ..dataset import Dataset
from .files import PICTURES, find_file, first_file, first_folder, folders_in, holds, stem
from .gather import Faults, Found, Object, gather
from .parsing import LARGEST, choose_set, read_json, stated_size

KEYS = {  # the lists of the file, and the keys that their entries need
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
LAYOUTS = (  # where the file of a split may lie in its folder
    "annotations/instances_{}.json",
    "{}/_annotations.coco.json",
    "instances_{}.json",
    "annotations/{}.json",
    "{}.json",
)


def sets(path: str) -> list[str]:
    """Return the sorted splits of a COCO folder."""
    folders_in(path), folders_in(os.path.join(path, "annotations"))  # raise if denied
    for layout in LAYOUTS:
        head, tail = layout.split("{}")
        files = [file.relative_to(path).as_posix() for file in Path(path).glob(head + "*" + tail)]
        if files:
            note_inputs(os.path.join(path, file) for file in files)
            return sorted(file[len(head) : len(file) - len(tail)] for file in files)
    return []


def coco_paths(
    data_dir: str | os.PathLike, set_name: str | None = None, images_dir: str | None = None
) -> tuple[str, str]:
    """Return the annotation file and the image folder of a split.

    Args:
        data_dir: the annotation file; or a folder with annotations/instances_<set_name>.json or
            one of the other `LAYOUTS`, and the images in images/<set_name>, <set_name>, images or
            the folder itself.
        set_name: such as "train2017"; None takes the only one.
        images_dir: the folder of the images, if it is another one.

    Raises:
        InputError: lists the splits that are there.
    """
    if os.path.isfile(data_dir):
        annotations_json, set_name = str(data_dir), stem(data_dir)
        data_dir = os.path.dirname(annotations_json)
        if os.path.basename(data_dir) == "annotations":
            data_dir = os.path.dirname(data_dir)
    else:
        known = sets(str(data_dir))
        set_name = choose_set(known, None, data_dir) if set_name is None else set_name
        paths = [os.path.join(data_dir, layout.format(set_name)) for layout in LAYOUTS]
        annotations_json = first_file(paths)
        if annotations_json is None:
            raise InputError(f"{paths[0]}: no such file (splits: {listed(known)}).")
    return annotations_json, images_dir or _images_dir(str(data_dir), set_name)


def _images_dir(data_dir: str, set_name: str) -> str:
    """Return the first folder that holds images, else the first that is there."""
    folders = []
    for name in (set_name, set_name.rpartition("_")[2]):  # "instances_val" is also "val"
        folders += [os.path.join(data_dir, "images", name), os.path.join(data_dir, name)]
    folders += [os.path.join(data_dir, "images"), data_dir]
    holding = next((folder for folder in folders if holds(folder, PICTURES)), None)
    return holding or first_folder(folders) or folders[0]


def read_coco(
    annotations_json: str | os.PathLike,
    images_dir: str | os.PathLike | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read a COCO "instances" file. Crowd boxes are ignored, and segments are not read.

    Classes are in the order of the category ids, which may have gaps; two categories of one name
    are one class.

    Args:
        images_dir: folder that file names start from, unless they are absolute; None looks in the
            folders that belong to the file, as `coco_paths` does.
        faults: see `readers`.
    """
    content = read_json(annotations_json, list(KEYS))
    images_dir = images_dir or coco_paths(annotations_json)[1]
    malformed = Faults(faults)
    images = _by_id(content, "images", int | str, annotations_json, malformed)
    categories = _by_id(content, "categories", int, annotations_json, malformed)
    if not images and not malformed.lines:
        raise InputError(f"{annotations_json} holds no images.")
    names = {key: str(categories[key]["name"]) for key in sorted(categories)}
    objects = _objects(content["annotations"], images, names, annotations_json, malformed)
    found = [
        Found(
            find_file(str(image["file_name"]), [images_dir]),
            image_id,
            f"{annotations_json}: annotation",
            objects[image_id],
            stated_size(image.get("width"), image.get("height")),
        )
        for image_id, image in images.items()
    ]
    first_ids = {name: key for key, name in reversed(names.items())}
    classes = list(dict.fromkeys(names.values()))
    return gather(found, classes, malformed, [first_ids[name] for name in classes])


def _by_id(
    content: dict, kind: str, id_type: Any, path: str | os.PathLike, faults: Faults
) -> dict[Any, dict]:
    """Return {id: entry} of the images or categories, in the file's order."""
    result = {}
    where = f"{path}: {'image' if kind == 'images' else 'category'}"
    for position, entry in enumerate(content[kind]):
        with faults.collect():
            _check_keys(kind, entry, position, path)
            key, name = entry["id"], entry.get("file_name", "-")
            if not isinstance(key, id_type) or isinstance(key, bool):
                raise InputError(f"{where}: expected an integer as id, got {key!r}.")
            if kind == "images" and (not isinstance(name, str) or not name.strip()):
                raise InputError(f"{where} {key}: expected a file_name, got {name!r}.")
            if key in result:
                raise InputError(f"{where} {key}: the id is taken by an earlier entry.")
            result[key] = entry
    return result


def _objects(
    annotations: list, images: dict, names: dict[int, str], path: str | os.PathLike, faults: Faults
) -> dict[int | str, list[Object]]:
    """Return {image id: its objects}."""
    objects: dict[int | str, list[Object]] = {image_id: [] for image_id in images}
    for position, annotation in enumerate(annotations):
        with faults.collect():
            _check_keys("annotations", annotation, position, path)
            entry = _id_of(annotation, position)
            where = f"{path}: annotation {entry}"
            of_image = _look_up(objects, annotation, "image_id", where)
            with faults.collect(annotation["image_id"]):
                name = _look_up(names, annotation, "category_id", where)
                box, area = _box(annotation, where)
                of_image.append(Object(entry, name, box, bool(annotation.get("iscrowd")), area))
    return objects


def _check_keys(kind: str, entry: Any, position: int, path: str | os.PathLike) -> None:
    missing = [key for key in KEYS[kind] if not isinstance(entry, dict) or key not in entry]
    if missing:
        where = f"{path}: {kind}, entry {_id_of(entry, position)}"
        raise InputError(f"{where}: missing keys: {listed(missing)}; needed: {listed(KEYS[kind])}.")


def _id_of(entry: Any, position: int) -> int | str:
    """Return the id of an entry, else its position in the list: "#0" for the first."""
    has_id = isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
    return entry["id"] if has_id else f"#{position}"


def _look_up(known: Mapping, annotation: dict, key: str, where: str) -> Any:
    try:
        return known[annotation[key]]
    except (KeyError, TypeError):  # TypeError: a list or an object where an id belongs
        value = annotation[key]
        raise InputError(f"{where}: unknown {key}: {value!r} (known: {listed(known)}).") from None


def _box(annotation: dict, where: str) -> tuple[Sequence[float], float]:
    """Return the annotation's box (x1, y1, x2, y2) in px, and its area in px²."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        given = annotation.get("area")
        area = width * height if given is None else float(given)
        sound = max(map(abs, (x, y, width, height))) <= LARGEST and abs(area) <= LARGEST**2
    except (OverflowError, TypeError, ValueError):  # OverflowError: an integer of 400 digits
        sound = False
    if not sound or math.isnan(x + y + width + height):
        bbox, given = (reprlib.repr(annotation.get(key)) for key in ("bbox", "area"))
        expected = "expected a bbox of 4 numbers x, y, width, height, and a number as area"
        raise InputError(f"{where}: {expected}, got bbox={bbox}, area={given}.")
    return (x, y, x + width, y + height), area
