"""Parsing that the readers share: JSON and XML files, rows of text, numbers, sizes, names."""

import json
import math
import os
import reprlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.parsers import expat

from ...errors import InputError
from ...utils.outputs import note_inputs
from ...utils.text import listed, read_text

LARGEST = 1e9  # px, beyond every coordinate


def read_json(path: str | os.PathLike, lists: Sequence[str] = ()) -> Any:
    """Read a JSON file; with `lists`, it must be an object that has lists of these names.

    Raises:
        InputError: names the file, and the line and column that is malformed.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno}, column {error.colno}: malformed JSON: {error.msg}."
        ) from None
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise InputError(f"{path}: malformed JSON: {error}.") from None
    for name in lists:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(f"{path}: expected an object with a list of {name!r}.")
    return content


def read_xml(path: str | os.PathLike, tag: str) -> ElementTree.Element:
    """Return the root of an XML file, which must be a <tag>.

    Raises:
        InputError: names the file, and the line and column that is malformed.
    """
    note_inputs([path])
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ElementTree.ParseError as error:
        line, column = error.position
        reason = f"malformed XML: {expat.ErrorString(error.code)}."
        raise InputError(f"{path}: line {line}, column {column + 1}: {reason}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise InputError(f"{path}: line 1: malformed XML: {error}.") from None
    if root.tag != tag:
        raise InputError(f"{path}: expected <{tag}> as the root, got <{root.tag}>.")
    return root


def lines_of(path: str | os.PathLike) -> list[str]:
    """Return the lines of a text file that are not blank, without the space around them."""
    return [*filter(None, map(str.strip, read_text(path).splitlines()))]


def fields_of(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields between spaces) of the lines of a text file that have any."""
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if fields := text.split():
            yield line, fields


def number(text: Any, name: str, where: str) -> float:
    """Return a float up to `LARGEST` in size; InputError says that `name` is malformed."""
    try:
        value = math.nan if "_" in str(text) else float(text)  # only Python reads 1_0 as a number
    except OverflowError:  # an integer of JSON
        value = math.inf
    except (TypeError, ValueError):
        value = math.nan
    if abs(value) <= LARGEST:
        return value
    too_large = math.isfinite(value) or str(text).strip("+-").isdecimal()
    reason = "is too large" if too_large else "is no number"
    raise InputError(f"{where}: malformed {name}: {reprlib.repr(text)} {reason}.")


def numbers(texts: Iterable, names: Sequence[str], where: str) -> list[float]:
    """Return the `number` of each text, which has a name of its own in the message."""
    return [number(text, name, where) for text, name in zip(texts, names, strict=True)]


def stated_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the (width, height) px that an annotation states, None unless both are above 0."""
    try:
        size = int(float(width)), int(float(height))
    except (TypeError, ValueError, OverflowError):
        return None
    return size if min(size) > 0 else None


def stated_name(text: Any, what: str, where: str) -> str:
    """Return a class name; InputError says that `what` is missing."""
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: expected a {what}.")
    return text.strip()


def box_around(points: Iterable[Sequence[float]]) -> list[float]:
    """Return the box [x1, y1, x2, y2] around points (x, y), of which there is at least one."""
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def choose_set(sets: Iterable[str], set_name: str | None, where: str | os.PathLike) -> str:
    """Return the split of that name; None takes the only one."""
    sets = list(sets)
    if set_name is None and len(sets) == 1:
        return sets[0]
    if set_name not in sets:
        asked = "the name of a split" if set_name is None else f"the split {set_name}"
        raise InputError(f"{where}: expected {asked} (splits: {listed(sets)}).")
    return set_name
