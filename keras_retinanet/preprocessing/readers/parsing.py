"""Parsers that the readers share: JSON, YAML and XML files, rows of text, and typed values."""

import contextlib
import csv
import io
import json
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.parsers import expat

from ...errors import InputError
from ...utils.text import listed, open_file, printable, quoted, read_text

LARGEST = 1e9  # px, more than any real coordinate
MOST_ALIASES = 10  # in a YAML file: nested aliases grow exponentially
MOST_LEVELS = 100  # in a YAML file: reading nested levels takes quadratic time
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # characters that no path or stream can hold
ESCAPED = re.compile(r"\\u(0000|[dD][89a-fA-F])")  # how JSON may write such a character
INTEGER = re.compile(r"\s*([+-]?\d{1,18})(\.0*)?\s*")
FLAGS = {"": False, "unspecified": False, "0": False, "false": False, "1": True, "true": True}
SEPARATOR_LINE = re.compile(
    r'"?sep=([^\w"\r\n])"?\s*?(?=[\r\n])', re.IGNORECASE
)  # first in Excel's files


def read_json(path: str | os.PathLike, lists: Sequence[str] = ()) -> Any:
    """Read a JSON file; with `lists`, it must be an object with lists under these keys.

    Raises:
        InputError: names the file, and the line and column of malformed JSON.
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
    if ESCAPED.search(text):
        _check_storable(content, path)
    for name in lists:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(f"{path}: expected an object with a list of {name!r}.")
    return content


def read_yaml(path: str | os.PathLike) -> Any:
    """Read a YAML file with all scalars as text, because YAML would change yes, 010 and 1:30."""
    import yaml

    blocks = (yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken)
    opening = (*blocks, yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
    closing = (yaml.BlockEndToken, yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
    text = read_text(path)
    try:
        aliases = levels = 0
        for token in yaml.scan(text):
            aliases += isinstance(token, yaml.AliasToken)
            levels += isinstance(token, opening) - isinstance(token, closing)
            if aliases > MOST_ALIASES or levels > MOST_LEVELS:
                which = "aliases" if aliases > MOST_ALIASES else "levels"
                raise InputError(f"{path}: too many {which}; write plain lists and names.")
        content = yaml.load(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{place}: malformed YAML: {printable(error.problem)}.") from None
    except InputError:
        raise
    except (yaml.YAMLError, RecursionError, OverflowError, ValueError) as error:
        reason = printable(str(error).partition("\n")[0])
        raise InputError(f"{path}: malformed YAML: {reason}.") from None
    _check_storable(content, path)
    if isinstance(content, dict) and "<<" in content:
        raise InputError(f"{path}: merge keys (<<) are not supported; write their values out.")
    return content


def _check_storable(content: Any, path: str | os.PathLike) -> None:
    """Raise InputError for text with a NUL or a lone surrogate, which no path can hold."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and UNSTORABLE.search(value):
            raise InputError(f"{path}: {quoted(value)} has a NUL or a lone surrogate; remove it.")


def read_xml(path: str | os.PathLike, tag: str) -> ElementTree.Element:
    """Return the root of an XML file; the root must be a <tag>."""
    try:
        with open_file(path) as file:
            root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        reason = f"malformed XML: {expat.ErrorString(error.code)}."
        raise InputError(f"{path}: line {line}, column {column + 1}: {reason}") from None
    except InputError:
        raise
    except (LookupError, ValueError) as error:  # an unknown encoding
        raise InputError(f"{path}: line 1: malformed XML: {printable(error)}.") from None
    if root.tag != tag:
        raise InputError(f"{path}: expected <{tag}> as the root, got <{printable(root.tag)}>.")
    return root


