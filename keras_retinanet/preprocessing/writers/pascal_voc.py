"""Pascal VOC: JPEGImages, an XML file for each image in Annotations, ImageSets/Main/SPLIT.txt."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ..dataset import Dataset, Record
from . import content
from .files import Output


def write_pascal(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write boxes counted from 1: all four coordinates are 1 more; ignored boxes are difficult.

    Arguments: see `writers`.
    """
    places = "JPEGImages", "Annotations"
    output = Output(dataset, folder, split, image_files, *places, any_suffix=True)
    names = dataset.class_names
    content.check_class_names(names)
    pairs = zip(dataset.records, output.names, strict=True)
    texts = output.label_files(".xml", (_text(record, name, names) for record, name in pairs))
    texts[output.path(f"ImageSets/Main/{split}.txt")] = output.image_list()
    output.store(texts)
    content.warn_left_out(dataset, classes=True)


def _text(record: Record, name: str, class_names: Sequence[str]) -> str:
    root = ElementTree.Element("annotation")
    width, height = record.size
    _add(root, {"folder": "JPEGImages", "filename": name})
    _add(root, {"size": {"width": width, "height": height, "depth": 3}, "segmented": 0})
    for box, label, ignored in content.rows_of(record):
        corners = [content.plain(value + 1) for value in box]
        thing = {
            "name": class_names[label],
            "pose": "Unspecified",
            "truncated": 0,
            "difficult": int(ignored),
            "bndbox": dict(zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)),
        }
        _add(root, {"object": thing})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, fields: dict) -> None:
    """Add elements for a dict of texts, numbers and dicts."""
    for tag, value in fields.items():
        element = ElementTree.SubElement(parent, tag)
        if isinstance(value, dict):
            _add(element, value)
        else:
            element.text = str(value)
