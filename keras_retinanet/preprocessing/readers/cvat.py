"""CVAT: one XML file, "for images" or "for video"."""

import math
import os

from keras_retinanet.errors import InputError, collect
from keras_retinanet.preprocessing.readers.files import find_file, names_in, pictures_by_stem
from keras_retinanet.preprocessing.readers.gather import Found, collect_of, gather
from keras_retinanet.preprocessing.readers.parsing import (
    box_around,
    number,
    read_xml,
    stated_size,
)
from keras_retinanet.utils.text import listed


def read_cvat(path, classes=None, images_dir=None, faults=None):
    """The data set of a CVAT file. Of every shape the box around it is taken.

    Args:
        path: the XML file, or a folder that holds it.
        classes: names in the order of their labels, or {name: label}; None takes the labels of the
            task, in its order.
        images_dir: folder of the pictures; None looks in images and beside the file.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names the file, the image and the shape.
    """
    file = _annotation_file(str(path))
    root = read_xml(file, "annotations")
    folder = os.path.dirname(file)
    folders = [images_dir] if images_dir else [os.path.join(folder, "images"), folder]
    lost = set()
    images = _images(root, file, folders, lost, faults)
    images += _frames(root, file, folders, lost, faults)
    if not images and not faults:
        raise InputError(f"{file} holds no images")
    if classes is None:
        classes = _task_labels(root) or None
    return gather(images, classes, faults, lost)


def _annotation_file(path):
    """The XML file that is meant by a path."""
    if not os.path.isdir(path):
        return path
    names = names_in(path, (".xml",))
    if "annotations.xml" in names:
        names = ["annotations.xml"]
    if len(names) != 1:
        raise InputError(f"{path}: expected annotations.xml. Received: {listed(names)}")
    return os.path.join(path, names[0])


def _task_labels(root):
    """The names of the labels of the task, project or job, each once."""
    labels = root.iterfind("meta/*/labels/label")
    return list(dict.fromkeys(label.findtext("name", "").strip() for label in labels))


def _images(root, file, folders, lost, faults):
    """`Found` of each <image>."""
    images = []
    for position, image in enumerate(root.iterfind("image"), start=1):
        with collect(faults):
            name, subset = image.get("name"), image.get("subset", "")
            if not name:
                raise InputError(f"{file}: image {position}: expected a name")
            image_id = f"{subset}/{name}" if subset else name
            origin = f"{file}: image {image_id}: shape"
            with collect_of(image_id, lost, faults):
                shapes = _shapes(image, origin, faults)
            inner = [os.path.join(folder, subset) for folder in folders]
            picture = find_file(name, [*inner, *folders])
            size = stated_size(image.get("width"), image.get("height"))
            images.append(Found(picture, image_id, origin, shapes, size))
    return images


def _shapes(image, origin, faults):
    """[(position, name, box, False)] of an image."""
    shapes = []
    for position, shape in enumerate(image, start=1):
        where = f"{origin} {position}"
        with collect(faults):
            if shape.tag != "tag":  # that is of the whole image
                shapes.append((position, _label(shape, where), _box(shape, where), False))
    return shapes


def _frames(root, file, folders, lost, faults):
    """`Found` of each frame of a video that has a shape of a <track>, or whose picture is there."""
    tracks = root.findall("track")
    pictures = pictures_by_stem(folders) if tracks else {}
    frames = {name: [] for name in pictures if name.startswith("frame_")}
    for track in tracks:
        entry, label = f"track {track.get('id')}", None
        with collect(faults):
            label = _label(track, f"{file}: {entry}")
        for shape in track:
            where = f"{file}: {entry}: frame {shape.get('frame')}"
            with collect(faults):
                frame = f"frame_{int(number(shape.get('frame'), 'frame', where)):06d}"
                if shape.get("outside") == "1":
                    continue
                if label is None:
                    lost.add(frame)
                    continue
                with collect_of(frame, lost, faults):
                    box = _box(shape, where)
                    frames.setdefault(frame, []).append((entry, label, box, False))
    size = stated_size(
        root.findtext("meta/*/original_size/width"), root.findtext("meta/*/original_size/height")
    )
    return [
        Found(
            pictures.get(frame) or os.path.join(folders[0], f"{frame}.png"),
            frame,
            f"{file}: {frame}:",
            shapes,
            size,
        )
        for frame, shapes in sorted(frames.items())
    ]


def _label(element, where):
    name = element.get("label", "").strip()
    if not name:
        raise InputError(f"{where}: expected a label")
    return name


def _box(shape, where):
    """The box [x1, y1, x2, y2] around a shape."""
    if shape.tag not in BOXES:
        raise InputError(f"{where}: expected one of {listed(BOXES)}. Received: <{shape.tag}>")
    return BOXES[shape.tag](shape, where)


def _numbers(shape, names, where):
    """The attributes of these names; a missing rotation is 0."""
    missing = {"rotation": "0"}
    return [number(shape.get(name, missing.get(name)), name, where) for name in names]


def _of_box(shape, where):
    names = ("xtl", "ytl", "xbr", "ybr", "rotation")
    x1, y1, x2, y2, angle = _numbers(shape, names, where)
    if not angle:
        return [x1, y1, x2, y2]
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    half_x = abs((x2 - x1) / 2 * cos) + abs((y2 - y1) / 2 * sin)
    half_y = abs((x2 - x1) / 2 * sin) + abs((y2 - y1) / 2 * cos)
    return _about((x1 + x2) / 2, (y1 + y2) / 2, half_x, half_y)


def _of_ellipse(shape, where):
    x, y, rx, ry, angle = _numbers(shape, ("cx", "cy", "rx", "ry", "rotation"), where)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return _about(x, y, math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos))


def _about(x, y, half_x, half_y):
    return [x - half_x, y - half_y, x + half_x, y + half_y]


def _of_mask(shape, where):
    left, top, width, height = _numbers(shape, ("left", "top", "width", "height"), where)
    return [left, top, left + width, top + height]


def _of_points(shape, where):
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        received = shape.get("points")
        raise InputError(f"{where}: expected points 'x,y;x,y;...'. Received: {received!r}")
    return box_around([(number(x, "x", where), number(y, "y", where)) for x, y in pairs])


BOXES = {
    "box": _of_box,
    "ellipse": _of_ellipse,
    "mask": _of_mask,
    "polygon": _of_points,
    "polyline": _of_points,
    "points": _of_points,
}
