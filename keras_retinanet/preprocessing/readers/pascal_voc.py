"""Pascal VOC: one XML file an image, in the layout of the VOCdevkit or in a flat folder."""

import os
import warnings

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.readers.files import (
    find_file,
    folders_in,
    holds,
    names_in,
    pictures_by_stem,
    stem,
)
from keras_retinanet.preprocessing.readers.gather import Found, collect_of, gather
from keras_retinanet.preprocessing.readers.parsing import number, read_xml, stated_size
from keras_retinanet.utils.text import listed, read_text

LAYOUT = "expected Annotations, JPEGImages and ImageSets/Main, or a folder of XML files"
CORNERS = ("xmin", "ymin", "xmax", "ymax")

voc_classes = {
    "aeroplane": 0,
    "bicycle": 1,
    "bird": 2,
    "boat": 3,
    "bottle": 4,
    "bus": 5,
    "car": 6,
    "cat": 7,
    "chair": 8,
    "cow": 9,
    "diningtable": 10,
    "dog": 11,
    "horse": 12,
    "motorbike": 13,
    "person": 14,
    "pottedplant": 15,
    "sheep": 16,
    "sofa": 17,
    "train": 18,
    "tvmonitor": 19,
}


def sets(path):
    """The names of the sets of a folder: its lists, or its folders of XML files; [] for neither.

    Lists of one class, such as "cow_train", come last.
    """
    lists = [stem(name) for name in names_in(_lists_folder(path), (".txt",))]
    if lists:
        return sorted(lists, key=lambda name: ("_" in name, name))
    if _xml_folder(path):
        return []
    inner = {name: os.path.join(path, name) for name in folders_in(path)}
    return [
        name
        for name, folder in inner.items()
        if _xml_folder(folder) and not os.path.isdir(_lists_folder(folder))
    ]


def read_pascal(
    path,
    set_name=None,
    classes=None,
    image_extension=".jpg",
    skip_truncated=False,
    skip_difficult=False,
    one_based=True,
    images_dir=None,
    faults=None,
):
    """The data set of the images that ImageSets/Main/<set_name>.txt names.

    Difficult objects are ignored.

    Args:
        path: folder with ImageSets/Main, Annotations and JPEGImages; or one of XML files, the
            pictures beside them; or one that holds several such folders, the sets.
        set_name: such as "train"; None takes all XML files of the folder.
        classes: names in the order of their labels, or {name: label}; None takes the names found in
            the annotations of the set, sorted.
        image_extension: tried first; where there is no such file, the annotation's own file name
            and other extensions are.
        skip_truncated: leave out objects marked as truncated.
        skip_difficult: leave out objects marked as difficult.
        one_based: the file counts pixels from 1, so 1 is subtracted from all four coordinates. A
            `UserWarning` says where a box begins at 0.
        images_dir: folder of the pictures; None looks in JPEGImages, images and beside the
            annotations.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names the file, and the line or the object.
    """
    path, files = _annotation_files(path, set_name)
    skipped = [
        tag for tag, skip in (("truncated", skip_truncated), ("difficult", skip_difficult)) if skip
    ]
    own = [os.path.join(path, "JPEGImages"), os.path.join(path, "images"), path]
    folders = [images_dir] if images_dir else [*filter(os.path.isdir, own)]
    folders += [os.path.dirname(file) for _, file in files[:1]]  # beside the annotations
    pictures = pictures_by_stem(folders)
    images, lost, at_zero = [], set(), []
    for image_id, file in files:
        with collect_of(image_id, lost, faults):
            root = read_xml(file, "annotation")
            found = _objects(root, file, skipped, faults)
            at_zero += [f"{file}: object {entry}" for entry, _, box, _ in found if 0 in box[:2]]
            objects = [
                (position, name, [value - one_based for value in box], difficult)
                for position, name, box, difficult in found
            ]
            names = [image_id + image_extension, root.findtext("filename", "").strip()]
            picture = _picture(names, image_id, folders, pictures)
            size = stated_size(root.findtext("size/width"), root.findtext("size/height"))
            images.append(Found(picture, image_id, f"{file}: object", objects, size))
    if one_based and at_zero:
        _tell_of_zero(at_zero)
    return gather(images, classes, faults, lost)


