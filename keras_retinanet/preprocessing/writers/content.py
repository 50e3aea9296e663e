"""What goes into the files, whatever their format: which numbers, which names, and what is lost."""

import csv
import io
import re
import warnings
from decimal import Decimal

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import default_category_ids, place_of

# control characters, line ends, halves of characters: what XML, or a line of text, cannot hold
UNFIT = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def check(dataset, set_name, pictures, modes=("copy", "link")):
    """Raises InputError where the arguments of a writer make no sense, or a size is missing."""
    if pictures not in modes:
        raise InputError(f"Expected pictures {' or '.join(modes)}. Received: {pictures!r}")
    if UNFIT.search(set_name) or not re.fullmatch(r"\w([^/\\]*\S)?", set_name):
        raise InputError(f"Expected the name of a set, such as train. Received: {set_name!r}")
    if not dataset.records:
        raise InputError("Expected images to write. Received: a data set that holds no images")
    if not dataset.class_names:
        raise InputError("Expected classes to write. Received: a data set without any")
    unknown = [record.path for record in dataset.records if record.size is None]
    if unknown:
        raise InputError(f"{unknown[0]}: expected its size, which `checked` finds. Received: none")


def check_class_names(names):
    """Raises InputError for class names that are lost in a line of text, or not told apart."""
    for i, name in enumerate(names):
        if not name or name != name.strip() or UNFIT.search(name):
            fitting = "that fit on a line of text, without space around them"
            raise InputError(f"Expected class names {fitting}. Received: {name!r}")
        if name in names[:i]:
            raise InputError(f"Expected classes of different names. Received: {name!r} twice")


def decimals(boxes):
    """Boxes (n, 4) float32 as lists of decimal numbers, each the shortest that reads back alike."""
    return [[Decimal(str(value)).normalize() for value in box] for box in boxes + np.float32(0)]


def plain(number):
    """A decimal number as text without an exponent: "10", "0.25"."""
    return f"{number:f}"


def share(number, whole):
    """`number` / `whole` as the shortest text that reads back as the same float64."""
    return np.format_float_positional(float(number) / whole, trim="-")


def csv_text(rows):
    """The text of a CSV file."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def tell_left_out(dataset, ignored=None, classes=False):
    """Warns of what a format cannot say, among it areas and category ids.

    Args:
        ignored: what is lost of boxes that are to be ignored.
        classes: whether classes that no box has are lost.
    """
    records, names = dataset.records, dataset.class_names
    count = sum(len(record.boxes) for record in records)
    lost = [record.ignore & (ignored is not None) for record in records]
    areas = [~np.isclose(r.area, box_math.area(r.boxes), rtol=1e-3) for r in records]
    tell("Left out", _places(records, lost), count, ignored)
    tell("Left out", _places(records, areas), count, "areas that are not those of the boxes")
    if dataset.category_ids != default_category_ids(names):
        ids = [f"{i} of {name!r}" for i, name in zip(dataset.category_ids, names, strict=True)]
        tell("Left out", ids, len(ids), "category ids")
    if classes:
        used = {label for r, mask in zip(records, lost, strict=True) for label in r.labels[~mask]}
        unused = [repr(name) for label, name in enumerate(names) if label not in used]
        tell("Left out", unused, len(names), "classes that no box has")


def _places(records, masks):
    """Where the boxes stood that the masks (n,) of the records choose."""
    return [
        place_of(record, i)
        for record, mask in zip(records, masks, strict=True)
        for i in np.flatnonzero(mask)
    ]


def tell(deed, cases, total, what, level=4):
    """One warning that counts the cases and names the first; none where there is no case.

    It is laid to the caller `level` calls up.
    """
    if cases:
        message = f"{deed} {len(cases)} of {total} {what}; the first: {cases[0]}."
        warnings.warn(message, UserWarning, stacklevel=level)
