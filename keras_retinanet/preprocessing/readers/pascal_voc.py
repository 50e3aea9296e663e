"""Pascal VOC: one XML file an image, in the layout of the VOCdevkit."""

import math
import os
import xml.etree.ElementTree as ElementTree
from xml.parsers import expat

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.utils.text import listed, read_text

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

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


def read_pascal(
    data_dir,
    set_name,
    classes=None,
    image_extension=".jpg",
    skip_truncated=False,
    skip_difficult=False,
    one_based=True,
):
    """The data set of the images that ImageSets/Main/<set_name>.txt names.

    Difficult objects are ignored.

    Args:
        data_dir: folder with ImageSets/Main, Annotations and JPEGImages.
        set_name: such as "train".
        classes: names in the order of their labels, or {name: label}; None takes the names found in
            the annotations of the set, sorted.
        image_extension: tried first; where there is no such file, the annotation's own file name
            and other extensions are.
        skip_truncated: leave out objects marked as truncated.
        skip_difficult: leave out objects marked as difficult.
        one_based: the file counts pixels from 1, so 1 is subtracted from all four coordinates.

    Raises:
        InputError: names the file, and the line or the object.
    """
    skipped = {"truncated": skip_truncated, "difficult": skip_difficult}
    images = {}  # id: (annotation file, file name of the picture, [(number, name, ignore, box)])
    for image_id in _image_ids(data_dir, set_name):
        path = _annotation_path(data_dir, image_id)
        root = _read_xml(path)
        objects = [
            (number, *_read_object(element, f"{path}: object {number}"))
            for number, element in enumerate(root.findall("object"), start=1)
            if not any(skip and _flag(element, mark) for mark, skip in skipped.items())
        ]
        images[image_id] = path, root.findtext("filename", "").strip(), objects
    if classes is None:
        classes = sorted({name for *_, objects in images.values() for _, name, _, _ in objects})
    labels = _labels(classes)
    records = []
    for image_id, (path, file_name, objects) in images.items():
        origin = f"{path}: object"
        records.append(
            make_record(
                _find_image(data_dir, image_id, image_extension, file_name),
                image_id,
                boxes=[[value - one_based for value in box] for *_, box in objects],
                labels=[_look_up(labels, name, f"{origin} {n}") for n, name, *_ in objects],
                ignore=[difficult for _, _, difficult, _ in objects],
                origin=origin,
                entries=[number for number, *_ in objects],
            )
        )
    return Dataset(records, list(labels), default_category_ids(labels))


def _image_ids(data_dir, set_name):
    """The ids of a set's images, each once."""
    folder = os.path.join(data_dir, "ImageSets", "Main")
    path = os.path.join(folder, f"{set_name}.txt")
    if not os.path.isdir(folder):
        raise InputError(
            f"{data_dir}: expected a folder with ImageSets/Main, Annotations and JPEGImages"
        )
    if not os.path.isfile(path):
        sets = [name[:-4] for name in os.listdir(folder) if name.endswith(".txt")]
        sets.sort(key=lambda name: ("_" in name, name))  # those of one class ("cow_train") last
        raise InputError(f"{path}: no such file (sets: {listed(sets)})")
    ids = []
    for line in filter(None, map(str.strip, read_text(path).splitlines())):
        # The list of one class has "2007_000001 -1", but an id may itself contain spaces.
        whole = os.path.isfile(_annotation_path(data_dir, line))
        ids.append(line if whole else line.split()[0])
    if not ids:
        raise InputError(f"{path} holds no images")
    return list(dict.fromkeys(ids))


def _annotation_path(data_dir, image_id):
    return os.path.join(data_dir, "Annotations", f"{image_id}.xml")


def _labels(classes):
    """{name: label} in the order of the labels, which must be 0 to K - 1."""
    if not isinstance(classes, dict):
        classes = {name: label for label, name in enumerate(classes)}
    names = sorted(classes, key=classes.get)
    if [classes[name] for name in names] != list(range(len(names))):
        raise InputError(
            f"Expected classes with the labels 0 to K - 1, once each. Received: {classes}"
        )
    return {name: classes[name] for name in names}


def _look_up(labels, name, where):
    if name not in labels:
        raise InputError(f"{where}: unknown class name: {name!r} (classes: {listed(labels)})")
    return labels[name]


def _read_xml(path):
    """The root of an annotation file."""
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ElementTree.ParseError as error:
        line, column = error.position
        reason = f"malformed XML: {expat.ErrorString(error.code)}"
        raise InputError(f"{path}: line {line}, column {column + 1}: {reason}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise InputError(f"{path}: line 1: malformed XML: {error}") from None
    if root.tag != "annotation":
        raise InputError(f"{path}: expected <annotation> as the root. Received: <{root.tag}>")
    return root


def _read_object(element, where):
    """(name, difficult, [xmin, ymin, xmax, ymax])"""
    name = element.findtext("name", "").strip()
    if not name:
        raise InputError(f"{where}: expected a <name>")
    box = element.find("bndbox")
    if box is None:
        raise InputError(f"{where} ({name}): expected a <bndbox>")
    coordinates = [_number(box, tag, where) for tag in ("xmin", "ymin", "xmax", "ymax")]
    return name, _flag(element, "difficult"), coordinates


def _number(box, tag, where):
    text = box.findtext(tag)
    if text is None:
        raise InputError(f"{where}: expected an <{tag}> in <bndbox>")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: malformed {tag}: {text!r} is no number")
    return value


def _flag(element, tag):
    return element.findtext(tag, "0").strip().lower() in ("1", "true")


def _find_image(data_dir, image_id, extension, file_name):
    """The picture of an image id; where there is none, the path at which it was expected."""
    folder = os.path.join(data_dir, "JPEGImages")
    extensions = [other for known in EXTENSIONS for other in (known, known.upper())]
    names = [f"{image_id}{extension}", file_name, *(image_id + other for other in extensions)]
    paths = [os.path.join(folder, name) for name in names if name]
    return next((path for path in paths if os.path.isfile(path)), paths[0])
