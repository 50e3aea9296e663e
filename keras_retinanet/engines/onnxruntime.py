"""Run an ONNX file with ONNX Runtime."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime

from ..model_info import KEY
from ..typing import StrPath
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

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # most preferred first
ERRORS_ONLY = 3  # a severity of ONNX Runtime's log


class OnnxRuntimeEngine(Engine):
    """A session of ONNX Runtime."""

    name = "onnxruntime"

    def __init__(self, path: StrPath, session: onnxruntime.InferenceSession) -> None:
        metadata = session.get_modelmeta().custom_metadata_map
        self.info = read_info(path, metadata.get(KEY))
        check_outputs(path, [output.name for output in session.get_outputs()])
        self.session = session
        self.input = session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> Outputs:
        images = np.ascontiguousarray(images, "float32")
        return tuple(self.session.run(NAMES, {self.input: images}))


def load(path: StrPath, settings: Settings) -> OnnxRuntimeEngine:
    """Load an ONNX file.

    Raises:
        InputError: if it is damaged, is not an export of this package, or a precision is requested.
    """
    check_precision(path, "onnxruntime", settings.precision)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads or usable_threads()
    options.log_severity_level = ERRORS_ONLY
    available = onnxruntime.get_available_providers()
    providers = [name for name in PROVIDERS if name in available]
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers)
    except Exception as error:  # a class for each status of its library
        raise damaged(path, "an ONNX model", error) from None
    return OnnxRuntimeEngine(path, session)
