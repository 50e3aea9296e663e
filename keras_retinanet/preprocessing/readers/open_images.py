"""Open Images: the boxes of a subset in one CSV file, as shares of the image."""

import csv
import difflib
import io
import operator
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...errors import InputError
from ...utils.text import listed, open_file, quoted, read_text
from ..dataset import Dataset
from ..image_info import image_sizes
from . import open_images_files as files
from .files import bare, images_by_stem
from .gather import Faults, Found, Object, gather, in_px
from .parsing import csv_rows, flag, naming_line, numbers, read_json

CORNERS = ("XMin", "YMin", "XMax", "YMax")
BOXABLE = 1000  # a list of more classes is for image labels, and most of them have no boxes


def read_open_images(
    path: str | os.PathLike,
    split: str | None = None,
    version: str | None = None,
    labels_filter: Sequence[str] | None = None,
    parent_label: str | None = None,
    images_dir: str | None = None,
    faults: list[str] | None = None,
) -> Dataset:
    """Read a subset of Open Images, v4 to v7 or the challenges.

    Boxes around a group of objects are ignored. The data set has every image with a box. Without a
    filter it also has the images in the subset's list whose files exist, because few people have
    all nine million. An image whose file is missing has no boxes.

    Args:
        path: folder with the CSV files, also in annotations, metadata or csv, and the images in
            images/<split>; or the CSV file of boxes.
        version: such as "v4" or "challenge2018", if the folder has files of several versions.
        labels_filter: names of the classes to read, in label order; None reads all.
        parent_label: read only the class of this name and the classes below it in the hierarchy.
        split, images_dir, faults: see `readers`.
    """
    found = files.find(str(path), split, version)
    names = _class_names(found.classes) if found.classes else {}
    wanted = _wanted(labels_filter, parent_label, names, found)
    folders = [images_dir] if images_dir else found.images
    found_images, malformed = images_by_stem(folders), Faults(faults)
    objects, seen = _objects(found.boxes, names, wanted, found_images, malformed)
    if found.listing and wanted is None:
        ids = _listed_ids(found.listing, found.subset)
        objects = {
            i: objects.get(i, []) for i in ids if i in objects or i in found_images
        } | objects
    if not objects and not malformed.lines:
        which = f" of the classes {listed(wanted)}" if wanted else ""
        raise InputError(f"{found.boxes} holds no boxes{which}.")
    present = [image_id for image_id in objects if image_id in found_images]
    sizes = dict(zip(present, image_sizes([found_images[i] for i in present]), strict=True))
    class_names = wanted or list(dict.fromkeys(names.values()))
    if not names or len(names) > BOXABLE:
        class_names = [name for name in class_names or sorted(seen) if name in seen]
    images = []
    for image_id, shares in objects.items():
        image = found_images.get(image_id) or os.path.join(folders[0], f"{image_id}.jpg")
        size = sizes.get(image_id)
        in_image = [o._replace(box=in_px(o.box, size)) for o in shares] if size else []
        images.append(Found(image, image_id, f"{found.boxes}: line", in_image, size=size))
    return gather(images, class_names, malformed, [found.folder, images_dir])


