"""The one exception that the commands turn into a sentence and exit status 2."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator


class InputError(ValueError):
    """A mistake that the user can fix, in one sentence that names the file and line."""

    def __init__(self, sentence: str) -> None:
        # a library's reason at its end may have a full stop already
        super().__init__(re.sub(r"(?<!\.)\.\.$", ".", sentence))


@contextlib.contextmanager
def collect(faults: list[str] | None) -> Iterator[None]:
    """Append an InputError of the block to `faults`; raise it if `faults` is None."""
    try:
        yield
    except InputError as error:
        if faults is None:
            raise
        faults.append(str(error))
