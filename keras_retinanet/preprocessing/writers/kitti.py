"""KITTI: training/image_2, a text file for each picture in training/label_2, ImageSets/SET.txt."""

import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.files import stem
from keras_retinanet.preprocessing.writers import content, files

BEFORE = "-1 -1 -10"  # truncated, occluded, alpha: not known
AFTER = "-1 -1 -1 -1000 -1000 -1000 -10"  # dimensions, location, rotation_y: not known


def write_kitti(dataset, folder, set_name="train", pictures="copy"):
    """Writes the 2D boxes in rows of KITTI's 15 columns, those to be ignored as DontCare.

    A class name with spaces gets underscores, with a warning.

    Args:
        dataset: one that `checked` returned.
        folder: may hold other sets, whose pictures stand in the same folder.
        set_name: names the list of the set's pictures.
        pictures: "copy" or "link".

    Raises:
        InputError: before anything is written, where a name does not fit or a file is in the way.
    """
    content.check(dataset, set_name, pictures)
    files.check_endings(dataset.records)
    classes = _classes(dataset.class_names)
    folders = [os.path.join(folder, "training", name) for name in ("image_2", "label_2")]
    images, labels = folders
    names = files.picture_names(dataset.records, files.held(*folders))
    ids = [stem(name) for name in names]
    texts = {
        os.path.join(labels, f"{image_id}.txt"): "".join(_rows(record, classes))
        for image_id, record in zip(ids, dataset.records, strict=True)
    }
    texts[os.path.join(folder, "ImageSets", f"{set_name}.txt")] = "\n".join([*ids, ""])
    targets = [os.path.join(images, name) for name in names]
    files.store(dataset.records, texts, targets, pictures)
    content.tell_left_out(dataset, "classes of boxes that are to be ignored", classes=True)
    spaced = [repr(name) for name in dataset.class_names if name not in classes]
    content.tell("Put underscores into", spaced, len(classes), "class names", level=3)


def _classes(names):
    """The class names as single words."""
    content.check_class_names(names)
    words = ["_".join(name.split()) for name in names]
    content.check_class_names(words)
    if "dontcare" in map(str.casefold, words):
        raise InputError("Expected no class DontCare, which is KITTI's word for boxes to ignore")
    return words


def _rows(record, classes):
    boxes = content.decimals(record.boxes)
    for box, label, ignore in zip(boxes, record.labels, record.ignore, strict=True):
        word = "DontCare" if ignore else classes[label]
        yield f"{word} {BEFORE} {' '.join(map(content.plain, box))} {AFTER}\n"
