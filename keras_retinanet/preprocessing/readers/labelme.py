"""labelme: one JSON file an image."""

import math
import os
from typing import Any

from ...errors import InputError
from ...utils.packed import unpacked
from ...utils.text import quoted
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
        path: a JSON file, or a folder; its subfolders are read too.
        images_dir: folder of the images; None takes the folder of the JSON file. An image that is
            only inside the JSON file gets the path of the JSON file.
        classes, faults: see `readers`.
    """
    path = str(path)
    files, folder = files_under(path, (".json",)), path
    if os.path.isfile(path):
        files, folder = [path], os.path.dirname(path)
        _read(path)  # a mistake in the only file is an error, not a fault of one entry
    if not files:
        raise InputError(f"{path} holds no labelme JSON files; pass another folder.")
    images, malformed = [], Faults(faults)
    for file in files:
        image_id = os.path.splitext(os.path.relpath(file, folder))[0]
        with malformed.collect(image_id):
            content = _read(file)
            size = stated_size(content.get("imageWidth"), content.get("imageHeight"))
            image = find_file(content["imagePath"], [images_dir or os.path.dirname(file)])
            name = os.path.join(os.path.dirname(image_id), content["imagePath"])
            if content.get("imageData") and not os.path.isfile(image):
                unpacked(content, file)  # raises if it is malformed
                image, name = file, ""
            objects = _objects(content["shapes"], file, malformed)
            images.append(Found(image, image_id, f"{file}: shape", objects, size, name=name))
    return gather(images, classes, malformed, [folder, images_dir])


def _read(file: str) -> dict[str, Any]:
    content = read_json(file, ["shapes"])
    if not isinstance(content.get("imagePath"), str):
        raise InputError(f"{file}: imagePath is missing; add the file name of the image.")
    return content


def _objects(shapes: list, file: str, faults: Faults) -> list[Object]:
    objects = []
    for position, shape in enumerate(shapes, start=1):
        with faults.collect():
            where = f"{file}: shape {position}"
            shape = shape if isinstance(shape, dict) else {}
            name = stated_name(shape.get("label"), "label", where).strip()
            objects.append(Object(position, name, box_around(_points(shape, where))))
    return objects


def _points(shape: dict, where: str) -> list[list[float]]:
    """Return one or more points [x, y] of a shape; for a circle, two corners of its square."""
    try:
        points: list[Any] = [(x, y) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError):
        points = []
    if not points:
        raise InputError(f"{where}: expected points [x, y], got {quoted(shape.get('points'))}.")
    points = [numbers(point, "xy", where) for point in points]
    if shape.get("shape_type") != "circle" or len(points) < 2:
        return points
    centre, edge = points[:2]
    radius = math.dist(centre, edge)
    return [[value + sign * radius for value in centre] for sign in (-1, 1)]
