"""Gather objects with class names into a data set."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ...errors import InputError, collect
from ...utils.text import listed, quoted
from ..dataset import Dataset, Record, make_record
from .files import is_shortened, lies_in

Classes = Sequence[str] | Mapping[str, int] | None  # in label order, {name: label}, or as found


class Object(NamedTuple):
    """An object as its annotation has it."""

    entry: int | str  # it was written at f"{origin} {entry}"
    name: str | None  # None: ignored, and of no class
    box: Sequence[float]  # xyxy px
    ignored: bool = False
    area: float | None = None  # px², None for the area of the box


@dataclasses.dataclass(frozen=True)
class Found:
    """An image as its annotation has it."""

    path: str
    image_id: int | str
    origin: str
    objects: list[Object]
    stated_size: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    name: str = ""  # the name in the annotation that led to `path`; "" for a file found in a folder


@dataclasses.dataclass
class Faults:
    """The malformed entries of a data set, and the ids of the images that lost an object to one.

    `lines` receives a line for each; None raises the first.
    """

    lines: list[str] | None
    lost: set[int | str] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def collect(self, image_id: int | str | None = None) -> Iterator[None]:
        """End the block at an InputError. A fault in it adds `image_id`, if given, to `lost`."""
        before = len(self.lines or ())
        with collect(self.lines):
            yield
        if image_id is not None and len(self.lines or ()) > before:
            self.lost.add(image_id)


def gather(
    images: Sequence[Found],
    classes: Classes,
    faults: Faults,
    folders: Iterable[str | os.PathLike | None],
    category_ids: Sequence[int] | None = None,
) -> Dataset:
    """Return the data set of images; an object of an unknown class is a fault.

    Images that lost every object to faults are left out: they would be learnt as background.

    Args:
        folders: the folders of the data set; images outside them are noted as `outside`.
    """
    names = (found.name for image in images for found in image.objects if found.name is not None)
    labels = class_labels(classes, names)
    records = [_record(image, labels, faults) for image in _distinct(images, faults)]
    kept = [r for r in records if len(r.boxes) or r.image_id not in faults.lost]
    own = [folder for folder in folders if folder is not None]
    outside = [r.path for r in kept if not lies_in(r.path, own) and os.path.isfile(r.path)]
    ids = list(category_ids or range(1, len(labels) + 1))
    return Dataset(kept, list(labels), ids, tuple(outside))


def _distinct(images: Sequence[Found], faults: Faults) -> list[Found]:
    """Return the images without those whose names lead to one file once folders are dropped."""
    first: dict[str, Found] = {}
    shared = set()
    for image in images:
        other = first.setdefault(image.path, image)
        pair = (other.name, image.name)
        if len({*pair}) > 1 and any(is_shortened(image.path, name) for name in pair):
            shared.add(image.path)
            with faults.collect():
                where, names = image.origin.rpartition(":")[0], " and ".join(map(quoted, pair))
                reached = f"both lead to {quoted(image.path)} without their folders"
                raise InputError(f"{where}: {names} {reached}; keep the folders of the images.")
    return [image for image in images if image.path not in shared]


def _record(image: Found, labels: dict[str, int], faults: Faults) -> Record:
    known = []
    for found in image.objects:
        if found.name in labels or (found.name is None and labels):
            known.append(found)
        elif found.name is not None:
            with faults.collect(image.image_id):
                label_of(labels, found.name, f"{image.origin} {found.entry}")
    areas = [found.area for found in known]
    return make_record(
        image.path,
        image.image_id,
        boxes=[found.box for found in known],
        labels=[labels.get(found.name, 0) for found in known],
        ignore=[found.ignored for found in known],
        area=None if None in areas else areas,
        size=image.size,
        origin=image.origin,
        entries=[found.entry for found in known],
        stated_size=image.stated_size,
    )


def class_labels(classes: Classes, found: Iterable[str] = ()) -> dict[str, int]:
    """Return {name: label} in the order of the labels, which must be 0 to K - 1."""
    if classes is None:
        classes = sorted(set(found))
    if not isinstance(classes, Mapping):
        classes = {name: label for label, name in enumerate(classes)}
    names = sorted(classes, key=classes.get)
    if [classes[name] for name in names] != list(range(len(names))):
        raise InputError(
            f"The labels of the classes must be 0 to K - 1, once each, got {quoted(classes)}."
        )
    return {name: classes[name] for name in names}


def label_of(labels: Mapping[str, int], name: str, where: str) -> int:
    """Return the label of a class name; InputError lists the known ones."""
    if name not in labels:
        known = f"(classes: {listed(labels)})"
        raise InputError(f"{where}: unknown class name: {quoted(name)} {known}.")
    return labels[name]


def in_px(box: Sequence[float], size: tuple[int, int]) -> list[float]:
    """Return a box of shares of an image as one in px of its `size`."""
    return [share * side for share, side in zip(box, (*size, *size), strict=True)]
