"""Options: one definition of a name, its default, range and help, for Python and the commands.

A config is a frozen dataclass whose fields are made by `option`; `bin.arguments` builds a command's
parser from the same fields. Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import reprlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from .choices import parse
from .errors import InputError

# ranges that several options share; "between" leaves out both ends
SHARE = "from 0 to 1"
SIDE = "from 1 to 10000"  # px
WIDTH = "from 1 to 1024"  # channels
BATCH = "from 1 to 1024"  # images
DEPTH = "from 0 to 32"  # convolutions
DETECTIONS = "from 1 to 10000"
THREADS = "from 1 to 1024"
COUNT = "from 1 to 1000000"
EPOCH = "from 0 to 1000000"
SEED = "from 0 to 4294967295"
POSITIVE = "between 0 and 1000000000"

WHAT = {  # the kinds of values in messages
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a name, perhaps with arguments as in focal:gamma=1",
}


def fits(value: float, within: str) -> bool:
    """Return True if a number is within a range such as "from 1 to 5" or "between 0 and 1"."""
    kind, low, _, high = within.split()
    if kind == "between":
        return float(low) < value < float(high)
    return float(low) <= value <= float(high)


def check_number(name: str, value: Any, within: str, kind: type = int) -> None:
    """Raise an InputError unless `value` is a number of a kind, int or float, within a range."""
    right = isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if not right or isinstance(value, bool) or not fits(value, within):
        whole = "a whole number " if kind is int else ""
        raise InputError(f"{name} must be {whole}{within}, got {reprlib.repr(value)}.")


@dataclasses.dataclass(frozen=True)
class Option:
    """The reading, range and help of a field.

    Args:
        help: one phrase for `--help`; the default is added.
        group: the heading under which `--help` lists it.
        kind: the type of a value: bool, int, float, str or dict (a choice with arguments).
        read: turns text into a value, by default `kind`.
        within: the range that every number must lie in, see `fits`.
        known: the allowed values, or for a choice the table of allowed names.
        metavar: the placeholder of a value in `--help`.
        several: the option may be given several times, and its value is a tuple.
        kept_by: "detector" if a snapshot or a detector to start from decides the value, "snapshot"
            if only a snapshot does.
        hidden: `--help` leaves it out.
        aliases: further names on the command line, such as old ones.
    """

    help: str
    group: str
    kind: type = str
    read: Callable[[str], Any] | None = None
    within: str | None = None
    known: Collection[str] | None = None
    metavar: str | None = None
    several: bool = False
    kept_by: str | None = None
    hidden: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def reader(self) -> Callable[[str], Any]:
        """The function from text to a value."""
        return self.read or (partial(parse, choices=self.known) if self.kind is dict else self.kind)

    def check(self, name: str, value: Any) -> None:
        """Raise an InputError unless `value` has the type and range of the option."""
        if value is None:
            return
        many = isinstance(value, tuple) and (self.several or self.read is not None)
        for each in value if many else (value,):
            if self.within:
                check_number(name, each, self.within, self.kind)
            elif self.read is None:
                self._check_kind(name, each)

    def _check_kind(self, name: str, value: Any) -> None:
        if not isinstance(value, self.kind) or isinstance(value, bool) != (self.kind is bool):
            raise InputError(f"{name} must be {WHAT[self.kind]}, got {reprlib.repr(value)}.")
        word = value.get("name") if isinstance(value, dict) else value
        if self.kind in (str, dict) and self.known and word not in self.known:
            known = ", ".join(self.known)
            raise InputError(f"{name} must be one of {known}, got {reprlib.repr(word)}.")


def number_or(words: Mapping[str, Any], kind: type, within: str) -> Callable[[str], Any]:
    """Return a reader of options that are one of `words`, or a number within a range."""

    def read(text: str) -> Any:
        if text in words:
            return words[text]
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if fits(value, within):
            return value
        raise InputError(f"must be {', '.join(words)} or a number {within}, got {text[:50]}.")

    return read


def option(group: str, default: Any, help: str, kind: type = str, **how: Any) -> Any:
    """Return a field of a config, with its `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(help, group, kind, **how)})


def options_of(config: Any) -> dict[str, Option]:
    """Return {name: Option} of the fields of a config or its class."""
    return {field.name: field.metadata["option"] for field in dataclasses.fields(config)}


def read_options(config: type, options: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for `config`, with choices written as text read.

    Raises:
        InputError: for an unknown name, which lists similar ones.
    """
    known = options_of(config)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InputError(f"Unknown option {unknown[0][:100]!r}; known: {', '.join(known)}.")
    values = {}
    for name, value in options.items():
        try:
            values[name] = _value(known[name], value)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        except ValueError:  # of int() and float()
            what, got = WHAT[known[name].kind], reprlib.repr(value)
            raise InputError(f"{name} must be {what}, got {got}.") from None
    return values


def _value(option: Option, value: Any) -> Any:
    value = _with_tuples(value)
    if option.several and not isinstance(value, str):
        return tuple(_value(dataclasses.replace(option, several=False), each) for each in value)
    if isinstance(value, str) and option.kind not in (str, bool):
        value = option.reader(value)
    return (value,) if option.several else value


def _with_tuples(value: Any) -> Any:
    """Return a value with tuples for its lists, which JSON has instead."""
    if isinstance(value, dict):
        return {name: _with_tuples(each) for name, each in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, (list, tuple)) else value


def check_sides(
    min_side: int | None,
    max_side: int | None,
    of_model: tuple[int | None, int | None] = (None, None),
) -> None:
    """Raise an InputError if the short side would be longer than the long one.

    The sides stored in a model may be in that order, because they can be its height and width.
    """
    sides = min_side, max_side
    if None not in sides and min_side > max_side and sides != of_model:
        raise InputError(
            f"image_min_side ({min_side}) must not exceed image_max_side ({max_side})."
        )
