"""A cleaned data set, and a list of what was changed in it."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.doctor.boxes import EMPTY, INVERTED, OUTSIDE, UNREAL, in_shares, states, twins
from keras_retinanet.doctor.findings import box_text
from keras_retinanet.doctor.pictures import copies
from keras_retinanet.preprocessing.dataset import only, place_of
from keras_retinanet.preprocessing.writers.content import csv_text
from keras_retinanet.utils.outputs import write_text

SAME_SHAPE = 0.01  # by which width / height may differ between the stated size and the picture's
IMPORTANCE = {"train": 0, "test": 3, "val": 2, "dev": 2}  # of a set by what its name holds, else 1
LEFT = {"classes": "left to you: two classes", "near": "left to you: boxes nearly coincide"}


class Change(NamedTuple):
    """One thing that was done, or left to the person."""

    set_name: str
    what: str
    where: str
    before: str = ""
    after: str = ""


def repair(splits):
    """({set name: cleaned Dataset}, [Change]) of the splits of an `Examination`.

    Left out are entries and pictures that cannot be read, boxes that are empty, outside or no
    numbers, second copies of boxes and pictures, and pictures of the training set that are
    evaluated on. Corners are swapped and boxes clipped; boxes are scaled where the annotation
    states another size of the same shape, else their image is left out. Objects with two classes or
    with two boxes that nearly coincide, and boxes that look like shares of the picture, are only
    listed.
    """
    changes = []
    mended = [_mended(split, changes) for split in splits]
    mended = [_without_copies(split, changes) for split in mended]
    owners = {}  # key of a picture: the set that keeps it
    for split in sorted(mended, key=lambda split: _importance(split.name)):
        owners.update(dict.fromkeys(split.keys, split.name))
    result = {}
    for split in mended:
        kept = []
        for key, record in zip(split.keys, split.records, strict=True):
            if owners[key] == split.name:
                kept.append(record)
                continue
            after = f"is in {owners[key]} too"
            changes.append(Change(split.name, "image left out", record.path, after=after))
        result[split.name] = dataclasses.replace(split.dataset, records=kept)
    return result, changes


def _importance(name):
    """The rank of a set among those that hold a picture; of equal ones the later keeps it."""
    return next((rank for word, rank in IMPORTANCE.items() if word in name.lower()), 1)


def write_changes(path, changes):
    """Writes the changes as a CSV file with a header."""
    header = ("set", "change", "where", "before", "after")
    write_text(path, csv_text([header, *changes]))


def _mended(split, changes):
    """The split with every image mended, or left out."""

    def note(what, where, before="", after=""):
        changes.append(Change(split.name, what, where, before, after))

    for fault in split.faults:
        note("entry left out", fault)
    for record, why in split.broken:
        note("image left out", record.path, after=why)
    kept = []
    for key, record, unclear in zip(split.keys, split.records, in_shares(split), strict=True):
        if unclear:
            note("left to you: boxes look like shares", place_of(record), box_text(record.boxes[0]))
            kept.append((key, record))
            continue
        record = _to_size(record, note)
        if record is None:
            continue
        sound = _sound(record, note)
        if len(record.boxes) and not len(sound.boxes):
            note("no box remains: learnt as background", record.path)
        kept.append((key, sound))
    split = _with(split, kept)
    extra = twins(split)
    for kind, what in LEFT.items():
        for index in extra[kind]:
            record, own = split.box(index)
            note(what, place_of(record, own), box_text(record.boxes[own]))
    return _without_boxes(split, list(extra["equal"]), note)


def _with(split, kept):
    """The split with other [(key, record)]."""
    dataset = dataclasses.replace(split.dataset, records=[record for _, record in kept])
    return dataclasses.replace(split, dataset=dataset, keys=[key for key, _ in kept])


def _without_boxes(split, indices, note):
    """The split without these of its N boxes, which are second copies."""
    drop = np.zeros(len(split.boxes), bool)
    drop[indices] = True
    kept = []
    for image, (key, record) in enumerate(zip(split.keys, split.records, strict=True)):
        first = split.first[image]
        mask = drop[first : first + len(record.boxes)]
        for own in np.flatnonzero(mask):
            box = box_text(record.boxes[own])
            note("second copy of a box left out", place_of(record, own), box)
        kept.append((key, only(record, ~mask) if mask.any() else record))
    return _with(split, kept)


def _to_size(record, note):
    """The record with boxes in px of its picture, None where they cannot be brought there."""
    size, stated = record.size, record.stated_size or record.size
    result = dataclasses.replace(record, stated_size=size)
    if stated == size:
        return result
    sizes = "{} x {} px".format(*stated), "{} x {} px".format(*size)
    within = [bool((record.boxes[:, 2:] <= np.add(wh, 1)).all()) for wh in (stated, size)]
    if within == [False, True] or not len(record.boxes):  # so they are in px of the picture
        note("stated size mended", record.path, *sizes)
        return result
    scale = np.divide(size, stated)  # (2,)
    if abs(scale[0] / scale[1] - 1) > SAME_SHAPE:
        note("image left out", record.path, sizes[0], f"of another shape, {sizes[1]}")
        return None
    note("boxes scaled", record.path, *sizes)
    boxes = (record.boxes * np.tile(scale, 2)).astype("float32")
    area = (record.area * scale.prod()).astype("float32")
    return dataclasses.replace(result, boxes=boxes, area=area)


def _sound(record, note):
    """The record with boxes that its picture holds."""
    sizes = np.tile(record.size, (len(record.boxes), 1))  # (n, 2)

    def tell(what, chosen, after=None):
        for i in np.flatnonzero(chosen):
            box = box_text(record.boxes[i])
            note(what, place_of(record, i), box, "" if after is None else box_text(after[i]))

    boxes = record.boxes
    inverted = states(boxes, sizes) == INVERTED
    low, high = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    boxes = np.where(inverted[:, None], np.concatenate([low, high], axis=1), boxes)
    state = states(boxes, sizes)
    dropped = np.isin(state, (UNREAL, EMPTY, OUTSIDE))
    clipped = box_math.clip(boxes, *record.size)
    moved = (clipped != boxes).any(axis=1)
    tell("corners swapped", inverted & ~dropped, boxes)
    tell("box clipped", moved & ~dropped, clipped)
    tell("box left out", dropped)
    area = np.where(moved, np.minimum(record.area, box_math.area(clipped)), record.area)
    area = np.where(inverted, box_math.area(clipped), area)
    return only(dataclasses.replace(record, boxes=clipped, area=area), ~dropped)


def _without_copies(split, changes):
    """The split with one image of each picture, the one with most boxes."""
    dropped = set()
    for group in copies(split):
        best = max(group, key=lambda record: len(record.boxes))
        for record in group:
            if record is not best:
                dropped.add(id(record))
                counts = (f"{len(record.boxes)} boxes", f"as {best.path}, {len(best.boxes)} boxes")
                changes.append(Change(split.name, "image left out", record.path, *counts))
    pairs = zip(split.keys, split.records, strict=True)
    return _with(split, [(key, record) for key, record in pairs if id(record) not in dropped])
