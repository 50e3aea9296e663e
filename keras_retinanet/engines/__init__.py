"""The runtimes of a `Detector`; a runtime is imported when it is first used."""

from __future__ import annotations

import importlib.util
import os

from ..choices import ENGINE_PRECISIONS, ENGINES, lookup
from ..detector_options import DetectorOptions
from ..errors import InputError
from ..options import THREADS, check_number
from ..typing import StrPath
from .engine import Engine, Outputs, Settings

__all__ = ["Engine", "Outputs", "engines_for", "open_engine"]

FORMATS = {  # suffix: the engines that run such files
    ".onnx": ("onnxruntime", "openvino"),
    ".xml": ("openvino",),
    ".tflite": ("litert",),
}
PACKAGES = {  # engine: (its module, the extra of this package that installs it)
    "onnxruntime": ("onnxruntime", "onnx"),
    "openvino": ("openvino", "openvino"),
    "litert": ("ai_edge_litert", "litert"),
}


def open_engine(
    path: StrPath,
    engine: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
    options: DetectorOptions = DetectorOptions(),
) -> Engine:
    """Load a model file in a runtime.

    Args:
        path: a `.keras`, `.onnx`, `.xml` or `.tflite` file, or the folder of a SavedModel.
        engine: a key of `choices.ENGINES`; "auto" takes the engine for the file, and if there are
            several, measures which is fastest.
        precision: the precision to compute in, one of `choices.ENGINE_PRECISIONS`; None takes the
            file's.
        threads: None takes as many as the process may use.
        options: options of the detector, for the conversion of a training model.

    Raises:
        InputError: if there is no such file, it has no detector, or the engine is not installed or
            cannot run it.
    """
    check_settings(engine, precision, threads)
    names, settings = engines_for(path), Settings(precision, threads, options)
    if engine != "auto":
        if engine not in names:
            raise InputError(f"{path}: {engine} cannot run this file; {' or '.join(names)} can.")
        names = (engine,)
    installed = [name for name in names if is_installed(name)]
    if not installed:
        extra = PACKAGES[names[0]][1]
        raise InputError(
            f"{path} needs {names[0]}, which is not installed; run pip install "
            f"'keras-retinanet[{extra}]'."
        )
    if len(installed) > 1:
        from .choose import fastest

        return fastest(path, installed, settings)
    return load(installed[0], path, settings)


def load(name: str, path: StrPath, settings: Settings) -> Engine:
    """Load a model file in the runtime of a name. Raises InputError as `open_engine` does."""
    function, _ = lookup(ENGINES, name, "engine")
    return function(path, settings)


def engines_for(path: StrPath) -> tuple[str, ...]:
    """Return the names of the engines that run a file, by its suffix.

    Raises:
        InputError: if there is no such file.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in FORMATS:
        if not os.path.isfile(path):
            raise InputError(f"{path}: no such file.")
        return FORMATS[suffix]
    return ("saved_model",) if os.path.isfile(os.path.join(path, "saved_model.pb")) else ("keras",)


def is_installed(name: str) -> bool:
    """Return True if the runtime of a name can be imported."""
    return name not in PACKAGES or importlib.util.find_spec(PACKAGES[name][0]) is not None


def check_settings(engine: str, precision: str | None, threads: int | None) -> None:
    """Raise an InputError for an unknown engine or precision, or fewer than one thread."""
    for what, value, known in (
        ("engine", engine, ("auto", *ENGINES)),
        ("precision", precision, (None, *ENGINE_PRECISIONS)),
    ):
        if value not in known:
            names = ", ".join(name for name in known if name)
            raise InputError(f"Unknown {what} {value!r}; known: {names}.")
    if threads is not None:
        check_number("threads", threads, THREADS)
