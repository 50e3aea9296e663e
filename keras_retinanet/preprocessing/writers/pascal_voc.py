"""Pascal VOC: JPEGImages, an XML file for each picture in Annotations, ImageSets/Main/SET.txt."""

import os
import xml.etree.ElementTree as ElementTree

from keras_retinanet.preprocessing.readers.files import stem
from keras_retinanet.preprocessing.writers import content, files


def write_pascal(dataset, folder, set_name="train", pictures="copy"):
    """Writes boxes counted from 1: all four coordinates are 1 more; ignored ones are difficult.

    Args:
        dataset: one that `checked` returned.
        folder: may hold other sets, whose pictures stand in the same folder.
        set_name: names the list of the set's pictures.
        pictures: "copy" or "link".

    Raises:
        InputError: before anything is written, where a name does not fit or a file is in the way.
    """
    content.check(dataset, set_name, pictures)
    content.check_class_names(dataset.class_names)
    folders = [os.path.join(folder, name) for name in ("JPEGImages", "Annotations")]
    images, annotations = folders
    names = files.picture_names(dataset.records, files.held(*folders))
    ids = [stem(name) for name in names]
    texts = {
        os.path.join(annotations, f"{image_id}.xml"): _text(record, name, dataset.class_names)
        for image_id, name, record in zip(ids, names, dataset.records, strict=True)
    }
    list_path = os.path.join(folder, "ImageSets", "Main", f"{set_name}.txt")
    texts[list_path] = "\n".join([*ids, ""])
    targets = [os.path.join(images, name) for name in names]
    files.store(dataset.records, texts, targets, pictures)
    content.tell_left_out(dataset, classes=True)


def _text(record, name, class_names):
    """The annotation file of a picture."""
    root = ElementTree.Element("annotation")
    width, height = record.size
    _add(root, {"folder": "JPEGImages", "filename": name})
    _add(root, {"size": {"width": width, "height": height, "depth": 3}, "segmented": 0})
    boxes = content.decimals(record.boxes)
    for box, label, ignore in zip(boxes, record.labels, record.ignore, strict=True):
        corners = [content.plain(value + 1) for value in box]
        thing = {
            "name": class_names[label],
            "pose": "Unspecified",
            "truncated": 0,
            "difficult": int(ignore),
            "bndbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)),
        }
        _add(root, {"object": thing})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent, fields):
    """Elements for a dict of texts, numbers and dicts."""
    for tag, value in fields.items():
        element = ElementTree.SubElement(parent, tag)
        if isinstance(value, dict):
            _add(element, value)
        else:
            element.text = str(value)
