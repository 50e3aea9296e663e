"""Text for a terminal: colours where it shows them, no control characters, no endless words."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

COLOURS = {"error": "1;31", "warning": "33", "note": "36", "good": "32"}  # ANSI codes
MOST = 200  # characters of a word
MOST_OF_ALL = 2000


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Drop what libraries write to standard error inside the block, past Python too."""
    sys.stderr.flush()
    terminal, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(silence)


class Copied:
    """A stream that also writes whole lines to a log, without colours and redrawn lines."""

    def __init__(self, stream: TextIO, log: TextIO) -> None:
        self.stream = stream
        self.log = log
        self.line = ""  # what has been written of it

    def write(self, text: str) -> int:
        *lines, line = f"{self.line}{text}".split("\n")
        self.line = line.rpartition("\r")[2]
        for line in lines:
            seen = re.sub("\x1b\\[[0-9;]*m", "", line).rpartition("\r")[2]
            with contextlib.suppress(OSError, ValueError):  # the disk is full, or the log closed
                self.log.write(f"{seen}\n")
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def logged(path: str | os.PathLike) -> Iterator[None]:
    """Copy what the block prints to the end of a file."""
    earlier = sys.stdout, sys.stderr
    with open(path, "a", encoding="utf-8", errors="backslashreplace", buffering=1) as log:
        sys.stdout, sys.stderr = (Copied(stream, log) for stream in earlier)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = earlier


def paint(text: str, tone: str, stream: TextIO | None = None) -> str:
    """Return text in the colour of a key of `COLOURS`, unchanged if `stream` has no colours."""
    return f"\x1b[{COLOURS[tone]}m{text}\x1b[0m" if has_colours(stream or sys.stdout) else text


def has_colours(stream: TextIO) -> bool:
    """Return True for a terminal with colours, unless the user sets NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return False
    return os.name != "nt" or "WT_SESSION" in os.environ


def one_line(text: object, most: int = MOST_OF_ALL) -> str:
    """Return text of unknown origin as one line of printable characters.

    Words of more than 200 characters lose their middle, and the text is cut after `most`.

    >>> one_line("red \\x1b[31m cat", most=9)
    'red ?[...'
    """
    text = re.sub(
        rf"\S{{{MOST + 1},}}", lambda word: f"{word[0][:99]}...{word[0][-98:]}", str(text)
    )
    if len(text) > most:
        text = f"{text[: most - 3]}..."
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text as lines, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