def _tell_of_zero(places):
    """Warns of boxes that begin where no pixel is, if they are counted from 1."""
    message = (
        f"{len(places)} boxes have an xmin or ymin of 0, but pixels are counted from 1; the first: "
        f"{places[0]}. The coordinates seem to count from 0: one_based=False (--zero-based) reads "
        "them so."
    )
    warnings.warn(message, UserWarning, stacklevel=3)


def _lists_folder(path):
    """The folder of the lists of sets."""
    folder = os.path.join(path, "ImageSets")
    main = os.path.join(folder, "Main")
    return main if os.path.isdir(main) else folder


def _xml_folder(path):
    """The folder of a data set's XML files, None where there are none."""
    folder = os.path.join(path, "Annotations")
    return folder if os.path.isdir(folder) else path if holds(path, (".xml",)) else None


def _annotation_files(path, set_name):
    """The folder of a set, and the (id, annotation file) of its images, each once."""
    path = str(path)
    folder = _xml_folder(path)
    if set_name is not None and not os.path.isdir(_lists_folder(path)):
        one_of_several = os.path.join(path, set_name)
        if folder is None and _xml_folder(one_of_several):
            return _annotation_files(one_of_several, None)
        if folder is not None:
            raise InputError(f"{path}: expected ImageSets/Main/{set_name}.txt, or no name of a set")
    if folder is None:
        raise InputError(f"{path}: {LAYOUT}{_meant(path)}")
    if set_name is None:
        ids = [stem(name) for name in names_in(folder, (".xml",))]
    else:
        ids = _listed_ids(path, folder, set_name)
    return path, [(image_id, os.path.join(folder, f"{image_id}.xml")) for image_id in ids]


def _meant(path):
    """What else may have been meant by a folder without annotations, for the message."""
    inner = [name for name in folders_in(path) if _xml_folder(os.path.join(path, name))]
    if "VOCdevkit" in folders_in(path):
        inner = ["VOCdevkit"]
    return f". Name one of its folders: {listed(inner)}" if inner else ""


def _listed_ids(path, folder, set_name):
    """The ids in the list of a set, each once."""
    file = os.path.join(_lists_folder(path), f"{set_name}.txt")
    if not os.path.isfile(file):
        raise InputError(f"{file}: no such file (sets: {listed(sets(path))})")
    ids = []
    for line in filter(None, map(str.strip, read_text(file).splitlines())):
        # The list of one class has "2007_000001 -1", but an id may itself contain spaces.
        whole = os.path.isfile(os.path.join(folder, f"{line}.xml"))
        ids.append(line if whole else line.split()[0])
    if not ids:
        raise InputError(f"{file} holds no images")
    return list(dict.fromkeys(ids))


def _objects(root, file, skipped, faults):
    """[(position, name, [xmin, ymin, xmax, ymax], difficult)]"""
    objects = []
    for position, element in enumerate(root.findall("object"), start=1):
        if any(_flag(element, tag) for tag in skipped):
            continue
        with collect(faults):
            objects.append((position, *_object(element, f"{file}: object {position}")))
    return objects


def _object(element, where):
    """(name, [xmin, ymin, xmax, ymax], difficult)"""
    name = element.findtext("name", "").strip()
    if not name:
        raise InputError(f"{where}: expected a <name>")
    box = element.find("bndbox")
    if box is None:
        raise InputError(f"{where} ({name}): expected a <bndbox>")
    for tag in CORNERS:
        if box.find(tag) is None:
            raise InputError(f"{where}: expected an <{tag}> in <bndbox>")
    coordinates = [number(box.findtext(tag), tag, where) for tag in CORNERS]
    return name, coordinates, _flag(element, "difficult")


def _flag(element, tag):
    return element.findtext(tag, "0").strip().lower() in ("1", "true")


def _picture(names, image_id, folders, pictures):
    """The first of a picture's likely names that is there, else the picture with the image's id;
    where there is none, the path at which it was expected.
    """
    for name in filter(None, names):
        path = find_file(name, folders)
        if os.path.isfile(path):
            return path
    return pictures.get(image_id) or os.path.join(folders[0], names[0])
