"""The machine, the backend and the versions that a run trains with."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import keras

from .. import __version__


def environment() -> dict[str, Any]:
    """Return the time, command, machine, backend and versions."""
    names = ("keras", "tensorflow", "jax", "torch", "numpy", "opencv-python-headless", "pillow")
    versions = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "versions": {"keras_retinanet": __version__, **versions},
    }
