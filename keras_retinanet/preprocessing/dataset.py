"""The data set that every reader returns, and the check that comes before training."""

import dataclasses
import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_retinanet import boxes as box_math
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.box_faults import CUT, box_states, usable
from keras_retinanet.preprocessing.image_info import ImageInfo, image_info
from keras_retinanet.utils.text import counted, listed, quoted
from keras_retinanet.utils.threads import in_threads


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image and its n boxes; `make_record` builds it.

    `origin` and `entries` locate the boxes in messages: box i is at
    f"{origin} {entries[i]}", such as "train.csv: line 7".
    """

    path: str
    image_id: int | str
    size: tuple[int, int] | None  # (width, height) px of the upright image, None until checked
    boxes: np.ndarray  # (n, 4) float32 xyxy px
    labels: np.ndarray  # (n,) int64, index into class_names
    ignore: np.ndarray  # (n,) bool: crowd, difficult, DontCare, group-of
    area: np.ndarray  # (n,) float32 px²: of the segment if the file states it, else of the box
    origin: str = ""
    entries: Sequence[int | str] = ()
    stated_size: tuple[int, int] | None = None  # (width, height) px that the annotation states


FREQUENCIES = ("r", "c", "f")  # of a class in LVIS: rare, common, frequent


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with their boxes, and the names of the K classes.

    `frequencies` has the groups that LVIS names, {class name: "r", "c" or "f"} for rare, common and
    frequent ones.
    """

    records: list[Record]
    class_names: list[str]
    category_ids: list[int]  # COCO category id of each class, in the order of class_names
    outside: tuple[str, ...] = ()  # files outside the data set's folder
    frequencies: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def fingerprints(*datasets: Dataset | None) -> list[str | None]:
    """Return a hash of each data set's file names, boxes and labels, whatever its folder."""
    return [None if dataset is None else _fingerprint(dataset) for dataset in datasets]


def _fingerprint(dataset: Dataset) -> str:
    digest = hashlib.sha256("\n".join(dataset.class_names).encode())
    for record in dataset.records:
        digest.update(f"{os.path.basename(record.path)} {record.size}".encode())
        for values in (record.boxes, record.labels, record.ignore):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def make_record(
    path: object,
    image_id: int | str,
    boxes: ArrayLike = (),
    labels: ArrayLike = (),
    ignore: ArrayLike | None = None,
    area: ArrayLike | None = None,
    size: tuple[int, int] | None = None,
    origin: str = "",
    entries: Sequence[int | str] = (),
    stated_size: tuple[int, int] | None = None,
) -> Record:
    """Make a `Record` from plain lists.

    By default no box is ignored, and `area` is the area of the boxes.
    """
    # a number that is too large becomes infinity, and `checked` drops the box
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = np.asarray(boxes, "float32").reshape(-1, 4)  # (n, 4)
        area = box_math.area(boxes) if area is None else np.asarray(area, "float32")
    labels = np.asarray(labels, "int64")
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.asarray(ignore, bool)
    for name, values in {"labels": labels, "ignore": ignore, "area": area}.items():
        if values.shape != (len(boxes),):
            raise ValueError(f"{name} must be {len(boxes)}, one for each box, got {values.shape}.")
    return Record(
        str(path), image_id, size, boxes, labels, ignore, area, origin, tuple(entries), stated_size
    )


def place_of(record: Record, index: int = 0) -> str:
    """Return the place of box `index` in its file, such as "train.csv: line 7", else the image."""
    return f"{record.origin} {record.entries[index]}" if record.entries else record.path


def box_text(box: np.ndarray) -> str:
    return ", ".join(f"{value:.6g}" for value in box)


def box_place(record: Record, index: int, more: str = "") -> str:
    """Return the place in a file of box `index` of a checked record, its corners, and `more`."""
    box, size = box_text(record.boxes[index]), "{} x {} px".format(*record.size)
    return f"{place_of(record, index)} (box {box} in {size}{more})"


def only(record: Record, kept: np.ndarray) -> Record:
    """Return the record with only the boxes that a mask (n,) keeps."""
    if kept.all():
        return record
    entries = record.entries and tuple(record.entries[i] for i in np.flatnonzero(kept).tolist())
    return dataclasses.replace(
        record,
        entries=entries,
        boxes=record.boxes[kept],
        labels=record.labels[kept],
        ignore=record.ignore[kept],
        area=record.area[kept],
    )


def clipped(record: Record) -> Record:
    """Return the record with its boxes clipped to the image.

    An area shrinks with its box, because no object is larger than its box.
    """
    boxes = box_math.clip(record.boxes, *record.size)  # (n, 4)
    moved = (boxes != record.boxes).any(axis=1)  # (n,)
    if not moved.any():
        return record
    area = np.where(moved, np.minimum(record.area, box_math.area(boxes)), record.area)
    return dataclasses.replace(record, boxes=boxes, area=area)


