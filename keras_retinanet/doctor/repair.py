"""Repair: a cleaned data set, and a list of the changes."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from .. import boxes as box_math
from ..preprocessing.box_faults import INVERTED, box_states, usable
from ..preprocessing.dataset import Dataset, Record, box_text, clipped, only, place_of
from ..preprocessing.writers.content import csv_text
from ..utils.outputs import write_text
from .boxes import twins
from .splits import Split

SAME_SHAPE = 0.01  # tolerance between the aspect ratios of the stated size and the image
IMPORTANCE = {"train": 0, "test": 3, "val": 2, "dev": 2}  # {word in the split's name: rank}, else 1
LEFT = {"classes": "left to you: two classes", "near": "left to you: boxes nearly coincide"}


class Change(NamedTuple):
    """A change, or a decision that is left to the user."""

    split: str
    what: str
    where: str
    before: str = ""
    after: str = ""


class Changes(list[Change]):
    """The changes so far; new changes are in the split `split`."""

    split = ""

    def note(self, what: str, where: str, before: str = "", after: str = "") -> None:
        self.append(Change(self.split, what, where, before, after))

    def note_boxes(
        self, what: str, record: Record, chosen: np.ndarray, after: np.ndarray | None = None
    ) -> None:
        """Note a change of the boxes that a mask (n,) chooses."""
        for i in np.flatnonzero(chosen).tolist():
            new = "" if after is None else box_text(after[i])
            self.note(what, place_of(record, i), box_text(record.boxes[i]), new)


def repair(splits: Sequence[Split]) -> tuple[dict[str, Dataset], list[Change]]:
    """Return ({split: cleaned Dataset}, changes) of the splits of an `Examination`.

    The result leaves out entries and images that cannot be read; boxes that are empty, outside the
    image or not finite; second copies of boxes and images; and training images that are also in an
    evaluation split. Inverted corners are swapped and boxes clipped. If the annotation states
    another size than the image has, boxes are scaled if the shape is the same, else the image is
    left out. Objects with two classes or with two boxes that nearly coincide, and boxes that look
    like shares of the image, are only listed.
    """
    changes = Changes()
    cleaned = [_cleaned(split, changes) for split in splits]
    cleaned = [_without_copies(split, changes) for split in cleaned]
    owners = {}  # {key of an image: the split that keeps it}; the last of equally important splits
    for split in sorted(cleaned, key=lambda split: _importance(split.name)):
        owners.update(dict.fromkeys(split.keys, split.name))
    result = {}
    for split in cleaned:
        changes.split, kept = split.name, []
        for key, record in zip(split.keys, split.records, strict=True):
            if owners[key] == split.name:
                kept.append(record)
            else:
                changes.note("image left out", record.path, after=f"is in {owners[key]} too")
        result[split.name] = dataclasses.replace(split.dataset, records=kept)
    return result, changes


def _importance(name: str) -> int:
    """Return the rank of a split among the splits that hold the same image."""
    return next((rank for word, rank in IMPORTANCE.items() if word in name.lower()), 1)


def write_changes(path: str, changes: Iterable[Change]) -> None:
    """Write the changes as a CSV file with a header."""
    header = ("split", "change", "where", "before", "after")
    write_text(path, csv_text([header, *changes]))


def _cleaned(split: Split, changes: Changes) -> Split:
    """Return the split with every image repaired, or left out."""
    changes.split = split.name
    for fault in split.faults:
        changes.note("entry left out", fault)
    for record, why in split.broken:
        changes.note("image left out", record.path, after=why)
    kept = []
    for key, record, unclear in zip(split.keys, split.records, split.in_shares, strict=True):
        if unclear:
            what = "left to you: boxes look like shares"
            changes.note(what, place_of(record), box_text(record.boxes[0]))
            kept.append((key, record))
            continue
        record = _to_size(record, changes)
        if record is None:
            continue
        sound = _sound(record, changes)
        if len(record.boxes) and not len(sound.boxes):
            changes.note("no box remains: learnt as background", record.path)
        kept.append((key, sound))
    split = _with(split, kept)
    extra = twins(split)
    for kind, what in LEFT.items():
        for index in extra[kind]:
            record, row = split.records[split.image[index]], split.row[index]
            changes.note(what, place_of(record, row), box_text(record.boxes[row]))
    return _without_boxes(split, list(extra["equal"]), changes)


def _with(split: Split, kept: Sequence[tuple[str, Record]]) -> Split:
    dataset = dataclasses.replace(split.dataset, records=[record for _, record in kept])
    return dataclasses.replace(split, dataset=dataset, keys=[key for key, _ in kept])


def _without_boxes(split: Split, indices: Sequence[int], changes: Changes) -> Split:
    """Return the split without the boxes at these indices, which are second copies."""
    drop = np.zeros(len(split.boxes), bool)
    drop[indices] = True
    ends = np.cumsum([len(record.boxes) for record in split.records], dtype=int)
    masks = np.split(drop, ends[:-1]) if len(ends) else []
    kept = []
    for key, record, mask in zip(split.keys, split.records, masks, strict=True):
        changes.note_boxes("second copy of a box left out", record, mask)
        kept.append((key, only(record, ~mask)))
    return _with(split, kept)


def _to_size(record: Record, changes: Changes) -> Record | None:
    """Return the record with its boxes scaled to px of its image, None if that is impossible."""
    size, stated = record.size, record.stated_size or record.size
    result = dataclasses.replace(record, stated_size=size)
    if stated == size:
        return result
    sizes = "{} x {} px".format(*stated), "{} x {} px".format(*size)
    within = [bool((record.boxes[:, 2:] <= np.add(wh, 1)).all()) for wh in (stated, size)]
    if within == [False, True] or not len(record.boxes):  # the boxes are in px of the image
        changes.note("stated size corrected", record.path, *sizes)
        return result
    scale = np.divide(size, stated)  # (2,)
    if abs(scale[0] / scale[1] - 1) > SAME_SHAPE:
        changes.note("image left out", record.path, sizes[0], f"of another shape, {sizes[1]}")
        return None
    changes.note("boxes scaled", record.path, *sizes)
    boxes = (record.boxes * np.tile(scale, 2)).astype("float32")
    area = (record.area * scale.prod()).astype("float32")
    return dataclasses.replace(result, boxes=boxes, area=area)


def _sound(record: Record, changes: Changes) -> Record:
    """Return the record with corners in order and boxes inside the image."""
    inverted = box_states(record.boxes, record.size) == INVERTED
    swapped = _in_order(record, inverted)
    kept = usable(box_states(swapped.boxes, record.size))
    sound = clipped(swapped)
    cut = (sound.boxes != swapped.boxes).any(axis=1)
    changes.note_boxes("corners swapped", record, inverted & kept, swapped.boxes)
    changes.note_boxes("box clipped", record, cut & kept, sound.boxes)
    changes.note_boxes("box left out", record, ~kept)
    return only(sound, kept)


def _in_order(record: Record, inverted: np.ndarray) -> Record:
    """Return the record with the corners of its inverted (n,) boxes swapped."""
    low = np.minimum(record.boxes[:, :2], record.boxes[:, 2:])
    high = np.maximum(record.boxes[:, :2], record.boxes[:, 2:])
    boxes = np.where(inverted[:, None], np.concatenate([low, high], axis=1), record.boxes)
    area = record.area.copy()
    with np.errstate(over="ignore"):  # the area of a huge box shrinks when it is clipped
        area[inverted] = box_math.area(boxes[inverted])
    return dataclasses.replace(record, boxes=boxes, area=area)


def _without_copies(split: Split, changes: Changes) -> Split:
    """Return the split with one record of each image, the record with most boxes."""
    changes.split, kept = split.name, []
    pairs = list(zip(split.keys, split.records, strict=True))
    best: dict[str, Record] = {}
    for key, record in pairs:
        if key not in best or len(record.boxes) > len(best[key].boxes):
            best[key] = record
    for key, record in pairs:
        if record is best[key]:
            kept.append((key, record))
        else:
            other = f"same as {best[key].path}, {len(best[key].boxes)} boxes"
            changes.note("image left out", record.path, f"{len(record.boxes)} boxes", other)
    return _with(split, kept)
