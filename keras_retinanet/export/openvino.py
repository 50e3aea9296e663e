"""Export to OpenVINO's intermediate representation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..model_info import KEY
from ..models import RetinaNet
from ..utils.outputs import filling
from ..utils.usage import unreported
from .candidates import (
    candidates_function,
    candidates_info,
    check_backend,
    check_installed,
    quiet,
)
from .formats import Target


def export_openvino(model: RetinaNet, path: str | os.PathLike, target: Target = Target()) -> None:
    """Write an inference model, up to its candidates, as the .xml file `path` and a .bin file.

    The inputs, outputs and metadata are those of `export_onnx`. "float16" halves the file; "int8"
    quantizes the activations too.

    Raises:
        InputError: if the backend is not TensorFlow, without the extra `openvino` or, for "int8",
            `int8`, or if the files cannot be written.
    """
    check_backend("OpenVINO files")
    check_installed("openvino", "openvino", "Writing OpenVINO files")
    with unreported():
        import openvino

    function = candidates_function(model)
    with quiet("tensorflow"), unreported():
        graph = openvino.convert_model(function.get_concrete_function())
        if target.precision == "int8":
            graph = quantized(graph, target.images)
    graph.set_rt_info(candidates_info(model, target).to_json(), [KEY])
    folder, name = os.path.split(os.path.abspath(path))
    with filling(folder) as part:
        openvino.save_model(graph, part / name, compress_to_fp16=target.precision == "float16")


def quantized(graph: Any, images: Sequence[np.ndarray]) -> Any:
    """Return an OpenVINO model with int8 weights and activations up to the heads, by NNCF.

    The last convolutions of the heads and later operations, such as box decoding, stay float32: on
    BCCD, AP then falls by 0.002 instead of 0.036.
    """
    check_installed("nncf", "int8", "int8")
    import nncf

    floating = nncf.IgnoredScope(names=after_last_convolutions(graph), validate=False)
    with quiet("nncf"):
        return nncf.quantize(
            graph,
            nncf.Dataset(list(images)),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=floating,
        )


def after_last_convolutions(graph: Any) -> list[str]:
    """Return the names of all operations that no convolution follows."""
    names: set[str] = set()
    waiting = list(graph.get_results())
    while waiting:
        operation = waiting.pop()
        if operation.get_friendly_name() in names:
            continue
        names.add(operation.get_friendly_name())
        if operation.get_type_name() not in ("Convolution", "GroupConvolution"):
            waiting += [each.get_source_output().get_node() for each in operation.inputs()]
    return sorted(names)
