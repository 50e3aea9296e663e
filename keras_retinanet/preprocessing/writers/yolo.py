"""YOLO: data.yaml, the pictures in images/SET, and a text file for each in labels/SET."""

import os

import yaml

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.files import stem
from keras_retinanet.preprocessing.writers import content, files
from keras_retinanet.utils.text import listed, read_text

SETS = ("train", "val", "test")


def write_yolo(dataset, folder, set_name="train", pictures="copy"):
    """Writes rows `label x y width height`: the box's centre and sides as shares of the picture.

    Boxes to be ignored are left out, with a warning. data.yaml knows the sets train, val and test;
    a name that begins so, such as train2017, stands for that one.

    Args:
        dataset: one that `checked` returned.
        folder: may hold other sets of the same classes, which data.yaml names too.
        set_name: names the folders.
        pictures: "copy" or "link".

    Raises:
        InputError: before anything is written, where a file is in the way.
    """
    content.check(dataset, set_name, pictures)
    files.check_endings(dataset.records)
    names = files.picture_names(dataset.records)
    images, labels = (os.path.join(folder, kind, set_name) for kind in ("images", "labels"))
    texts = {
        os.path.join(labels, f"{stem(name)}.txt"): "".join(_rows(record))
        for name, record in zip(names, dataset.records, strict=True)
    }
    path = os.path.join(folder, "data.yaml")
    texts[path] = _data_yaml(path, dataset.class_names, set_name)
    targets = [os.path.join(images, name) for name in names]
    files.store(dataset.records, texts, targets, pictures, own=[images, labels], replaced=[path])
    content.tell_left_out(dataset, ignored="boxes that are to be ignored")


def _rows(record):
    width, height = record.size
    boxes = content.decimals(record.boxes[~record.ignore])
    for (x1, y1, x2, y2), label in zip(boxes, record.labels[~record.ignore], strict=True):
        sides = (x1 + x2, 2 * width), (y1 + y2, 2 * height), (x2 - x1, width), (y2 - y1, height)
        yield f"{label} {' '.join(content.share(*pair) for pair in sides)}\n"


def _data_yaml(path, names, set_name):
    """The text of data.yaml, with what it says of other sets."""
    key = next((known for known in SETS if set_name.startswith(known)), None)
    if key is None:
        raise InputError(f"Expected a set named as {listed(SETS)}. Received: {set_name!r}")
    head = _yaml({"nc": len(names), "names": dict(enumerate(names))})
    text = read_text(path) if os.path.lexists(path) else head
    if not text.startswith(head):
        raise InputError(f"{path}: expected the classes of this set, in its order")
    if key in yaml.safe_load(text):
        raise InputError(f"{path}: is in the way, for it names a set {key} already")
    return text + _yaml({key: f"images/{set_name}"})


def _yaml(mapping):
    return yaml.safe_dump(mapping, allow_unicode=True, sort_keys=False, width=10_000)
