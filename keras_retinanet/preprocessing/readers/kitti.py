"""KITTI: one text file an image, training/label_2/ID.txt and training/image_2/ID.png."""

import os

from ...errors import InputError
from ...utils.text import listed
from ..dataset import Dataset
from .files import first_folder, folders_in, images_by_stem, listed_names, names_in, stem
from .gather import Classes, Faults, Found, Object, gather
from .parsing import fields_of, numbers

LABELS, IMAGES = ("label_2", "labels"), ("image_2", "images")
SIDES = ("left", "top", "right", "bottom")
FIELDS = (15, 16)  # in files of detections, the 16th is a score
IGNORED = "DontCare"
NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")

kitti_classes = {name: label for label, name in enumerate(NAMES)}


def splits(path: str) -> list[str]:
    """Return the splits of a folder: its lists in ImageSets, or its folders with labels."""
    lists = names_in(os.path.join(path, "ImageSets"), (".txt",))
    return [stem(name) for name in lists] or [
        name for name in folders_in(path) if _label_folder(path, name)
    ]


def read_kitti(
    path: str | os.PathLike,
    split: str | None = None,
    classes: Classes = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read KITTI's object labels. DontCare boxes are ignored and have no class.

    Args:
        path: folder with training/label_2 and training/image_2, or with label_2 and image_2, or
            with <split>/labels and <split>/images.
        split: a list of ids in ImageSets, or a folder; "train" also finds the folder "training";
            None takes the only folder.
        classes: see `readers`; the names found are sorted, KITTI's own classes first.
        images_dir, faults: see `readers`.
    """
    labels_dir, ids = _annotated(str(path), split)
    parent = os.path.dirname(labels_dir)
    folders = [images_dir] if images_dir else [os.path.join(parent, name) for name in IMAGES]
    found_images = images_by_stem([*folders, labels_dir])
    images, malformed = [], Faults(faults)
    for image_id in ids:
        with malformed.collect(image_id):
            file = os.path.join(labels_dir, f"{image_id}.txt")
            image = found_images.get(image_id) or os.path.join(folders[0], f"{image_id}.png")
            images.append(Found(image, image_id, f"{file}: line", _objects(file, malformed)))
    if classes is None:
        found = {o.name for image in images for o in image.objects} - {None}
        classes = sorted(found, key=lambda name: (kitti_classes.get(name, len(NAMES)), name))
    return gather(images, classes, malformed, [str(path), images_dir])


def _annotated(path: str, split: str | None) -> tuple[str, list[str]]:
    """Return the folder of the label files, and the ids of the images of a split."""
    listing = os.path.join(path, "ImageSets", f"{split}.txt")
    is_listed = os.path.isfile(listing)
    names = ("", "training") if is_listed or split is None else (split, f"{split}ing")
    labels_dir = next(filter(None, (_label_folder(path, name) for name in names)), None)
    known = splits(path)
    if labels_dir is None and split is None and len(known) == 1:
        return _annotated(path, known[0])
    if labels_dir is None:
        where = f"{path} has no training/label_2 and training/image_2"
        raise InputError(f"{where}; name another folder or a split (splits: {listed(known)}).")
    if is_listed:
        return labels_dir, listed_names(listing, labels_dir, ".txt")
    ids = [stem(name) for name in names_in(labels_dir, (".txt",))]
    if not ids:
        raise InputError(f"{labels_dir} holds no images.")
    return labels_dir, ids


def _label_folder(path: str, name: str) -> str | None:
    return first_folder(os.path.join(path, name, labels) for labels in LABELS)


def _objects(file: str, faults: Faults) -> list[Object]:
    objects = []
    for line, fields in fields_of(file):
        where = f"{file}: line {line}"
        with faults.collect():
            if len(fields) not in FIELDS:
                raise InputError(
                    f"{where}: expected 15 fields, or 16 with a score, got {len(fields)}."
                )
            box, ignored = numbers(fields[4:8], SIDES, where), fields[0] == IGNORED
            objects.append(Object(line, None if ignored else fields[0], box, ignored))
    return objects
