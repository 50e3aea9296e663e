"""What every reader returns, and the check that stands before training."""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.measure import in_threads, measure, upright_boxes, upright_size
from keras_retinanet.utils.text import listed


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One image and its n boxes; `make_record` builds it.

    `origin` and `entries` say where the boxes were written, for messages: box i stands at
    f"{origin} {entries[i]}", such as "train.csv: line 7".
    """

    path: str
    image_id: int | str
    size: tuple[int, int] | None  # (width, height) px of the upright picture, None until checked
    boxes: np.ndarray  # (n, 4) float32 xyxy px
    labels: np.ndarray  # (n,) int64, index into class_names
    ignore: np.ndarray  # (n,) bool: crowd, difficult, DontCare, group-of
    area: np.ndarray  # (n,) float32 px²: the segment's where the file gives it, else the box's
    origin: str = ""
    entries: Sequence[int | str] = ()
    stated_size: tuple[int, int] | None = None  # (width, height) px as the annotation file has it


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images with their boxes, and the names of the K classes."""

    records: list[Record]
    class_names: list[str]
    category_ids: list[int]  # COCO category id of each class, in the order of class_names

    @property
    def num_classes(self):
        return len(self.class_names)


def make_record(
    path,
    image_id,
    boxes=(),
    labels=(),
    ignore=None,
    area=None,
    size=None,
    origin="",
    entries=(),
    stated_size=None,
):
    """A `Record` of plain lists: dtypes set, (0, 4) for no boxes, area of the box, not ignored."""
    # a number too large becomes infinity, and the box is dropped
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = np.asarray(boxes, "float32").reshape(-1, 4)  # (n, 4)
        area = box_math.area(boxes) if area is None else np.asarray(area, "float32")
    labels = np.asarray(labels, "int64")
    ignore = np.zeros(len(boxes), bool) if ignore is None else np.asarray(ignore, bool)
    for name, values in {"labels": labels, "ignore": ignore, "area": area}.items():
        if values.shape != (len(boxes),):
            raise ValueError(f"Expected {len(boxes)} {name}. Received: shape {values.shape}.")
    return Record(
        str(path), image_id, size, boxes, labels, ignore, area, origin, tuple(entries), stated_size
    )


def place_of(record, index=0):
    """Where box `index` of an image, or the image, was written: "train.csv: line 7"."""
    return f"{record.origin} {record.entries[index]}" if record.entries else record.path


def only(record, kept):
    """The record with the boxes alone that a mask (n,) keeps."""
    entries = record.entries and tuple(record.entries[i] for i in np.flatnonzero(kept))
    columns = {name: getattr(record, name)[kept] for name in ("boxes", "labels", "ignore", "area")}
    return dataclasses.replace(record, entries=entries, **columns)


def default_category_ids(class_names):
    """COCO category ids for classes that have none of their own: 1 to K."""
    return list(range(1, len(class_names) + 1))


def checked(dataset, strict=False, need_boxes=True):
    """The data set with what cannot be used left out, and the size of every picture filled in.

    Boxes drawn on a picture as it is stored are turned upright with it (EXIF orientation). Drops
    images that are missing, unreadable or truncated, and boxes that have no area, lie off their
    image or are not finite; clips boxes that stick out of it. Each of the three is one counted
    `UserWarning` that names the first case (clipping by up to 1 px goes without). A
    picture whose size the reader has measured already is not looked at again.

    Args:
        strict: raise what would be a warning.
        need_boxes: also raise when no box remains that is not ignored.

    Raises:
        InputError: when nothing remains, and under `strict`.
    """
    records, faults = _measured(dataset.records)
    if not records:
        why = f" ({len(faults)} missing or unreadable; the first: {faults[0]})" if faults else ""
        raise InputError(f"Expected images. Received: a data set that holds no images{why}")
    fits = [_fit(record) for record in records]
    dropped = [place for _, places, _ in fits for place in places]
    cut = [place for _, _, places in fits for place in places]
    count = sum(len(record.boxes) for record in records)
    _tell("Dropped", faults, len(dataset.records), "images that are missing or unreadable", strict)
    _tell("Dropped", dropped, count, "boxes that have no area or lie off their image", strict)
    _tell("Clipped", cut, count, "boxes that stick out of their image by over 1 px", strict)
    fitted = [record for record, _, _ in fits]
    if need_boxes and all(record.ignore.all() for record in fitted):
        raise InputError(
            f"Expected boxes to learn from. Received: {len(fitted)} images without any"
        )
    return dataclasses.replace(dataset, records=fitted)


