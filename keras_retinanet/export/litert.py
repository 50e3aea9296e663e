"""Export to LiteRT (.tflite), for phones and small computers."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ..model_info import KEY
from ..models import RetinaNet
from ..utils.outputs import write_bytes
from .candidates import candidates_info, check_backend, frozen, function_of, quiet
from .formats import Target


def export_litert(model: RetinaNet, path: str | os.PathLike, target: Target) -> None:
    """Write an inference model, with or without NMS, as a LiteRT file of built-in operators.

    Its signature `serving_default` has the inputs and outputs of `export_onnx`, for one image of
    `target.size`. "float16" halves the file, "dynamic" has int8 weights, and "int8" has int8
    activations too.

    Raises:
        InputError: on another backend than TensorFlow, or if the file cannot be written.
    """
    check_backend("LiteRT files")
    import tensorflow as tf

    function = frozen(function_of(model, target))
    with tempfile.TemporaryDirectory() as folder, quiet("tensorflow", "absl"):
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if target.precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if target.precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if target.precision == "int8":
            converter.representative_dataset = lambda: ({"images": each} for each in target.images)
        content = converter.convert()
    write_bytes(path, with_metadata(content, candidates_info(model, target).to_json()))


def with_metadata(content: bytes, text: str) -> bytes:
    """Return the bytes of a LiteRT model with a metadata buffer `KEY` that holds `text`."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(text.encode())
    entry.name, entry.buffer = KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
