"""Run an OpenVINO IR, or an ONNX file, with OpenVINO on the CPU."""

from __future__ import annotations

import os

import numpy as np

from ..errors import InputError
from ..model_info import KEY
from ..typing import StrPath
from ..utils.threads import usable_threads
from ..utils.usage import unreported
from .engine import NAMES, Engine, Outputs, Settings, check_outputs, damaged, read_info

with unreported():
    import openvino

PRECISIONS = {  # name: (OpenVINO's type, OpenVINO's name for a processor's capability)
    "float32": ("f32", "FP32"),
    "bfloat16": ("bf16", "BF16"),
    "float16": ("f16", "FP16"),
}


class OpenVinoEngine(Engine):
    """A model compiled by OpenVINO."""

    name = "openvino"

    def __init__(self, path: StrPath, model: openvino.Model, settings: Settings) -> None:
        self.info = read_info(path, metadata_of(model))
        check_outputs(path, [name for output in model.outputs for name in output.names])
        self.compiled = openvino.Core().compile_model(model, "CPU", options_of(path, settings))

    def __call__(self, images: np.ndarray) -> Outputs:
        found = self.compiled(np.ascontiguousarray(images, "float32"))
        return tuple(found[name] for name in NAMES)


def load(path: StrPath, settings: Settings) -> OpenVinoEngine:
    """Load an OpenVINO IR with its weights beside it, or an ONNX file.

    Raises:
        InputError: if it is damaged, is not an export of this package, or the processor cannot
            compute in the precision.
    """
    try:
        model = openvino.Core().read_model(os.fspath(path))
    except Exception as error:  # RuntimeError, and others from its frontends
        raise damaged(path, "a model of OpenVINO", error) from None
    return OpenVinoEngine(path, model, settings)


def options_of(path: StrPath, settings: Settings) -> dict:
    """Return OpenVINO's options. Raises InputError for a precision that the processor lacks."""
    precision, capability = PRECISIONS[settings.precision or "float32"]
    if capability not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError(
            f"{path}: this processor cannot compute in {settings.precision}; use another precision."
        )
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": settings.threads or usable_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }


def metadata_of(model: openvino.Model) -> str | None:
    """Return the text of this package in a model's metadata, None if there is none."""
    for place in ([KEY], ["framework", KEY]):  # the second in a model read from ONNX
        if model.has_rt_info(place):
            return model.get_rt_info(place).astype(str)
    return None