def _tell(deed, cases, total, what, strict):
    """Warns of what was done to the cases, or under `strict` raises."""
    if not cases:
        return
    message = f"{len(cases)} of {total} {what}; the first: {cases[0]}."
    if strict:
        raise InputError(f"Found {message}")
    warnings.warn(f"{deed} {message}", UserWarning, stacklevel=3)


def _measured(records):
    """The records whose picture can be read, with its size, and what ails the others."""

    def result(record):
        try:
            return record if record.size else upright(record, *measure(record.path))
        except InputError as error:
            return str(error)

    results = in_threads(result, records)
    return (
        [result for result in results if isinstance(result, Record)],
        [result for result in results if isinstance(result, str)],
    )


def upright(record, size, orientation):
    """The record with the size of its upright picture, which boxes are taken to be drawn on, unless
    the annotation states the size of the picture as it is stored; they are then turned with it.

    `size` and `orientation` are what `measure` says of the picture.
    """
    turned = upright_size(size, orientation)
    if record.stated_size != size or size == turned:
        return dataclasses.replace(record, size=turned)
    boxes = upright_boxes(record.boxes, size, orientation)
    return dataclasses.replace(record, size=turned, stated_size=turned, boxes=boxes)


def _fit(record):
    """The record with its boxes inside the picture, the places of boxes dropped, and of boxes cut.

    An area shrinks with its box, for no object is larger than that.
    """
    boxes = box_math.clip(record.boxes, *record.size)  # (n, 4)
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # (n,)
    kept &= np.isfinite(record.boxes).all(axis=1)  # nothing is known of one that has no end
    if kept.all() and (boxes == record.boxes).all():
        return record, [], []
    moved = np.abs(boxes - record.boxes).max(axis=1)  # (n,) px
    area = np.where(moved > 0, np.minimum(record.area, box_math.area(boxes)), record.area)
    fitted = only(dataclasses.replace(record, boxes=boxes, area=area), kept)
    cut = kept & (moved > 1)
    return fitted, _places(record, ~kept), _places(record, cut)


def _places(record, chosen):
    """Where the chosen (n,) boxes were written, and what they are."""
    width, height = record.size
    places = []
    for i in np.flatnonzero(chosen):
        box = ", ".join(f"{value:g}" for value in record.boxes[i])
        places.append(f"{place_of(record, i)} (box {box} in {width} x {height} px)")
    return places


def with_classes(dataset, class_names):
    """The data set with labels that count `class_names`, such as those of a model.

    Raises:
        InputError: names a class of the data set that is not among them.
    """
    if dataset.class_names == list(class_names):
        return dataset
    unknown = [name for name in dataset.class_names if name not in class_names]
    if unknown:
        raise InputError(f"Expected the classes {listed(class_names)}. Received: {unknown[0]!r}")
    labels = np.array([class_names.index(name) for name in dataset.class_names], "int64")
    ids = dict(zip(dataset.class_names, dataset.category_ids, strict=True))
    spare = max(dataset.category_ids, default=0)
    missing = [name for name in class_names if name not in ids]
    ids.update({name: spare + i for i, name in enumerate(missing, start=1)})
    records = [
        dataclasses.replace(record, labels=labels[record.labels]) for record in dataset.records
    ]
    return Dataset(records, list(class_names), [ids[name] for name in class_names])
