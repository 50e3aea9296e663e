"""Libraries that would send statistics of their use are kept from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def unreported() -> Iterator[None]:
    """Keep OpenVINO and NNCF from sending statistics of their use.

    They would from a forked process, which can hang, unless CI is "true".
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before
