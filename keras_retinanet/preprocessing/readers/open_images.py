"""Open Images: the boxes of a subset in one CSV file, as shares of the picture."""

import csv
import difflib
import operator
import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.preprocessing.measure import image_sizes
from keras_retinanet.preprocessing.readers import open_images_files as files
from keras_retinanet.preprocessing.readers.files import PICTURES, pictures_by_stem
from keras_retinanet.preprocessing.readers.gather import collect_of, without_lost
from keras_retinanet.preprocessing.readers.parsing import number, read_json
from keras_retinanet.utils.outputs import note_inputs
from keras_retinanet.utils.text import listed, read_text

CORNERS = ("XMin", "YMin", "XMax", "YMax")
BOXABLE = 1000  # a list of more classes than that is one of image labels, most without a box

sets = files.sets


def read_open_images(
    path,
    subset=None,
    version=None,
    labels_filter=None,
    parent_label=None,
    images_dir=None,
    faults=None,
):
    """The data set of a subset of Open Images, v4 to v7 or the challenges.

    Boxes around a group of objects are ignored. The images are those that have a box and, unless
    there is a filter, those of the subset's list of images whose picture is there: few people have
    all nine million. An image whose picture is missing has no boxes.

    Args:
        path: folder with the CSV files, also in annotations, metadata or csv, and the pictures in
            images/<subset>; or the CSV file of boxes.
        subset: such as "train"; None takes the only one.
        version: such as "v4" or "challenge2018", where files of several lie in the folder.
        labels_filter: names of the only classes to read, in the order of their labels.
        parent_label: name of the only class to read, with all below it in the hierarchy.
        images_dir: folder of the pictures where it is another one.
        faults: list for what is malformed, which is then left out; None raises the first.

    Raises:
        InputError: names file and line.
    """
    found = files.find(str(path), subset, version)
    names = _class_names(found.classes) if found.classes else {}
    wanted = _wanted(labels_filter, parent_label, names, found)
    folders = [images_dir] if images_dir else found.images
    pictures = pictures_by_stem(folders)
    lost = set()
    images, seen = _boxes(found.boxes, names, wanted, pictures, lost, faults)
    if found.listing and wanted is None:
        listed_ids = _listed_ids(found.listing, found.subset)
        images = {i: images.get(i, ()) for i in listed_ids if i in images or i in pictures} | images
    if not images and not faults:
        which = f" of the classes {listed(wanted)}" if wanted else ""
        raise InputError(f"{found.boxes} holds no boxes{which}")
    present = [image_id for image_id in images if image_id in pictures]
    sizes = dict(zip(present, image_sizes([pictures[i] for i in present]), strict=True))
    class_names = wanted or list(dict.fromkeys(names.values()))
    if not names or len(names) > BOXABLE:
        class_names = [name for name in class_names or sorted(seen) if name in seen]
    labels = {name: label for label, name in enumerate(class_names)}
    records = [
        _record(
            pictures.get(image_id) or os.path.join(folders[0], f"{image_id}.jpg"),
            image_id,
            objects,
            labels,
            sizes.get(image_id),
            f"{found.boxes}: line",
        )
        for image_id, objects in images.items()
    ]
    return Dataset(without_lost(records, lost), class_names, default_category_ids(class_names))


def _record(path, image_id, objects, labels, size, origin):
    """A record; without the picture's size there are no boxes in px."""
    if size is None:
        return make_record(path, image_id)
    width, height = size
    return make_record(
        path,
        image_id,
        boxes=[
            (x1 * width, y1 * height, x2 * width, y2 * height) for *_, (x1, y1, x2, y2) in objects
        ],
        labels=[labels[name] for _, name, *_ in objects],
        ignore=[group for _, _, group, _ in objects],
        size=size,
        origin=origin,
        entries=[line for line, *_ in objects],
    )


def _rows(path, needed, more=()):
    """(line, values of the columns) of a CSV file whose header names those needed, and perhaps
    more, which are "" where they are missing.
    """
    note_inputs([path])
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # a train set has 2 GB
            csv_reader = csv.reader(file)
            header = [name.strip() for name in next(csv_reader, [])]
            missing = [name for name in needed if name not in header]
            if missing:
                raise InputError(f"{path}: line 1: expected a header that names {listed(missing)}")
            names = [*needed, *more]
            pick = operator.itemgetter(*(header.index(n) if n in header else -1 for n in names))
            for row in csv_reader:
                if any(row):
                    short = [""] * (len(header) - len(row))
                    yield csv_reader.line_num, pick([*row[: len(header)], *short, ""])
    except UnicodeDecodeError:
        read_text(path)  # raises, with the line
    except csv.Error as error:
        raise InputError(f"{path}: line {csv_reader.line_num}: {error}") from None


