"""Read tensors by name from a weight file, without running any code from the file."""

from __future__ import annotations

import os
import re

import numpy as np

from ..errors import InputError
from ..typing import StrPath
from ..utils.text import printable
from .hdf5 import read_hdf5
from .pickles import FAULTS
from .torch_files import read_torch

PREFIXES = ("module.", "model.")  # added by DataParallel and by Lightning


def read_tensors(path: StrPath) -> dict[str, np.ndarray]:
    """Read {name: array} from a file; names lose the prefixes in `PREFIXES`.

    `.pth`, `.pt`, `.bin`, `.ckpt` and `.pkl` hold a dict of tensors, or a dict with one under a key
    in `torch_files.WITHIN`. The names in `.h5` are a layer and its weight (Keras 2), such as
    "C5_reduced/kernel"; in `.weights.h5` (Keras 3), paths such as "layers/conv2d/vars/0". Numbers
    in bfloat16 become float32.

    Raises:
        InputError: if the file is missing, damaged, one of several, or has more than tensors.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder; pass a weight file.")
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".json" or re.search(r"-\d+-of-\d+\.", path):
        raise InputError(f"{path}: weights split over several files; join them into one file.")
    if suffix not in READERS:
        raise InputError(f"{path}: unknown suffix {suffix!r}; known: {', '.join(READERS)}.")
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file.")
    if not os.path.getsize(path):
        raise InputError(f"{path}: an empty file.")
    tensors = READERS[suffix](path)
    if not all(isinstance(name, str) for name in tensors):
        raise InputError(f"{path}: some of its tensors have a name that is not text.")
    for name, value in tensors.items():
        if value.dtype.kind not in "biuf":
            raise InputError(f"{path}: {printable(name)} holds {value.dtype}, not numbers.")
    return _without_prefix(tensors)


def _without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            stripped = {name.removeprefix(prefix): value for name, value in tensors.items()}
            return _without_prefix(stripped)
    return tensors


def _read_safetensors(path: str) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                kind = file.get_slice(name).get_dtype()
                if not re.fullmatch(r"(F|I|U)(8|16|32|64)|BF16|BOOL", kind):
                    raise InputError(f"{path}: {printable(name)} is {kind}; save it as float32.")
            return {name: _widened(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except InputError:
        raise
    except (SafetensorError, *FAULTS) as error:
        reason = printable(error)
        raise InputError(f"{path}: damaged, or not a safetensors file: {reason}.") from None


def _widened(value: np.ndarray) -> np.ndarray:
    """Return a bfloat16 array as float32, and other arrays unchanged."""
    return value.astype("float32") if value.dtype.name == "bfloat16" else value


READERS = {
    **dict.fromkeys((".pth", ".pt", ".bin", ".ckpt", ".pkl"), read_torch),
    ".safetensors": _read_safetensors,
    ".h5": read_hdf5,
}