def _rows(
    path: str, needed: Sequence[str], more: Sequence[str] = ()
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line, values of the columns `needed` and `more`) of a CSV file.

    The header must name the `needed` columns; a column of `more` that it does not name is "".
    """
    try:
        # read as a stream: a train set has 2 GB
        with io.TextIOWrapper(open_file(path), encoding="utf-8-sig", newline="") as file:
            csv_reader = csv.reader(file, skipinitialspace=True)
            with naming_line(path, csv_reader):
                yield from _columns(path, csv_reader, needed, more)
    except UnicodeDecodeError:
        read_text(path)  # raises, with the line


def _columns(
    path: str, csv_reader: Any, needed: Sequence[str], more: Sequence[str]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    header = [name.strip() for name in next(csv_reader, [])]
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(f"{path}: line 1: the header lacks {listed(missing)}; add it.")
    names = [*needed, *more]
    pick = operator.itemgetter(*(header.index(n) if n in header else -1 for n in names))
    for row in csv_reader:
        if any(map(str.strip, row)):
            short = [""] * (len(header) - len(row))
            yield csv_reader.line_num, pick([*row[: len(header)], *short, ""])


def _objects(
    path: str,
    names: Mapping[str, str],
    wanted: Sequence[str] | None,
    found_images: Collection[str],
    faults: Faults,
) -> tuple[dict[str, list[Object]], set[str]]:
    """Return {image id: its objects in shares of the image}, and the names of all classes seen.

    An image without a file gets no objects: the objects of a whole release do not fit into memory.
    """
    known, chosen, seen = set(names.values()), wanted and set(wanted), set()
    objects: dict[str, list[Object]] = {}
    for line, fields in _rows(path, ("ImageID", "LabelName", *CORNERS), ["IsGroupOf"]):
        written, label, *corners, group = fields
        image_id, where = bare(written.strip()), f"{path}: line {line}"
        with faults.collect(image_id):
            name = names.get(label, label)
            if name not in known and (names or not name):
                nearest = _nearest(label, known)
                raise InputError(f"{where}: unknown LabelName: {quoted(label)}{nearest}.")
            if chosen and name not in chosen:
                continue
            seen.add(name)
            if not image_id:
                raise InputError(f"{where}: the ImageID is missing; add it.")
            of_image = objects.setdefault(image_id, [])
            if image_id in found_images:
                box = _corners(corners, where)
                # -1 means unknown
                ignored = group.strip() != "-1" and flag(group, "IsGroupOf", where)
                of_image.append(Object(line, name, box, ignored))
    return objects, seen


def _corners(texts: Sequence[str], where: str) -> list[float]:
    """Return [x1, y1, x2, y2] as shares of the image."""
    box = numbers([text.replace(",", ".") for text in texts], CORNERS, where)
    if min(box) < -1 or max(box) > 2:  # a box that sticks out a little is clipped by the check
        raise InputError(f"{where}: expected shares of the image, 0 to 1, got {listed(box)}.")
    return box


def _listed_ids(path: str, subset: str | None) -> Iterator[str]:
    for _, (image_id, of) in _rows(path, ["ImageID"], ["Subset"]):
        if not of or subset is None or of == subset:
            yield bare(image_id.strip())


def _class_names(path: str) -> dict[str, str]:
    """Return {code: class name} of a file of class descriptions, with or without a header."""
    names: dict[str, str] = {}
    rows = csv_rows(read_text(path), 1)
    with naming_line(path, rows):
        for row in rows:
            if not any(row) or (not names and row[0].strip().lower() == "labelname"):
                continue
            if len(row) < 2 or not all(field.strip() for field in row[:2]):
                raise InputError(
                    f"{path}: line {rows.line_num}: format should be 'code,class name'."
                )
            names[row[0].strip()] = row[1].strip()
    return names


def _wanted(
    labels_filter: Sequence[str] | None,
    parent_label: str | None,
    names: Mapping[str, str],
    found: files.Files,
) -> list[str] | None:
    """Return the class names to read, None for all."""
    known = names.values()
    for name in labels_filter or ():
        if names and name not in known:
            nearest = _nearest(name, known)
            raise InputError(f"{found.classes}: unknown class name: {quoted(name)}{nearest}.")
    if not parent_label:
        return list(dict.fromkeys(labels_filter)) if labels_filter else None
    if found.hierarchy is None:
        file = "bbox_labels_600_hierarchy.json"
        raise InputError(f"{found.boxes}: parent_label needs {file} beside it; add the file.")
    nodes = list(_nodes(_tree(found.hierarchy)))
    codes = {code for code, name in names.items() if name == parent_label} | {parent_label}
    below = [code for node in nodes if node["LabelName"] in codes for code in _codes(node)]
    branch = list(dict.fromkeys(names[code] for code in below if code in names))
    if not branch:
        nearest = _nearest(parent_label, [names.get(code, code) for code in _codes(nodes[0])])
        unknown = f"unknown parent label: {quoted(parent_label)}{nearest}"
        raise InputError(f"{found.hierarchy}: {unknown}.")
    return branch if not labels_filter else [name for name in labels_filter if name in branch]


def _tree(path: str) -> dict:
    """Return the hierarchy of a file: {"LabelName": code, "Subcategory": [the same]}."""
    waiting = [tree := read_json(path)]
    while waiting:
        node = waiting.pop()
        children = node.get("Subcategory", []) if isinstance(node, dict) else None
        if not isinstance(children, list) or not isinstance(node.get("LabelName"), str):
            raise InputError(f"{path}: expected objects with LabelName and Subcategory.")
        waiting += children
    return tree


def _nodes(tree: dict) -> Iterator[dict]:
    """Yield a node and all nodes below it, each before its children."""
    waiting = [tree]
    while waiting:
        yield (node := waiting.pop())
        waiting += reversed(node.get("Subcategory", ()))


def _codes(tree: dict) -> list[str]:
    return [node["LabelName"] for node in _nodes(tree)]


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names nearest to a name, for a message; "" if none is near."""
    by_lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=5, cutoff=0.4)
    return f" (nearest: {listed(by_lower[other] for other in close)})" if close else ""
