"""labelme: one JSON file a picture."""

import atexit
import base64
import binascii
import math
import os
import shutil
import tempfile

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.readers.files import files_under, find_file
from keras_retinanet.preprocessing.readers.gather import Found, collect_of, gather
from keras_retinanet.preprocessing.readers.parsing import (
    box_around,
    number,
    read_json,
    stated_size,
)


def read_labelme(path, classes=None, images_dir=None, faults=None):
    """The data set of labelme's JSON files. Of every shape the box around it is taken.

    Args:
        path: a folder, whose inner folders are read too, or one JSON file.
        classes: names in the order of their labels, or {name: label}; None takes the names found,
            sorted.
        images_dir: folder of the pictures; None takes that of the JSON file. A picture that is not
            there is taken from the file itself, if that holds it.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names the file, and the shape.
    """
    path = str(path)
    files = [path] if os.path.isfile(path) else files_under(path, (".json",))
    if not files:
        raise InputError(f"{path}: expected labelme's JSON files")
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    if os.path.isfile(path):
        _read(path)  # without it there is no data set, so it is no fault of one entry
    images, lost = [], set()
    for file in files:
        image_id = os.path.relpath(file, folder).removesuffix(".json")
        with collect_of(image_id, lost, faults):
            content = _read(file)
            size = stated_size(content.get("imageWidth"), content.get("imageHeight"))
            picture = _picture(content, file, images_dir)
            shapes = _shapes(content, file, faults)
            images.append(Found(picture, image_id, f"{file}: shape", shapes, size))
    return gather(images, classes, faults, lost)


def _read(file):
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise InputError(f"{file}: expected an object with a list of 'shapes'")
    if not isinstance(content.get("imagePath"), str):
        raise InputError(f"{file}: expected the imagePath of the picture")
    return content


def _shapes(content, file, faults):
    """[(position, name, box, False)]"""
    shapes = []
    for position, shape in enumerate(content["shapes"], start=1):
        with collect(faults):
            where = f"{file}: shape {position}"
            name = shape.get("label") if isinstance(shape, dict) else None
            if not isinstance(name, str) or not name.strip():
                raise InputError(f"{where}: expected a label")
            points = _points(shape, where)
            if shape.get("shape_type") == "circle" and len(points) > 1:
                points = _corners_of_circle(*points[:2])
            shapes.append((position, name.strip(), box_around(points), False))
    return shapes


def _points(shape, where):
    """[(x, y)], at least one."""
    try:
        points = [(x, y) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError):
        points = []
    if not points:
        raise InputError(f"{where}: expected points [x, y]. Received: {shape.get('points')!r}")
    return [(number(x, "x", where), number(y, "y", where)) for x, y in points]


def _corners_of_circle(centre, edge):
    radius = math.dist(centre, edge)
    return [(centre[0] + sign * radius, centre[1] + sign * radius) for sign in (-1, 1)]


def _picture(content, file, images_dir):
    """The picture of a file, unpacked where it lies in the file alone."""
    picture = find_file(content["imagePath"], [images_dir or os.path.dirname(file)])
    packed = content.get("imageData")
    if os.path.isfile(picture) or not isinstance(packed, str) or not packed:
        return picture
    try:
        data = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise InputError(f"{file}: malformed imageData: {error}") from None
    folder = tempfile.mkdtemp(prefix="labelme-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    unpacked = os.path.join(folder, os.path.basename(picture))
    with open(unpacked, "wb") as copy:
        copy.write(data)
    return unpacked