def _boxes(path, names, wanted, pictures, lost, faults):
    """{image id: [(line, class name, whether of a group, box)]} and the names of all classes seen.

    What has no picture has no boxes, for those of a whole release are more than fit into memory.
    """
    known, chosen = set(names.values()), wanted and set(wanted)
    images, seen = {}, set()
    for line, fields in _rows(path, ("ImageID", "LabelName", *CORNERS), ["IsGroupOf"]):
        written, label, *corners, group = fields
        image_id, where = _image_id(written), f"{path}: line {line}"
        with collect_of(image_id, lost, faults):
            name = names.get(label, label)
            if name not in known and (names or not name):
                raise InputError(f"{where}: unknown LabelName: {label!r}{_nearest(label, known)}")
            if chosen and name not in chosen:
                continue
            seen.add(name)
            if not image_id:
                raise InputError(f"{where}: expected an ImageID")
            if image_id in pictures:
                box = _corners(corners, where)
                images.setdefault(image_id, []).append((line, name, group.strip() == "1", box))
            else:
                images.setdefault(image_id, [])
    return images, seen


def _corners(texts, where):
    """[x1, y1, x2, y2] as shares of the picture."""
    box = [number(t.replace(",", "."), c, where) for t, c in zip(texts, CORNERS, strict=True)]
    if min(box) < -1 or max(box) > 2:  # what sticks out but a little is clipped by the check
        raise InputError(
            f"{where}: expected shares of the picture, 0 to 1. Received: {listed(box)}"
        )
    return box


def _image_id(text):
    """An image id without the suffix of a picture."""
    text = text.strip()
    return os.path.splitext(text)[0] if text.lower().endswith(PICTURES) else text


def _listed_ids(path, subset):
    """The ids of a subset in a list of images."""
    for _, (image_id, of) in _rows(path, ["ImageID"], ["Subset"]):
        if not of or subset is None or of == subset:
            yield _image_id(image_id)


def _class_names(path):
    """{code: class name} of a file of class descriptions, with or without a header."""
    names = {}
    for line, row in enumerate(csv.reader(read_text(path).splitlines()), start=1):
        if not any(row) or (line == 1 and row[0].strip().lower() == "labelname"):
            continue
        if len(row) < 2 or not all(field.strip() for field in row[:2]):
            raise InputError(f"{path}: line {line}: format should be 'code,class name'")
        names[row[0].strip()] = row[1].strip()
    return names


def _wanted(labels_filter, parent_label, names, found):
    """The class names that are asked for, None for all."""
    if not labels_filter and not parent_label:
        return None
    for name in labels_filter or ():
        _check_name(name, names, found.classes)
    if not parent_label:
        return list(dict.fromkeys(labels_filter))
    if found.hierarchy is None:
        raise InputError(f"{found.boxes}: expected a file bbox_labels_600_hierarchy.json beside it")
    tree = _tree(found.hierarchy)
    codes = {code for code, name in names.items() if name == parent_label} | {parent_label}
    below = [code for node in _nodes(tree) if node["LabelName"] in codes for code in _codes(node)]
    branch = list(dict.fromkeys(names[code] for code in below if code in names))
    if not branch:
        known = [names.get(code, code) for code in _codes(tree)]
        nearest = _nearest(parent_label, known)
        raise InputError(f"{found.hierarchy}: unknown parent label: {parent_label!r}{nearest}")
    return branch if not labels_filter else [name for name in labels_filter if name in branch]


def _tree(path):
    """The hierarchy of a file: {"LabelName": code, "Subcategory": [likewise]}."""
    tree = read_json(path)
    try:
        list(_codes(tree))
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{path}: expected objects with LabelName and Subcategory") from None
    return tree


def _nodes(tree):
    yield tree
    for child in tree.get("Subcategory", ()):
        yield from _nodes(child)


def _codes(tree):
    return [node["LabelName"] for node in _nodes(tree)]


def _check_name(name, names, path):
    if names and name not in names.values():
        raise InputError(f"{path}: unknown class name: {name!r}{_nearest(name, names.values())}")


def _nearest(name, known):
    """The known names that are most like a name, for a message."""
    by_lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=5, cutoff=0.4)
    return f" (nearest: {listed(by_lower[other] for other in close)})" if close else ""