def csv_rows(text: str, separators: int) -> Any:
    """Return a `csv.reader` of text; rows have at least `separators` commas, semicolons or tabs.

    Blanks beside a separator are ignored, and a first line such as `sep=;` names the separator.
    """
    first = SEPARATOR_LINE.match(text)
    if first:
        text, delimiter = text[first.end() :], first[1]
    else:
        head = text.lstrip().partition("\n")[0]
        delimiter = next((mark for mark in ",;\t" if head.count(mark) >= separators), ",")
    text = re.sub(f'"[ \t]+(?={re.escape(delimiter)}|[\r\n]|$)', '"', text) if '"' in text else text
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)


@contextlib.contextmanager
def naming_line(path: str | os.PathLike, csv_reader: Any) -> Iterator[None]:
    """Turn a malformed row of a `csv.reader` into an InputError that names file and line."""
    try:
        yield
    except csv.Error as error:
        raise InputError(f"{path}: line {csv_reader.line_num}: {error}.") from None


def lines_of(path: str | os.PathLike) -> list[str]:
    """Return the lines of a text file without blank lines and surrounding space."""
    return [*filter(None, map(str.strip, read_text(path).splitlines()))]


def fields_of(path: str | os.PathLike) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields between spaces) of the lines of a text file that have any."""
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if fields := text.split():
            yield line, fields


def number(value: Any, name: str, where: str, largest: float = LARGEST) -> float:
    """Return a number, or a number written as text, as a float; its size is at most `largest`."""
    try:
        sound = isinstance(value, int | float | str) and not isinstance(value, bool)
        # only Python reads 1_0 as a number
        result = float(value) if sound and "_" not in str(value) else math.nan
    except OverflowError:  # an integer of JSON
        result = math.inf
    except ValueError:
        result = math.nan
    if abs(result) <= largest:
        return result
    too_large = math.isfinite(result) or (sound and str(value).strip("+-").isdecimal())
    reason = "is too large" if too_large else "is not a number"
    raise InputError(f"{where}: malformed {name}: {quoted(value)} {reason}.")


def numbers(values: Iterable, names: Sequence[str], where: str) -> list[float]:
    """Return the `number` of each value; messages name the value by the name of its position."""
    return [number(value, name, where) for value, name in zip(values, names, strict=True)]


def integer(value: Any, name: str, where: str) -> int:
    """Return an integer, also if it is written as 1.0 or as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    written = INTEGER.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        raise InputError(f"{where}: malformed {name}: {quoted(value)} is not an integer.")
    return int(written[1])


def flag(value: Any, name: str, where: str) -> bool:
    """Return a flag that is written as 0, 1, true or false in any spelling; False for None."""
    if value is None or isinstance(value, bool):
        return bool(value)
    text = value.strip().lower() if isinstance(value, str) else quoted(value)
    text = text.removesuffix(".0")
    if text not in FLAGS:
        raise InputError(f"{where}: malformed {name}: {quoted(value)} is not 0, 1, true or false.")
    return FLAGS[text]


def stated_size(width: Any, height: Any) -> tuple[int, int] | None:
    """Return the (width, height) px that an annotation states; None if they are not positive."""
    if width is None or height is None:
        return None
    try:
        size = int(number(width, "width", "")), int(number(height, "height", ""))
    except InputError:
        return None
    return size if min(size) > 0 else None


def stated_name(value: Any, what: str, where: str) -> str:
    """Return a name, or a whole number as text; raise an InputError for any other value."""
    name = str(value) if type(value) is int else value
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: {what} must be text that is not blank, got {quoted(value)}.")
    return name


def box_around(points: Iterable[Sequence[float]]) -> list[float]:
    """Return the box [x1, y1, x2, y2] around one or more points (x, y)."""
    xs, ys = zip(*points, strict=True)
    return [min(xs), min(ys), max(xs), max(ys)]


def choose_split(splits: Iterable[str], split: str | None, where: str | os.PathLike) -> str:
    """Return `split` if it exists; None takes the only split."""
    splits = list(splits)
    if split is None and len(splits) == 1:
        return splits[0]
    if split not in splits:
        if split is None:
            raise InputError(f"{where} has the splits {listed(splits)}; choose one of them.")
        raise InputError(f"{where} has no split {split}; known: {listed(splits)}.")
    return split
