"""Runtimes that a `Detector` runs a model with; a runtime is imported when it is used."""

from __future__ import annotations

import os

from ..detector_options import DetectorOptions
from .engine import Engine, Outputs

__all__ = ["Engine", "Outputs", "open_engine"]


def open_engine(path: str | os.PathLike, options: DetectorOptions = DetectorOptions()) -> Engine:
    """Return the engine of a model file.

    Raises:
        InputError: there is no such file, or it holds no detector.
    """
    from . import keras

    return keras.load(path, options)
