"""What the readers share: JSON and XML files, numbers, class names."""

import json
import math
import reprlib
import xml.etree.ElementTree as ElementTree
from xml.parsers import expat

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import note_inputs
from keras_retinanet.utils.text import listed, read_text

LARGEST = 1e9  # what no coordinate in px goes beyond


def read_json(path):
    """The content of a JSON file; InputError names the line and column that is malformed."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno}, column {error.colno}: malformed JSON: {error.msg}"
        ) from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise InputError(f"{path}: malformed JSON: {error}") from None


def read_xml(path, tag):
    """The root of an XML file, which must be a <tag>; InputError names line and column."""
    note_inputs([path])
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ElementTree.ParseError as error:
        line, column = error.position
        reason = f"malformed XML: {expat.ErrorString(error.code)}"
        raise InputError(f"{path}: line {line}, column {column + 1}: {reason}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise InputError(f"{path}: line 1: malformed XML: {error}") from None
    if root.tag != tag:
        raise InputError(f"{path}: expected <{tag}> as the root. Received: <{root.tag}>")
    return root


def number(text, name, where):
    """A float up to `LARGEST` in size; InputError says that `name` is malformed."""
    try:
        value = math.nan if "_" in str(text) else float(text)  # 1_0 is a number to Python alone
    except OverflowError:  # an integer of JSON
        value = math.inf
    except (TypeError, ValueError):
        value = math.nan
    if abs(value) <= LARGEST:
        return value
    too_large = math.isfinite(value) or str(text).strip("+-").isdecimal()
    reason = "is too large" if too_large else "is no number"
    raise InputError(f"{where}: malformed {name}: {reprlib.repr(text)} {reason}")


def stated_size(width, height):
    """(width, height) in px as an annotation has them, None where it has no size above 0."""
    try:
        size = int(float(width)), int(float(height))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def box_around(points):
    """The box [x1, y1, x2, y2] around points (x, y), of which there is at least one."""
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def class_labels(classes, found=()):
    """{name: label} in the order of the labels, which must be 0 to K - 1.

    `classes` are names in that order or {name: label}; None takes the names found, sorted.
    """
    if classes is None:
        classes = sorted(set(found))
    if not isinstance(classes, dict):
        classes = {name: label for label, name in enumerate(classes)}
    names = sorted(classes, key=classes.get)
    if [classes[name] for name in names] != list(range(len(names))):
        raise InputError(
            f"Expected classes with the labels 0 to K - 1, once each. Received: {classes}"
        )
    return {name: classes[name] for name in names}


def label_of(labels, name, where):
    """The label of a class name; InputError lists those that are known."""
    if name not in labels:
        raise InputError(f"{where}: unknown class name: {name!r} (classes: {listed(labels)})")
    return labels[name]


def choose_set(sets, set_name, where):
    """The set of that name; None takes the only one."""
    if set_name is None and len(sets) == 1:
        return next(iter(sets))
    if set_name not in sets:
        asked = "the name of a set" if set_name is None else f"the set {set_name}"
        raise InputError(f"{where}: expected {asked} (sets: {listed(sets)})")
    return set_name
