"""The formats that `retinanet-convert-model` writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np

SAVED_MODEL = (
    "assets.extra/keras_retinanet.json",
    "fingerprint.pb",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
)


@dataclass(frozen=True)
class Target:
    """The choices of an export.

    Attributes:
        precision: the precision of the weights, one of the format's.
        size: the only (width, height) px of the input, for formats of one size.
        images: inputs (1, H, W, 3) float32 to calibrate "int8" with.
        nms: True for a file that ends with the runtime's own hard NMS instead of the candidates.
    """

    precision: str = "float32"
    size: tuple[int, int] | None = None
    images: Sequence[np.ndarray] = ()
    nms: bool = False


@dataclass(frozen=True)
class Format:
    """A format of model files.

    Attributes:
        suffix: the suffix of its files; "" for a folder.
        writer: "module:function", called with an inference model, a path and a `Target`.
        precisions: the precisions of the weights, the default first.
        fixed: True if a file takes images of one size.
        nms: True if a file may end with the runtime's own NMS.
        more: suffixes of further files beside the file, or names of files in the folder.
    """

    suffix: str
    writer: str
    precisions: tuple[str, ...] = ("float32",)
    fixed: bool = False
    nms: bool = False
    more: tuple[str, ...] = ()

    @property
    def write(self) -> Callable[[Any, Path, Target], None]:
        """The function that writes the format."""
        module, _, function = self.writer.partition(":")
        return getattr(import_module(f"{__package__}.{module}"), function)

    def files(self, path: str | os.PathLike) -> list[Path]:
        """Return the files that an export to `path` writes."""
        path = Path(path)
        if not self.suffix:
            return [path / name for name in self.more]
        return [path, *(path.with_suffix(suffix) for suffix in self.more)]


FORMATS = {
    "keras": Format(".keras", "keras:export_keras"),
    "saved_model": Format("", "saved_model:export_saved_model", more=SAVED_MODEL),
    "onnx": Format(".onnx", "onnx:export_onnx", nms=True),
    "openvino": Format(
        ".xml", "openvino:export_openvino", ("float32", "float16", "int8"), more=(".bin",)
    ),
    "litert": Format(
        ".tflite",
        "litert:export_litert",
        ("float32", "float16", "dynamic", "int8"),
        fixed=True,
        nms=True,
    ),
}


def format_of(path: str | os.PathLike, name: str | None = None) -> str:
    """Return the key of `FORMATS` for a path: `name`, or the format of the path's suffix.

    Raises:
        InputError: if no format has the suffix, or the format `name` has another suffix.
    """
    suffix = Path(path).suffix
    by_suffix = {rule.suffix: key for key, rule in FORMATS.items()}
    if suffix not in by_suffix:
        known = ", ".join(rule.suffix for rule in FORMATS.values() if rule.suffix)
        raise InputError(
            f"{path} has the suffix {suffix[:50]}; known: {known}, and none for a SavedModel's "
            "folder."
        )
    if name not in (None, by_suffix[suffix]):
        wanted = FORMATS[name].suffix or "no suffix"
        raise InputError(f"{path}: the format {name} needs {wanted}; name another path.")
    return by_suffix[suffix]
