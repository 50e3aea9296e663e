"""Options: one definition of a name, its default, range and help, for Python and the commands.

A config is a frozen dataclass whose fields are made by `option`; `bin.arguments` builds a command's
parser from the same fields. Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from .choices import parse
from .errors import InputError

RANGES = {
    "more than 0": lambda value: 0 < value < math.inf,
    "0 or more": lambda value: 0 <= value < math.inf,
    "from 0 to 1": lambda value: 0 <= value <= 1,
    "between 0 and 1": lambda value: 0 < value < 1,
    "from 0 to 5": lambda value: 0 <= value <= 5,
    "from 0 to 4294967295": lambda value: 0 <= value < 2**32,
}


@dataclasses.dataclass(frozen=True)
class Option:
    """The reading, range and help of a field.

    Args:
        help: one phrase for `--help`; the default is added.
        group: the heading under which `--help` lists it.
        kind: the type of a value: bool, int, float, str or dict (a choice with arguments).
        read: turns text into a value, by default `kind`.
        within: a key of `RANGES` that every number must lie in.
        known: the allowed values, or for a choice the table of allowed names.
        metavar: the placeholder of a value in `--help`.
        several: the option may be given several times, and its value is a tuple.
        kept_by: "detector" when a detector to start from settles the value, and so does a
            snapshot; "snapshot" when only a snapshot does.
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
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        for each in () if value is None or self.read is not None else values:
            right = isinstance(each, numbers.Real if self.kind is float else self.kind)
            if not right or isinstance(each, bool) != (self.kind is bool):
                raise InputError(f"{name} must be {self.kind.__name__}, got {each!r}.")
            word = each["name"] if self.kind is dict else each
            if self.kind in (str, dict) and self.known and word not in self.known:
                raise InputError(f"{name} must be one of {', '.join(self.known)}, got {word!r}.")
        fits = RANGES.get(self.within, lambda value: True)
        if not all(fits(each) for each in values if each is not None):
            raise InputError(f"{name} must be {self.within}, got {value}.")


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
        raise InputError(f"Unknown option {unknown[0]!r}; known: {', '.join(known)}.")
    values = {}
    for name, value in options.items():
        try:
            values[name] = _value(known[name], value)
        except ValueError as error:
            raise InputError(f"{name}: {error}") from None
    return values


def _value(option: Option, value: Any) -> Any:
    if option.several and not isinstance(value, str):
        return tuple(_value(dataclasses.replace(option, several=False), each) for each in value)
    if isinstance(value, str) and option.kind is not str:
        value = option.reader(value)
    return (value,) if option.several else value


def check_sides(
    min_side: int | None,
    max_side: int | None,
    of_model: tuple[int | None, int | None] = (None, None),
) -> None:
    """Raise an InputError if the short side would be longer than the long one.

    The sides of a model may: there they can be height and width.
    """
    sides = min_side, max_side
    if None not in sides and min_side > max_side and sides != of_model:
        raise InputError(
            f"image_min_side ({min_side}) must not exceed image_max_side ({max_side})."
        )
