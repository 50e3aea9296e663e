"""Text files, and names in messages."""

from __future__ import annotations

import os
from collections.abc import Iterable

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import note_inputs


def read_text(path: str | os.PathLike) -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Raises:
        InputError: for a file that is missing, a folder, unreadable, or no UTF-8 text.
    """
    note_inputs([path])
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; name a file.")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
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
    """Return names for a message, "dog, cat"; only the first `most` of very many."""
    names = [str(name) for name in names]
    rest = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + rest) or "none"


def printable(words: object, most: int = 100) -> str:
    """Return the first `most` characters of words from a file, fit for a message on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(words)[:most])
