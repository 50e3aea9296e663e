"""COCO: one JSON file of images, annotations and categories."""

import math
import os
import reprlib
from pathlib import Path

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.readers.files import (
    PICTURES,
    find_file,
    folders_in,
    holds,
    stem,
)
from keras_retinanet.preprocessing.readers.gather import collect_of, without_lost
from keras_retinanet.preprocessing.readers.parsing import (
    LARGEST,
    choose_set,
    read_json,
    stated_size,
)
from keras_retinanet.utils.outputs import note_inputs
from keras_retinanet.utils.text import listed

KEYS = {  # what every entry must have
    "images": ("id", "file_name"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
LAYOUTS = (  # where the file of a set lies in its folder
    "annotations/instances_{}.json",
    "{}/_annotations.coco.json",
    "instances_{}.json",
    "annotations/{}.json",
    "{}.json",
)


def sets(path):
    """The names of the sets in a COCO folder, sorted."""
    folders_in(path), folders_in(os.path.join(path, "annotations"))  # raise where denied
    for layout in LAYOUTS:
        head, tail = layout.split("{}")
        files = [file.relative_to(path).as_posix() for file in Path(path).glob(head + "*" + tail)]
        if files:
            note_inputs(os.path.join(path, file) for file in files)
            return sorted(file[len(head) : len(file) - len(tail)] for file in files)
    return []


def coco_paths(data_dir, set_name=None, images_dir=None):
    """The annotation file and the image folder of a set.

    Args:
        data_dir: the annotation file; or a folder with annotations/instances_<set_name>.json or
            one of the other `LAYOUTS`, and the images in images/<set_name>, <set_name>, images or
            the folder itself.
        set_name: such as "train2017"; None takes the only one.
        images_dir: the folder of the images where it is another one.

    Raises:
        InputError: where there is no such file; names the sets that there are.
    """
    if os.path.isfile(data_dir):
        annotations_json, set_name = str(data_dir), stem(data_dir)
        data_dir = os.path.dirname(annotations_json)
        if os.path.basename(data_dir) == "annotations":
            data_dir = os.path.dirname(data_dir)
    else:
        known = sets(data_dir)
        set_name = choose_set(known, None, data_dir) if set_name is None else set_name
        paths = [os.path.join(data_dir, layout.format(set_name)) for layout in LAYOUTS]
        annotations_json = next(filter(os.path.isfile, paths), None)
        if annotations_json is None:
            raise InputError(f"{paths[0]}: no such file (sets: {listed(known)})")
    return annotations_json, images_dir or _images_dir(data_dir, set_name)


def _images_dir(data_dir, set_name):
    """The first folder that holds pictures, else the first that is there."""
    folders = []
    for name in (set_name, set_name.rpartition("_")[2]):  # "instances_val" is also "val"
        folders += [os.path.join(data_dir, "images", name), os.path.join(data_dir, name)]
    folders += [os.path.join(data_dir, "images"), data_dir]
    holding = next((folder for folder in folders if holds(folder, PICTURES)), None)
    return holding or next(filter(os.path.isdir, folders), folders[0])


def read_coco(annotations_json, images_dir=None, faults=None):
    """The data set of a COCO "instances" file.

    Classes are in the order of the category ids, which may have gaps; two categories of one name
    are one class. Crowd boxes are ignored, and segments are not read.

    Args:
        annotations_json: the file.
        images_dir: folder that file names start from, unless they are absolute; None looks in the
            folders that belong to the file, as `coco_paths` does.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names the file, and line and column or the entry.
    """
    content = _read(annotations_json)
    if images_dir is None:
        _, images_dir = coco_paths(annotations_json)
    where = f"{annotations_json}: annotation"
    images = _by_id(content, "images", int | str, annotations_json, faults)
    categories = _by_id(content, "categories", int, annotations_json, faults)
    if not images and not faults:
        raise InputError(f"{annotations_json} holds no images")
    classes = {}  # {name: its category ids}
    for category_id in sorted(categories):
        classes.setdefault(str(categories[category_id]["name"]), []).append(category_id)
    labels = {i: label for label, ids in enumerate(classes.values()) for i in ids}
    lost = set()
    rows = _boxes(content["annotations"], images, labels, annotations_json, lost, faults)
    records = [
        make_record(
            find_file(str(image["file_name"]), [images_dir]),
            image_id,
            boxes=[box for box, *_ in rows[image_id]],
            labels=[label for _, label, *_ in rows[image_id]],
            ignore=[crowd for _, _, crowd, *_ in rows[image_id]],
            area=[area for *_, area, _ in rows[image_id]],
            origin=where,
            entries=[entry for *_, entry in rows[image_id]],
            stated_size=stated_size(image.get("width"), image.get("height")),
        )
        for image_id, image in images.items()
    ]
    return Dataset(without_lost(records, lost), list(classes), [ids[0] for ids in classes.values()])


def _boxes(annotations, images, labels, path, lost, faults):
    """{image id: [(box, label, crowd, area, annotation id)]}; `labels` are {category id: label}."""
    rows = {image_id: [] for image_id in images}
    for position, annotation in enumerate(annotations):
        with collect(faults):
            _check_keys("annotations", annotation, position, path)
            entry = _name(annotation, position)
            where = f"{path}: annotation {entry}"
            image_rows = _look_up(rows, annotation, "image_id", where)
            with collect_of(annotation["image_id"], lost, faults):
                label = _look_up(labels, annotation, "category_id", where)
                box, area = _box(annotation, where)
                image_rows.append((box, label, bool(annotation.get("iscrowd")), area, entry))
    return rows


def _read(path):
    """The file's content, which has the three lists."""
    content = read_json(path)
    for kind in KEYS:
        if not isinstance(content, dict) or not isinstance(content.get(kind), list):
            raise InputError(f"{path}: expected an object with a list of {kind!r}")
    return content


def _by_id(content, kind, id_type, path, faults):
    """{id: entry}, in the file's order."""
    result = {}
    singular = {"images": "image", "categories": "category"}[kind]
    for position, entry in enumerate(content[kind]):
        with collect(faults):
            _check_keys(kind, entry, position, path)
            key, where = entry["id"], f"{path}: {singular}"
            if not isinstance(key, id_type) or isinstance(key, bool):
                raise InputError(f"{where}: expected an integer as id. Received: {key!r}")
            name = entry.get("file_name", "-")
            if kind == "images" and (not isinstance(name, str) or not name.strip()):
                raise InputError(f"{where} {key}: expected a file_name. Received: {name!r}")
            if key in result:
                raise InputError(f"{where} {key}: stands there twice")
            result[key] = entry
    return result


def _check_keys(kind, entry, position, path):
    missing = [key for key in KEYS[kind] if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise InputError(
            f"{path}: {kind}, entry {_name(entry, position)}: expected the keys "
            f"{listed(KEYS[kind])}. Missing: {listed(missing)}"
        )


def _name(entry, position):
    """The id of an entry, else its position in the list: "#0" for the first."""
    has_id = isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
    return entry["id"] if has_id else f"#{position}"


def _look_up(known, annotation, key, where):
    try:
        return known[annotation[key]]
    except (KeyError, TypeError):  # TypeError: a list or an object where an id belongs
        raise InputError(
            f"{where}: unknown {key}: {annotation[key]!r} (known: {listed(known)})"
        ) from None


def _box(annotation, where):
    """The annotation's box (x1, y1, x2, y2) in px, and its area in px²."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        given = annotation.get("area")
        area = width * height if given is None else float(given)
        sound = max(map(abs, (x, y, width, height))) <= LARGEST and abs(area) <= LARGEST**2
    except (OverflowError, TypeError, ValueError):  # OverflowError: an integer of 400 digits
        sound = False
    if not sound or math.isnan(x + y + width + height):
        bbox, area = (reprlib.repr(annotation.get(key)) for key in ("bbox", "area"))
        raise InputError(
            f"{where}: expected a bbox of 4 numbers x, y, width, height, and a number as area. "
            f"Received: bbox={bbox}, area={area}"
        )
    return (x, y, x + width, y + height), area
