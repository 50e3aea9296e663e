"""Export to ONNX."""

from __future__ import annotations

import os

from ..model_info import KEY
from ..models import RetinaNet
from ..utils.outputs import replacing
from .candidates import (
    candidates_info,
    check_backend,
    check_installed,
    function_of,
    quiet,
)
from .formats import Target

OPSET = 18


def export_onnx(model: RetinaNet, path: str | os.PathLike, target: Target = Target()) -> None:
    """Write an inference model, with or without NMS, as an ONNX file of opset 18.

    The input `images` (B, H, W, 3) is float32 RGB of 0..255, resized and padded, of any size and
    batch. If the metadata names a normalization, the caller applies it. The outputs are `boxes`
    (B, C, 4) xyxy px, `scores` (B, C) and `labels` (B, C), in descending order of score. With NMS,
    B is 1 and unused rows are -1. The file's metadata holds the `ModelInfo`.

    Raises:
        InputError: if the backend is not TensorFlow, without the extra `onnx`, or if the file
            cannot be written.
    """
    check_backend("ONNX")
    check_installed("tf2onnx", "onnx", "Writing ONNX")
    import onnx
    import tf2onnx

    function = function_of(model, target)
    with quiet("tf2onnx", "tensorflow"):
        proto, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    onnx.helper.set_model_props(proto, {KEY: candidates_info(model, target).to_json()})
    with replacing(path) as part:
        onnx.save(proto, part)
