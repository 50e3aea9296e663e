"""KITTI: one text file an image, training/label_2/ID.txt and training/image_2/ID.png."""

import os

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.readers.files import (
    folders_in,
    names_in,
    pictures_by_stem,
    stem,
)
from keras_retinanet.preprocessing.readers.gather import Found, collect_of, gather
from keras_retinanet.preprocessing.readers.parsing import number
from keras_retinanet.utils.text import listed, read_text

LABELS, IMAGES = ("label_2", "labels"), ("image_2", "images")
SIDES = ("left", "top", "right", "bottom")
FIELDS = (15, 16)  # the last is a score, in files of detections
IGNORED = "DontCare"

kitti_classes = {
    "Car": 0,
    "Van": 1,
    "Truck": 2,
    "Pedestrian": 3,
    "Person_sitting": 4,
    "Cyclist": 5,
    "Tram": 6,
    "Misc": 7,
}


def sets(path):
    """The names of the sets of a folder: its lists in ImageSets, or its folders with labels."""
    lists = names_in(os.path.join(path, "ImageSets"), (".txt",))
    return [stem(name) for name in lists] or [
        name for name in folders_in(path) if _label_folder(os.path.join(path, name))
    ]


def read_kitti(path, set_name=None, classes=None, images_dir=None, faults=None):
    """The data set of KITTI's object labels.

    What is marked as DontCare is ignored and is no class.

    Args:
        path: folder with training/label_2 and training/image_2, or with label_2 and image_2, or
            with <set_name>/labels and <set_name>/images.
        set_name: a list of ids in ImageSets, or a folder, of which "train" also finds "training";
            None takes the only folder.
        classes: names in the order of their labels, or {name: label}; None takes the names found,
            in KITTI's own order, others after them.
        images_dir: folder of the pictures; None takes that beside the labels.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names file and line.
    """
    labels_dir, ids = _annotated(str(path), set_name)
    parent = os.path.dirname(labels_dir)
    folders = [images_dir] if images_dir else [os.path.join(parent, name) for name in IMAGES]
    pictures = pictures_by_stem([*folders, labels_dir])
    images, lost = [], set()
    for image_id in ids:
        with collect_of(image_id, lost, faults):
            file = os.path.join(labels_dir, f"{image_id}.txt")
            path = pictures.get(image_id) or os.path.join(folders[0], f"{image_id}.png")
            images.append(Found(path, image_id, f"{file}: line", _objects(file, faults)))
    if classes is None:
        classes = _in_order(name for image in images for _, name, *_ in image.objects)
    return gather(images, classes, faults, lost)


def _annotated(path, set_name):
    """The folder of the label files, and the ids of the images of a set."""
    listing = os.path.join(path, "ImageSets", f"{set_name}.txt")
    listed_there = os.path.isfile(listing)
    names = (set_name, f"{set_name}ing")
    if listed_there or set_name is None:
        names = ("", "training")
    labels_dir = next(filter(None, (_label_folder(os.path.join(path, n)) for n in names)), None)
    known = sets(path)
    if labels_dir is None and set_name is None and len(known) == 1:
        return _annotated(path, known[0])
    if labels_dir is None:
        where = f"{path}: expected a folder with training/label_2 and training/image_2"
        raise InputError(f"{where}, or the name of a set (sets: {listed(known)})")
    if listed_there:
        ids = [*filter(None, map(str.strip, read_text(listing).splitlines()))]
    else:
        ids = [stem(name) for name in names_in(labels_dir, (".txt",))]
    if not ids:
        raise InputError(f"{listing if listed_there else labels_dir} holds no images")
    return labels_dir, list(dict.fromkeys(ids))


def _label_folder(path):
    folders = (os.path.join(path, name) for name in LABELS)
    return next(filter(os.path.isdir, folders), None)


def _objects(file, faults):
    """[(line, class name or None, [x1, y1, x2, y2], whether it is ignored)]"""
    objects = []
    for line, text in enumerate(read_text(file).splitlines(), start=1):
        fields = text.split()
        if not fields:
            continue
        where = f"{file}: line {line}"
        with collect(faults):
            if len(fields) not in FIELDS:
                raise InputError(
                    f"{where}: expected 15 fields, or 16 with a score. Received: {len(fields)}"
                )
            box = [*map(number, fields[4:8], SIDES, [where] * 4)]
            ignored = fields[0] == IGNORED
            objects.append((line, None if ignored else fields[0], box, ignored))
    return objects


def _in_order(names):
    """The names of classes, KITTI's own first."""
    found = set(names) - {None}
    return [name for name in kitti_classes if name in found] + sorted(found - kitti_classes.keys())
