"""Run a LiteRT (TensorFlow Lite) file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from ..model_info import KEY
from ..typing import StrPath
from ..utils.terminal import silenced
from ..utils.threads import usable_threads
from .engine import (
    NAMES,
    Engine,
    Outputs,
    Settings,
    check_outputs,
    check_precision,
    damaged,
    read_info,
)


class LiteRtEngine(Engine):
    """An interpreter of LiteRT."""

    name = "litert"

    def __init__(self, path: StrPath, interpreter: Interpreter) -> None:
        self.info = read_info(path, metadata_of(path))
        [self.signature] = interpreter.get_signature_list() or [None]
        self.run = interpreter.get_signature_runner(self.signature)
        check_outputs(path, list(self.run.get_output_details()))
        [(self.input, details)] = self.run.get_input_details().items()
        self.dtype = details["dtype"]

    def __call__(self, images: np.ndarray) -> Outputs:
        found = self.run(**{self.input: np.ascontiguousarray(images, self.dtype)})
        return tuple(found[name] for name in NAMES)


def load(path: StrPath, settings: Settings) -> LiteRtEngine:
    """Load a `.tflite` file.

    Raises:
        InputError: if it is damaged, is not an export of this package, or a precision is requested.
    """
    check_precision(path, "litert", settings.precision)
    threads = settings.threads or usable_threads()
    try:
        with silenced():
            interpreter = Interpreter(os.fspath(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise damaged(path, "a model of LiteRT", error) from None
    return LiteRtEngine(path, interpreter)


def metadata_of(path: StrPath) -> bytes | None:
    """Return the text of this package in a file's metadata, None if there is none."""
    content = Path(path).read_bytes()
    model = schema.Model.GetRootAs(content)
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == KEY.encode():
            buffer = model.Buffers(entry.Buffer())
            if buffer.Offset() > 1:  # after the model, as quantizers write it
                return content[buffer.Offset() : buffer.Offset() + buffer.Size()]
            return buffer.DataAsNumpy().tobytes()
    return None
