"""Pascal VOC: one XML file an image, in the layout of the VOCdevkit or in a flat folder."""

import os
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ...errors import InputError
from ...utils.text import listed
from ..dataset import Dataset
from .files import (
    find_file,
    first_file,
    first_folder,
    folders_in,
    holds,
    names_in,
    pictures_by_stem,
    stem,
)
from .gather import Classes, Faults, Found, Object, gather
from .parsing import lines_of, numbers, read_xml, stated_name, stated_size

LAYOUT = "expected Annotations, JPEGImages and ImageSets/Main, or a folder of XML files"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

voc_classes = {name: label for label, name in enumerate(NAMES)}


def sets(path: str) -> list[str]:
    """Return the splits of a folder: its lists, or its folders of XML files; [] for neither.

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
    set_name: str | None = None,
    classes: Classes = None,
    image_extension: str = ".jpg",
    skip_truncated: bool = False,
    skip_difficult: bool = False,
    one_based: bool = True,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read the images that ImageSets/Main/<set_name>.txt lists. Difficult objects are ignored.

    Args:
        path: folder with ImageSets/Main, Annotations and JPEGImages; or one of XML files, the
            images beside them; or one that holds several such folders, the splits.
        set_name: such as "train"; None takes all XML files of the folder.
        image_extension: tried first; then the annotation's file name, then other extensions.
        skip_truncated: leave out objects marked as truncated.
        skip_difficult: leave out objects marked as difficult.
        one_based: the file counts pixels from 1, so 1 is subtracted from all four coordinates. A
            `UserWarning` names a box that begins at 0.
        images_dir: None looks in JPEGImages, images and beside the annotations.
        classes, faults: see `readers`.
    """
    path, files = _annotation_files(path, set_name)
    skips = {"truncated": skip_truncated, "difficult": skip_difficult}
    skipped = [tag for tag, skip in skips.items() if skip]
    usual = [os.path.join(path, "JPEGImages"), os.path.join(path, "images"), path]
    folders = [images_dir] if images_dir else [*filter(os.path.isdir, usual)]
    folders += [os.path.dirname(file) for _, file in files[:1]]  # beside the annotations
    pictures = pictures_by_stem(folders)
    images, at_zero, malformed = [], [], Faults(faults)
    for image_id, file in files:
        with malformed.collect(image_id):
            root = read_xml(file, "annotation")
            objects = _objects(root, file, skipped, malformed)
            at_zero += [f"{file}: object {found.entry}" for found in objects if 0 in found.box[:2]]
            if one_based:
                objects = [o._replace(box=[value - 1 for value in o.box]) for o in objects]
            names = [image_id + image_extension, root.findtext("filename", "").strip()]
            written = first_file(find_file(name, folders) for name in names if name)
            image = written or pictures.get(image_id) or os.path.join(folders[0], names[0])
            size = stated_size(root.findtext("size/width"), root.findtext("size/height"))
            images.append(Found(image, image_id, f"{file}: object", objects, size))
    if one_based and at_zero:
        warnings.warn(
            f"{len(at_zero)} boxes have an xmin or ymin of 0, but pixels are counted from 1; the "
            f"first: {at_zero[0]}. The coordinates seem to count from 0: one_based=False "
            "(--zero-based) reads them so.",
            UserWarning,
            stacklevel=2,
        )
    return gather(images, classes, malformed)


def _lists_folder(path: str) -> str:
    """Return the folder of the lists of splits."""
    folder = os.path.join(path, "ImageSets")
    return first_folder([os.path.join(folder, "Main")]) or folder


def _xml_folder(path: str) -> str | None:
    """Return the folder of a data set's XML files."""
    annotations = first_folder([os.path.join(path, "Annotations")])
    return annotations or (path if holds(path, (".xml",)) else None)


def _inner_data(path: str) -> list[str]:
    """Return the folders in a folder that are data sets."""
    return [name for name in folders_in(path) if _xml_folder(os.path.join(path, name))]


def _annotation_files(
    path: str | os.PathLike, set_name: str | None
) -> tuple[str, list[tuple[str, str]]]:
    """Return the folder of a split, and the (id, annotation file) of its images, each once."""
    path = str(path)
    folder = _xml_folder(path)
    if set_name is not None and not os.path.isdir(_lists_folder(path)):
        one_of_several = os.path.join(path, set_name)
        if folder is None and _xml_folder(one_of_several):
            return _annotation_files(one_of_several, None)
        if folder is not None:
            expected = f"expected ImageSets/Main/{set_name}.txt, or no name of a split"
            raise InputError(f"{path}: {expected}.")
    if folder is None:
        inner = ["VOCdevkit"] if "VOCdevkit" in folders_in(path) else _inner_data(path)
        hint = f" Name one of its folders: {listed(inner)}." if inner else ""
        raise InputError(f"{path}: {LAYOUT}.{hint}")
    if set_name is None:
        ids = [stem(name) for name in names_in(folder, (".xml",))]
    else:
        ids = _listed_ids(path, folder, set_name)
    return path, [(image_id, os.path.join(folder, f"{image_id}.xml")) for image_id in ids]


def _listed_ids(path: str, folder: str, set_name: str) -> list[str]:
    """Return the ids in the list of a split, each once."""
    file = os.path.join(_lists_folder(path), f"{set_name}.txt")
    if not os.path.isfile(file):
        raise InputError(f"{file}: no such file (splits: {listed(sets(path))}).")
    ids = []
    for line in lines_of(file):
        # The list of one class has "2007_000001 -1", but an id may itself contain spaces.
        whole = os.path.isfile(os.path.join(folder, f"{line}.xml"))
        ids.append(line if whole else line.split()[0])
    if not ids:
        raise InputError(f"{file} holds no images.")
    return list(dict.fromkeys(ids))


def _objects(
    root: ElementTree.Element, file: str, skipped: Sequence[str], faults: Faults
) -> list[Object]:
    objects = []
    for position, element in enumerate(root.findall("object"), start=1):
        if any(_is_set(element, tag) for tag in skipped):
            continue
        where = f"{file}: object {position}"
        with faults.collect():
            name = stated_name(element.findtext("name"), "<name>", where)
            box = element.find("bndbox")
            if box is None:
                raise InputError(f"{where} ({name}): expected a <bndbox>.")
            for tag in CORNERS:
                if box.find(tag) is None:
                    raise InputError(f"{where}: expected an <{tag}> in <bndbox>.")
            corners = numbers([box.findtext(tag) for tag in CORNERS], CORNERS, where)
            objects.append(Object(position, name, corners, _is_set(element, "difficult")))
    return objects


def _is_set(element: ElementTree.Element, tag: str) -> bool:
    return element.findtext(tag, "0").strip().lower() in ("1", "true")
