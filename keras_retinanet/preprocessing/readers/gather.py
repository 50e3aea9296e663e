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
    """An object as its annotation states it."""

    entry: int | str  # its place in the file is f"{origin} {entry}"
    name: str | None  # None for an ignored box without a class
    box: Sequence[float]  # xyxy px
    ignored: bool = False
    area: float | None = None  # px², None for the area of the box


@dataclasses.dataclass(frozen=True)
class Found:
    """An image as its annotation states it."""

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

    `lines` gets a line for each malformed entry; if it is None, the first one is raised.
    """

    lines: list[str] | None
    lost: set[int | str] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def collect(self, image_id: int | str | None = None) -> Iterator[None]:
        """Collect an InputError of the block. Any fault in the block adds `image_id` to `lost`."""
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
    """Make a data set of images; an object of an unknown class is a fault.

    An image that lost all of its objects to faults is left out: training would take it for
    background.

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
    """Leave out images with different names that, without their folders, lead to the same file."""
    first: dict[str, Found] = {}
    shared = set()
    for image in images:
        other = first.setdefault(image.path, image)
        pair = (other.name, image.name)
        if len({*pair}) > 1 and any(is_shortened(image.path, name) for name in pair):
            shared.add(image.path)
            with faults.collect():
                where, names = image.origin.rpartition(":")[0], " and ".join(map(quoted, pair))
                reached = f"both lead to {quoted(image.path)} because their folders do not exist"
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
    """Return {name: label} in label order; the labels must be 0 to K - 1."""
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
    """Return a box in px, given as shares of an image of `size`."""
    return [share * side for share, side in zip(box, (*size, *size), strict=True)]
