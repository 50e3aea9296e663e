"""The content of the files of any format: numbers, names, and warnings of lost data."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from ... import boxes as box_math
from ...errors import InputError
from ..dataset import Dataset, Record, place_of, warn_counted
from ..readers.parsing import UNSTORABLE

# control characters, line ends, halves of characters: neither XML nor a line of text holds them
UNFIT = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def check(dataset: Dataset, split: str, image_files: str, modes: Sequence[str]) -> None:
    """Check the arguments of a writer, and that the size of every image is known."""
    if image_files not in modes:
        raise InputError(f"image_files must be {' or '.join(modes)} here, got {image_files!r}.")
    if UNFIT.search(split) or not re.fullmatch(r"\w([^/\\]*\S)?", split):
        raise InputError(f"{split!r} is not the name of a split; use one such as train.")
    for held, what in ((dataset.records, "images"), (dataset.class_names, "class names")):
        if not held:
            raise InputError(f"The data set has no {what}; there is nothing to write.")
    for name in dataset.class_names:
        if not name.strip():
            raise InputError(f"The class name {name!r} is blank; rename the class.")
        if UNSTORABLE.search(name):
            raise InputError(f"The class name {name!r} has a NUL or half a character; rename it.")
    for record in dataset.records:
        if record.size is None:
            raise InputError(f"{record.path} has no size; pass the data set through `checked`.")


def check_class_names(names: Sequence[str]) -> None:
    """Check that class names fit on a line of text and differ."""
    for name, count in Counter(names).items():
        if not name or name != name.strip() or UNFIT.search(name):
            raise InputError(f"The class name {name!r} does not fit on a line; rename the class.")
        if count > 1:
            raise InputError(f"{count} classes have the name {name!r}; rename all but one.")


def decimals(boxes: np.ndarray) -> list[list[Decimal]]:
    """Return float32 boxes (n, 4) as decimal numbers, the shortest that read back the same."""
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


def warn_left_out(dataset: Dataset, ignored: str | None = None, classes: bool = False) -> None:
    """Warn of data that a format cannot hold, such as areas and category ids.

    Args:
        ignored: the part of ignored boxes that is lost.
        classes: classes without a box are lost.
    """
    records, names = dataset.records, dataset.class_names
    count = sum(len(record.boxes) for record in records)
    lost = [record.ignore & (ignored is not None) for record in records]
    areas = [~np.isclose(r.area, box_math.area(r.boxes), rtol=1e-3) for r in records]
    for masks, what in ((lost, ignored), (areas, "areas that differ from their box's")):
        pairs = zip(records, masks, strict=True)
        places = [place_of(record, int(i)) for record, mask in pairs for i in np.flatnonzero(mask)]
        warn_counted("Left out", places, count, what)
    if dataset.category_ids != list(range(1, len(names) + 1)):
        ids = [f"{i} of {name!r}" for i, name in zip(dataset.category_ids, names, strict=True)]
        warn_counted("Left out", ids, len(ids), "category ids")
    if classes:
        used = {label for r, mask in zip(records, lost, strict=True) for label in r.labels[~mask]}
        unused = [repr(name) for label, name in enumerate(names) if label not in used]
        warn_counted("Left out", unused, len(names), "classes that no box has")
