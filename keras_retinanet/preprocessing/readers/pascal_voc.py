"""Pascal VOC: one XML file an image, in the layout of the VOCdevkit or in a flat folder."""

import os
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

from ...errors import InputError
from ...utils.text import listed
from ..dataset import Dataset
from .files import (
    files_under,
    find_file,
    first_file,
    first_folder,
    folders_in,
    holds,
    images_by_stem,
    listed_names,
    names_in,
    stem,
)
from .gather import Classes, Faults, Found, Object, gather
from .parsing import box_around, flag, numbers, read_xml, stated_name, stated_size

LAYOUT = "Annotations, JPEGImages and ImageSets/Main, or a folder of XML files"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

voc_classes = {name: label for label, name in enumerate(NAMES)}


def splits(path: str) -> list[str]:
    """Return the splits of a folder: its lists or its folders of XML files, [] if it has neither.

    Lists of one class, such as "cow_train", come last.
    """
    lists = [stem(name) for name in names_in(_lists_folder(path), (".txt",))]
    if lists:
        return sorted(lists, key=lambda name: ("_" in name, name))
    if _xml_folder(path):
        return []
    return [
        name
        for name in _inner_data(path)
        if not os.path.isdir(_lists_folder(os.path.join(path, name)))
    ]


def read_pascal(
    path: str | os.PathLike,
    split: str | None = None,
    classes: Classes = None,
    image_extension: str = ".jpg",
    skip_truncated: bool = False,
    skip_difficult: bool = False,
    one_based: bool = True,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read the images that ImageSets/Main/<split>.txt lists. Difficult objects are ignored.

    Args:
        path: folder with ImageSets/Main, Annotations and JPEGImages; or a folder of XML files with
            the images beside them; or a folder of several such folders, the splits.
        split: such as "train"; None takes all XML files of the folder.
        image_extension: tried first; then the annotation's file name, then other extensions.
        skip_truncated: leave out objects marked as truncated.
        skip_difficult: leave out objects marked as difficult.
        one_based: the file counts pixels from 1, so 1 is subtracted from all four coordinates. A
            `UserWarning` names a box that begins at 0.
        images_dir: folder of the images; None looks in JPEGImages, images and beside the
            annotations.
        classes, faults: see `readers`.
    """
    path, files = _annotation_files(path, split)
    skips = {"truncated": skip_truncated, "difficult": skip_difficult}
    usual = [os.path.join(path, "JPEGImages"), os.path.join(path, "images"), path]
    folders = [images_dir] if images_dir else [*filter(os.path.isdir, usual)]
    folders += [os.path.dirname(file) for _, file in files[:1]]  # beside the annotations
    found_images = images_by_stem(folders)
    images, at_zero, malformed = [], [], Faults(faults)
    for image_id, file in files:
        with malformed.collect(image_id):
            root = read_xml(file, "annotation")
            objects = _objects(root, file, skips, malformed)
            at_zero += [f"{file}: object {found.entry}" for found in objects if 0 in found.box[:2]]
            if one_based:
                objects = [o._replace(box=[value - 1 for value in o.box]) for o in objects]
            names = [image_id + image_extension, root.findtext("filename", "").strip()]
            written = first_file(find_file(name, folders) for name in names if name)
            image = written or found_images.get(image_id) or os.path.join(folders[0], names[0])
            size = stated_size(root.findtext("size/width"), root.findtext("size/height"))
            origin, name = f"{file}: object", image_id + os.path.splitext(image)[1]
            images.append(Found(image, image_id, origin, objects, size, name=name))
    if one_based and at_zero:
        warnings.warn(
            f"{len(at_zero)} boxes have an xmin or ymin of 0, but pixels are counted from 1; the "
            f"first: {at_zero[0]}. If the coordinates count from 0, pass one_based=False.",
            UserWarning,
            stacklevel=2,
        )
    return gather(images, classes, malformed, [path, images_dir])


def _lists_folder(path: str) -> str:
    folder = os.path.join(path, "ImageSets")
    return first_folder([os.path.join(folder, "Main")]) or folder


def _xml_folder(path: str) -> str | None:
    annotations = first_folder([os.path.join(path, "Annotations")])
    return annotations or (path if holds(path, (".xml",)) else None)


def _inner_data(path: str) -> list[str]:
    """Return the folders in a folder that are data sets."""
    return [name for name in folders_in(path) if _xml_folder(os.path.join(path, name))]


def _annotation_files(
    path: str | os.PathLike, split: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """Return the folder of a split, and the (id, annotation file) of its images, each once."""
    path = str(path)
    folder = _xml_folder(path)
    if split is not None and not os.path.isdir(_lists_folder(path)):
        one_of_several = os.path.join(path, split)
        if folder is None and _xml_folder(one_of_several):
            return _annotation_files(one_of_several, None)
        if folder is not None:
            listing = f"ImageSets/Main/{split}.txt"
            raise InputError(f"{path} has no {listing}; add the file, or do not choose a split.")
    if folder is None:
        inner = ["VOCdevkit"] if "VOCdevkit" in folders_in(path) else _inner_data(path)
        hint = f" Name one of its folders: {listed(inner)}." if inner else ""
        raise InputError(f"{path} is not a VOC folder; pass a folder with {LAYOUT}.{hint}")
    if split is not None:
        listing = os.path.join(_lists_folder(path), f"{split}.txt")
        if not os.path.isfile(listing):
            raise InputError(f"{listing}: no such file (splits: {listed(splits(path))}).")
        ids = listed_names(listing, folder, ".xml")
    elif folder == path:
        ids = [stem(name) for name in names_in(folder, (".xml",))]
    else:  # Annotations
        files = files_under(folder, (".xml",))
        ids = [os.path.splitext(os.path.relpath(file, folder))[0] for file in files]
    return path, [(image_id, os.path.join(folder, f"{image_id}.xml")) for image_id in ids]


def _objects(
    root: ElementTree.Element, file: str, skips: Mapping[str, bool], faults: Faults
) -> list[Object]:
    objects = []
    for position, element in enumerate(root.findall("object"), start=1):
        where = f"{file}: object {position}"
        with faults.collect():
            marks = {tag: flag(element.findtext(tag), tag, where) for tag in skips}
            if any(marks[tag] and skip for tag, skip in skips.items()):
                continue
            name = stated_name(element.findtext("name"), "<name>", where).strip()
            objects.append(Object(position, name, _box(element, where), marks["difficult"]))
    return objects


def _box(element: ElementTree.Element, where: str) -> list[float]:
    """Return the corners of an object, or of the box around its polygon, as written."""
    box, polygon = element.find("bndbox"), element.find("polygon")
    if box is not None:
        for tag in CORNERS:
            if box.find(tag) is None:
                raise InputError(f"{where}: <bndbox> lacks <{tag}>; add it.")
        return numbers([box.findtext(tag) for tag in CORNERS], CORNERS, where)
    # <x1>, <y1>, <x2>, ... or <pt><x>, <y></pt>
    parts = [] if polygon is None else list(polygon.iter())
    xs, ys = ([part.text for part in parts if part.tag[:1] == axis] for axis in "xy")
    if not xs or len(xs) != len(ys):
        raise InputError(
            f"{where} lacks a <bndbox>, or a <polygon> of <x1>, <y1>, <x2>, ...; add it."
        )
    return box_around(numbers(point, "xy", where) for point in zip(xs, ys, strict=True))
