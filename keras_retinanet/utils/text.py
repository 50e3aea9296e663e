"""Text files, and names and values in messages."""

from __future__ import annotations

import itertools
import os
import reprlib
import stat
from collections.abc import Iterable
from typing import BinaryIO

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import note_inputs

MOST = 200  # characters of a value that a message quotes

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother = 2, MOST, MOST


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Open a regular file, also through links, to read its bytes. Pipes and devices stay closed.

    Raises:
        InputError: for a file that is missing, unreadable, or not a regular file.
    """
    note_inputs([path])
    try:
        check_regular(path)
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.") from None


def check_regular(path: str | os.PathLike) -> None:
    """Raise InputError for a folder, pipe or device; OSError if there is no file."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; name a file.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file; copy its content into one.")


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Raises:
        InputError: as `open_file`, and for a file that is not UTF-8 text.
    """
    try:
        with open_file(path) as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8; save the file as UTF-8.") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path}: line {line} has a NUL byte; the file is not text.")
    return text


def listed(names: Iterable, most: int = 20) -> str:
    """Return names for a message, "dog, cat": the first `most`, shortened if they are very long."""
    names = iter(names)
    shown = [printable(name) for name in itertools.islice(names, most)]
    longest = 5 * MOST // max(len(shown), 1)  # 1,000 characters in all
    shown = [name if len(name) <= longest else f"{name[: longest - 3]}..." for name in shown]
    count = sum(1 for _ in names)
    return ", ".join(shown + ([f"and {count} more"] if count else [])) or "none"


def printable(words: object, most: int = 100) -> str:
    """Return the first `most` characters of words from a file, fit for a message on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(words)[:most])


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "box"), counted(2, "box"), counted(0, "image")
    ('1 box', '2 boxes', '0 images')
    """
    ending = "" if number == 1 else "es" if noun.endswith(("x", "s")) else "s"
    return f"{number} {noun}{ending}"


def quoted(value: object) -> str:
    """Return a value from a file as Python writes it, in at most 200 printable characters.

    >>> quoted("red\\x1b[31m")
    "'red\\\\x1b[31m'"
    """
    text = _short.repr(value)
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."
