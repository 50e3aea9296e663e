"""labelme: one JSON file an image."""

import base64
import binascii
import math
import os
from typing import Any

from ...errors import InputError
from ...utils.outputs import temporary_folder
from ..dataset import Dataset
from .files import files_under, find_file
from .gather import Classes, Faults, Found, Object, gather
from .parsing import box_around, numbers, read_json, stated_name, stated_size


def read_labelme(
    path: str | os.PathLike,
    classes: Classes = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read labelme's JSON files, and take the box around every shape.

    Args:
        path: a folder, whose inner folders are read too, or one JSON file.
        images_dir: folder of the images; None takes the folder of the JSON file. An image that is
            not there is taken from the JSON file, if that holds it.
        classes, faults: see `readers`.
    """
    path = str(path)
    files, folder = files_under(path, (".json",)), path
    if os.path.isfile(path):
        files, folder = [path], os.path.dirname(path)
        _read(path)  # a mistake in the only file is no fault of one entry
    if not files:
        raise InputError(f"{path}: expected labelme's JSON files.")
    images, malformed = [], Faults(faults)
    for file in files:
        image_id = os.path.relpath(file, folder).removesuffix(".json")
        with malformed.collect(image_id):
            content = _read(file)
            size = stated_size(content.get("imageWidth"), content.get("imageHeight"))
            image = _image(content, file, images_dir)
            objects = _objects(content["shapes"], file, malformed)
            images.append(Found(image, image_id, f"{file}: shape", objects, size))
    return gather(images, classes, malformed)


def _read(file: str) -> dict[str, Any]:
    content = read_json(file, ["shapes"])
    if not isinstance(content.get("imagePath"), str):
        raise InputError(f"{file}: expected the imagePath of the image.")
    return content


def _objects(shapes: list, file: str, faults: Faults) -> list[Object]:
    objects = []
    for position, shape in enumerate(shapes, start=1):
        with faults.collect():
            where = f"{file}: shape {position}"
            shape = shape if isinstance(shape, dict) else {}
            name = stated_name(shape.get("label"), "label", where)
            objects.append(Object(position, name, box_around(_points(shape, where))))
    return objects


def _points(shape: dict, where: str) -> list[list[float]]:
    """Return [[x, y]] of a shape: at least one, for a circle two corners of its square."""
    try:
        points: list[Any] = [(x, y) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError):
        points = []
    if not points:
        raise InputError(f"{where}: expected points [x, y], got {shape.get('points')!r}.")
    points = [numbers(point, "xy", where) for point in points]
    if shape.get("shape_type") != "circle" or len(points) < 2:
        return points
    centre, edge = points[:2]
    radius = math.dist(centre, edge)
    return [[value + sign * radius for value in centre] for sign in (-1, 1)]


def _image(content: dict, file: str, images_dir: str | None) -> str:
    """Return the path of the image, unpacked if only the JSON file holds it."""
    image = find_file(content["imagePath"], [images_dir or os.path.dirname(file)])
    packed = content.get("imageData")
    if os.path.isfile(image) or not isinstance(packed, str) or not packed:
        return image
    try:
        data = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise InputError(f"{file}: malformed imageData: {error}.") from None
    unpacked = os.path.join(temporary_folder(), os.path.basename(image))
    with open(unpacked, "wb") as copy:
        copy.write(data)
    return unpacked
