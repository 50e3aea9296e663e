"""Export to LiteRT (.tflite), for phones and small computers."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from typing import Any

from ..model_info import KEY
from ..models import RetinaNet
from ..utils.outputs import write_bytes
from .candidates import (
    candidates_info,
    check_backend,
    check_installed,
    frozen,
    function_of,
    quiet,
)
from .formats import Target


def export_litert(model: RetinaNet, path: str | os.PathLike, target: Target) -> None:
    """Write an inference model, with or without NMS, as a LiteRT file of built-in operators.

    Its signature `serving_default` has the inputs and outputs of `export_onnx`, for one image of
    `target.size`. "float16" halves the file, "dynamic" has int8 weights in its convolutions, and
    "int8" has int8 activations too, up to the last convolutions of the heads.

    Raises:
        InputError: if the backend is not TensorFlow, without the extra `int8` for "dynamic" and
            "int8", or if the file cannot be written.
    """
    check_backend("LiteRT files")
    if target.precision in ("dynamic", "int8"):
        check_installed("ai_edge_quantizer", "int8", f"--precision {target.precision}")
    import tensorflow as tf

    function = frozen(function_of(model, target))
    with tempfile.TemporaryDirectory() as folder, quiet("tensorflow", "absl"):
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if target.precision == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        content = with_metadata(converter.convert(), candidates_info(model, target).to_json())
    if target.precision in ("dynamic", "int8"):
        content = quantized(content, target)
    write_bytes(path, content)


def quantized(content: bytes, target: Target) -> bytes:
    """Return a LiteRT model with int8 weights, and for "int8" activations, in its convolutions.

    Operations after the last convolutions of the heads, such as box decoding, stay float32; for
    "int8" these convolutions do too. With int8 throughout, AP on BCCD falls by 0.25.
    """
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import Quantizer

    silent = io.StringIO()  # it prints sizes and bars
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        quantizer = Quantizer(bytearray(content))
        last = "|".join(map(re.escape, last_convolutions(content)))
        for kind in (TFLOperationName.CONV_2D, TFLOperationName.DEPTHWISE_CONV_2D):
            if target.precision == "dynamic":
                quantizer.add_dynamic_config(".*", kind, num_bits=8)
            else:
                quantizer.add_static_config(f"^(?!(?:{last});)", kind, 8, 8)
        inputs = [{"images": image} for image in target.images]
        measured = quantizer.calibrate({"serving_default": inputs}) if inputs else None
        return bytes(quantizer.quantize(measured).quantized_model)


def last_convolutions(content: bytes) -> list[str]:
    """Return the names of the outputs of convolutions that no other convolution follows."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    [graph] = model.subgraphs
    kinds = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    makers = {output: operation for operation in graph.operators for output in operation.outputs}
    names, seen, waiting = set(), set(), list(graph.outputs)
    while waiting:
        tensor = waiting.pop()
        operation = makers.get(tensor)
        if operation is None or tensor in seen:
            continue
        seen.add(tensor)
        if model.operatorCodes[operation.opcodeIndex].builtinCode in kinds:
            names.add(graph.tensors[tensor].name.decode())
        else:
            waiting.extend(operation.inputs)
    return sorted(names)


def with_metadata(content: bytes, text: str) -> bytes:
    """Return the bytes of a LiteRT model with `text` in a metadata buffer `KEY`."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(text.encode())
    entry.name, entry.buffer = KEY, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