def checked(dataset: Dataset, strict: bool = False, need_boxes: bool = True) -> Dataset:
    """Fill in the size of every image and leave out unusable images and boxes.

    Drops images that are missing, unreadable or truncated, drops boxes that are not `usable`, and
    clips boxes that stick out of their image. Each of the three gives one `UserWarning` with the
    number of cases and the first case; clipping by up to 1 px gives none. Boxes drawn on the image
    as it is stored are turned upright with it (EXIF orientation). Images whose size the reader has
    found are not opened again.

    Args:
        strict: raise instead of warning.
        need_boxes: also raise if no box remains that is not ignored.

    Raises:
        InputError: if nothing remains, and under `strict`.
    """
    read = in_threads(_with_size, dataset.records)
    records = [record for record in read if isinstance(record, Record)]
    faults = [fault for fault in read if isinstance(fault, str)]
    if not records:
        why = f" ({len(faults)} missing or unreadable; the first: {faults[0]})" if faults else ""
        raise InputError(f"The data set has no usable images{why}; check its paths.")
    states = [box_states(record.boxes, record.size) for record in records]
    pairs = list(zip(records, states, strict=True))
    dropped = [box_place(r, int(i)) for r, s in pairs for i in np.flatnonzero(~usable(s))]
    cut = [box_place(r, int(i)) for r, s in pairs for i in np.flatnonzero(s == CUT)]
    count = sum(len(record.boxes) for record in records)
    for deed, cases, total, what in (
        ("Dropped", faults, len(dataset.records), "images that are missing or unreadable"),
        ("Dropped", dropped, count, "boxes that have no area or lie outside their image"),
        ("Clipped", cut, count, "boxes that stick out of their image by over 1 px"),
    ):
        if strict and cases:
            raise InputError(f"Found {len(cases)} of {total} {what}; the first: {cases[0]}.")
        warn_counted(deed, cases, total, what, level=3)
    fitted = [clipped(only(record, usable(state))) for record, state in pairs]
    if need_boxes and all(record.ignore.all() for record in fitted):
        raise InputError(
            f"None of {len(fitted)} images has a box to train on; check the annotations."
        )
    report_outside(dataset, strict)
    return dataclasses.replace(dataset, records=fitted, outside=())


def warn_counted(
    deed: str, cases: Sequence[str], total: int, what: str | None, level: int = 4
) -> None:
    """Warn of the number of cases and the first case, if any; `level` is the `stacklevel`."""
    if cases:
        message = f"{deed} {len(cases)} of {total} {what}; the first: {cases[0]}."
        warnings.warn(message, UserWarning, stacklevel=level)


def report_outside(dataset: Dataset, strict: bool = False) -> None:
    """Warn of files outside the data set's folder, or raise under `strict`."""
    if dataset.outside:
        count, first = len(dataset.outside), dataset.outside[0]
        files = counted(count, "file")
        message = f"Read {files} outside the data set's folder; the first: {first}."
        if strict:
            raise InputError(f"{message} Pass their folder as the folder of the images.")
        warnings.warn(message, UserWarning, stacklevel=3)


def _with_size(record: Record) -> Record | str:
    """Return the record with the size of its image, or the reason why the image has none."""
    try:
        return record if record.size else upright(record, image_info(record.path))
    except InputError as error:
        return str(error).rstrip(".")


def upright(record: Record, info: ImageInfo) -> Record:
    """Return the record with the size of its upright image.

    Boxes are on the upright image, unless the annotation states the size of the stored image; then
    they are turned upright with it.
    """
    if record.stated_size != info.stored_size or info.stored_size == info.size:
        return dataclasses.replace(record, size=info.size)
    boxes = info.upright(record.boxes)
    return dataclasses.replace(record, size=info.size, stated_size=info.size, boxes=boxes)


def with_classes(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """Return the data set with labels that index `class_names`, such as the classes of a model.

    Raises:
        InputError: names a class of the data set that is not among them.
    """
    if dataset.class_names == list(class_names):
        return dataset
    label_of = {name: label for label, name in enumerate(class_names)}
    unknown = [name for name in dataset.class_names if name not in label_of]
    if unknown:
        raise InputError(f"Unknown class {quoted(unknown[0])}; known: {listed(class_names)}.")
    labels = np.array([label_of[name] for name in dataset.class_names], "int64")
    ids = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    spare = max(dataset.category_ids, default=0)
    missing = [name for name in class_names if name not in ids]
    ids.update({name: spare + i for i, name in enumerate(missing, start=1)})
    records = [
        dataclasses.replace(record, labels=labels[record.labels]) for record in dataset.records
    ]
    return dataclasses.replace(
        dataset,
        records=records,
        class_names=list(class_names),
        category_ids=[ids[name] for name in class_names],
    )
