"""CVAT: one XML file, "for images" or "for video"."""

import math
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ...errors import InputError
from ...utils.text import listed, printable, quoted
from ..dataset import Dataset
from .files import files_under, find_file, images_by_stem, names_in
from .gather import Classes, Faults, Found, Object, gather
from .parsing import box_around, flag, integer, numbers, read_xml, stated_name, stated_size

ATTRIBUTES = {  # of the shapes that have no points
    "box": ("xtl", "ytl", "xbr", "ybr", "rotation"),
    "ellipse": ("cx", "cy", "rx", "ry", "rotation"),
    "mask": ("left", "top", "width", "height"),
}
CUBOID = ("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2")
SHAPES = (*ATTRIBUTES, "polygon", "polyline", "points", "skeleton", "cuboid")


def read_cvat(
    path: str | os.PathLike,
    classes: Classes = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read a CVAT file, and take the box around every shape.

    Args:
        path: the XML file, or a folder that holds it.
        classes: see `readers`, but None takes the task's labels, in the task's order.
        images_dir: folder of the images; None looks in images and beside the file.
        faults: see `readers`.
    """
    file = _annotation_file(str(path))
    root = read_xml(file, "annotations")
    folder = os.path.dirname(file)
    folders = [images_dir] if images_dir else [os.path.join(folder, "images"), folder]
    malformed = Faults(faults)
    images = _images(root, file, folders, malformed) + _frames(root, file, folders, malformed)
    if not images and not malformed.lines:
        raise InputError(f"{file} holds no images.")
    if classes is None:
        labels = root.iterfind("meta/*/labels/label")  # of the task, project or job
        names = dict.fromkeys(label.findtext("name", "").strip() for label in labels)
        classes = list(names) or None
    return gather(images, classes, malformed, [folder, images_dir])


def _annotation_file(path: str) -> str:
    """Return the XML file of a path: in the folder, else below it."""
    if not os.path.isdir(path):
        return path
    names = names_in(path, (".xml",))
    names = names or [os.path.relpath(file, path) for file in files_under(path, (".xml",))]
    usual = [name for name in names if os.path.basename(name) == "annotations.xml"]
    if len(usual or names) != 1:
        held = f"several XML files, {listed(names)}" if names else "no XML file"
        raise InputError(f"{path} holds {held}; pass the path of CVAT's file.")
    return os.path.join(path, (usual or names)[0])


def _images(
    root: ElementTree.Element, file: str, folders: Sequence[str], faults: Faults
) -> list[Found]:
    images = []
    for position, image in enumerate(root.iterfind("image"), start=1):
        with faults.collect():
            name, subset = image.get("name"), image.get("subset", "")
            if not name:
                raise InputError(f"{file}: image {position} has no name; add it.")
            image_id = f"{subset}/{name}" if subset else name
            origin, objects = f"{file}: image {image_id}: shape", []
            for entry, shape in enumerate(image, start=1):
                where = f"{origin} {entry}"
                with faults.collect(image_id):
                    # a tag is for the whole image
                    if shape.tag != "tag" and not _is_outside(shape, where):
                        label = stated_name(shape.get("label"), "label", where).strip()
                        objects.append(Object(entry, label, _box(shape, where)))
            inner = [os.path.join(folder, subset) for folder in folders]
            size = stated_size(image.get("width"), image.get("height"))
            path = find_file(name, [*inner, *folders])
            images.append(Found(path, image_id, origin, objects, size, name=name))
    return images


def _frames(
    root: ElementTree.Element, file: str, folders: Sequence[str], faults: Faults
) -> list[Found]:
    """Return each frame of a video that has a shape of a <track>, or whose image exists."""
    tracks = root.findall("track")
    found_images = images_by_stem(folders) if tracks else {}
    frames: dict[str, list[Object]] = {
        name: [] for name in found_images if name.startswith("frame_")
    }
    for track in tracks:
        entry, label = f"track {printable(track.get('id'))}", None
        with faults.collect():
            label = stated_name(track.get("label"), "label", f"{file}: {entry}").strip()
        for shape in track:
            where = f"{file}: {entry}: frame {printable(shape.get('frame'))}"
            with faults.collect():
                frame = f"frame_{integer(shape.get('frame'), 'frame', where):06d}"
                if _is_outside(shape, where):
                    continue
                if label is None:
                    faults.lost.add(frame)
                    continue
                with faults.collect(frame):
                    found = Object(entry, label, _box(shape, where))
                    frames.setdefault(frame, []).append(found)
    sides = [root.findtext(f"meta/*/original_size/{side}") for side in ("width", "height")]
    return [
        Found(
            found_images.get(frame) or os.path.join(folders[0], f"{frame}.png"),
            frame,
            f"{file}: {frame}:",
            objects,
            stated_size(*sides),
        )
        for frame, objects in sorted(frames.items())
    ]


def _is_outside(shape: ElementTree.Element, where: str) -> bool:
    """Return True if a shape is out of view; a skeleton is if all of its points are."""
    parts = shape.findall("points") if shape.tag == "skeleton" else []
    if parts:
        return all(_is_outside(part, where) for part in parts)
    return flag(shape.get("outside"), "outside", where)


def _box(shape: ElementTree.Element, where: str) -> list[float]:
    kind = shape.tag
    if kind not in SHAPES:
        raise InputError(f"{where}: unknown shape <{printable(kind)}>; known: {listed(SHAPES)}.")
    if kind == "skeleton":
        parts = [part for part in shape.findall("points") if not _is_outside(part, where)]
        return _around_points(";".join(part.get("points", "") for part in parts), where)
    if kind == "cuboid":  # eight corners: xtl1, ytl1, xbl1, ...
        pairs = [(shape.get(f"x{corner}"), shape.get(f"y{corner}")) for corner in CUBOID]
        return box_around(numbers(pair, "xy", where) for pair in pairs)
    if kind not in ATTRIBUTES:
        return _around_points(shape.get("points", ""), where)
    names = ATTRIBUTES[kind]
    texts = [shape.get(name, "0" if name == "rotation" else None) for name in names]
    if kind == "mask":
        left, top, width, height = numbers(texts, names, where)
        return [left, top, left + width, top + height]
    *values, rotation = numbers(texts, names, where)
    cos, sin = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    if kind == "ellipse":
        x, y, rx, ry = values
        half_x, half_y = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
    elif not rotation:
        return values
    else:
        x1, y1, x2, y2 = values
        x, y, half_width, half_height = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
        half_x = abs(half_width * cos) + abs(half_height * sin)
        half_y = abs(half_width * sin) + abs(half_height * cos)
    return [x - half_x, y - half_y, x + half_x, y + half_y]


def _around_points(points: str, where: str) -> list[float]:
    pairs = [pair.split(",") for pair in points.split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise InputError(f"{where}: expected points 'x,y;x,y;...', got {quoted(points)}.")
    return box_around(numbers(pair, "xy", where) for pair in pairs)
