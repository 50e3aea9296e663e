"""The content of the files of any format: numbers, names, and warnings about what is lost."""

import csv
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from ... import boxes as box_math
from ...errors import InputError
from ..dataset import Dataset, Record, default_category_ids, place_of

# control characters, line ends, halves of characters: what XML, or a line of text, cannot hold
UNFIT = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def check(dataset: Dataset, set_name: str, pictures: str, modes: Sequence[str]) -> None:
    """Check the arguments of a writer, and that the size of every image is known."""
    if pictures not in modes:
        raise InputError(f"Expected pictures {' or '.join(modes)}, got {pictures!r}.")
    if UNFIT.search(set_name) or not re.fullmatch(r"\w([^/\\]*\S)?", set_name):
        raise InputError(f"Expected the name of a split, such as train, got {set_name!r}.")
    if not dataset.records:
        raise InputError("The data set holds no images; there is nothing to write.")
    if not dataset.class_names:
        raise InputError("Expected classes to write, got a data set without any.")
    for record in dataset.records:
        if record.size is None:
            raise InputError(f"{record.path}: expected its size; call `checked` first.")


def check_class_names(names: Sequence[str]) -> None:
    """Check that class names fit on a line of text and differ."""
    for i, name in enumerate(names):
        if not name or name != name.strip() or UNFIT.search(name):
            fitting = "that fit on a line of text, without space around them"
            raise InputError(f"Expected class names {fitting}, got {name!r}.")
        if name in names[:i]:
            raise InputError(f"Expected classes of different names, got {name!r} twice.")


def decimals(boxes: np.ndarray) -> list[list[Decimal]]:
    """Return float32 boxes (n, 4) as decimal numbers, each the shortest that reads back alike."""
    return [[Decimal(str(value)).normalize() for value in box] for box in boxes + np.float32(0)]


def rows_of(record: Record, with_ignored: bool = True) -> Iterator[tuple[list[Decimal], int, bool]]:
    """Yield (box in px, label, ignored) of a record."""
    boxes = decimals(record.boxes)
    for box, label, ignored in zip(boxes, record.labels, record.ignore, strict=True):
        if with_ignored or not ignored:
            yield box, label, ignored


def plain(number: Decimal) -> str:
    """Return a decimal number as text without an exponent: "10", "0.25"."""
    return f"{number:f}"


def share(number: Decimal, whole: int) -> str:
    """Return `number` / `whole` as the shortest text that reads back as the same float64."""
    return np.format_float_positional(float(number) / whole, trim="-")


def csv_text(rows: Iterable[Sequence]) -> str:
    """Return the text of a CSV file."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def tell_left_out(dataset: Dataset, ignored: str | None = None, classes: bool = False) -> None:
    """Warn of what a format cannot hold, such as areas and category ids.

    Args:
        ignored: the part of ignored boxes that is lost.
        classes: classes without a box are lost.
    """
    records, names = dataset.records, dataset.class_names
    count = sum(len(record.boxes) for record in records)
    lost = [record.ignore & (ignored is not None) for record in records]
    areas = [~np.isclose(r.area, box_math.area(r.boxes), rtol=1e-3) for r in records]
    for masks, what in ((lost, ignored), (areas, "areas that are not those of the boxes")):
        pairs = zip(records, masks, strict=True)
        places = [place_of(record, int(i)) for record, mask in pairs for i in np.flatnonzero(mask)]
        tell("Left out", places, count, what)
    if dataset.category_ids != default_category_ids(names):
        ids = [f"{i} of {name!r}" for i, name in zip(dataset.category_ids, names, strict=True)]
        tell("Left out", ids, len(ids), "category ids")
    if classes:
        used = {label for r, mask in zip(records, lost, strict=True) for label in r.labels[~mask]}
        unused = [repr(name) for label, name in enumerate(names) if label not in used]
        tell("Left out", unused, len(names), "classes that no box has")


def tell(deed: str, cases: Sequence[str], total: int, what: str | None, level: int = 4) -> None:
    """Warn of the number of cases and the first, if there are any, at the caller `level` up."""
    if cases:
        message = f"{deed} {len(cases)} of {total} {what}; the first: {cases[0]}."
        warnings.warn(message, UserWarning, stacklevel=level)
