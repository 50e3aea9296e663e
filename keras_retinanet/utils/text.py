"""Text files, and names in messages."""

import os

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import note_inputs


def read_text(path):
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        InputError: for a file that is missing, a folder, unreadable, or no UTF-8 text.
    """
    note_inputs([path])
    if os.path.isdir(path):
        raise InputError(f"{path}: expected a file. Received: a folder")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: expected UTF-8 text") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{path}: line {line}: expected text. Received: a NUL byte")
    return text


def listed(names, most=20):
    """Names for a message, "dog, cat"; of very many only the first."""
    names = [str(name) for name in names]
    rest = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + rest) or "none"
