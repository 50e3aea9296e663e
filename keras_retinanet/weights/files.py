"""Tensors by name from a weight file, read without executing anything in it."""

import os
import re

from ..errors import InputError

PREFIXES = ("module.", "model.")  # of DataParallel and of Lightning


def read_tensors(path):
    """{name: array} of a file; the names are the file's own, less a prefix of `PREFIXES`.

    `.pth`, `.pt`, `.bin`, `.ckpt` and `.pkl`: the dict of tensors that was saved, or what it holds
    under a name of `torch_files.WITHIN`. `.safetensors`. `.h5` of Keras 2: "C5_reduced/kernel", the
    layer and its weight; `.weights.h5` of Keras 3: paths such as "layers/conv2d/vars/0". Numbers in
    bfloat16 become float32.

    Raises:
        InputError: for a file that is missing, damaged, one of several, or more than tensors.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: expected a file of weights. Received: a folder")
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".json" or re.search(r"-\d+-of-\d+\.", path):
        raise InputError(f"{path}: expected one file of weights. Received: one of several")
    if suffix not in READERS:
        known = ", ".join(READERS)
        raise InputError(f"{path}: expected a file of weights ({known}). Received: {suffix!r}")
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    if not os.path.getsize(path):
        raise InputError(f"{path}: an empty file")
    tensors = READERS[suffix](path)
    if not all(isinstance(name, str) for name in tensors):
        raise InputError(f"{path}: expected tensors by name. Received: names that are no text")
    for name, value in tensors.items():
        if value.dtype.kind not in "biuf":
            raise InputError(f"{path}: {name}: expected numbers. Received: {value.dtype}")
    return _without_prefix(tensors)


def _without_prefix(tensors):
    """`tensors` under their names within what wrapped the whole network."""
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            stripped = {name.removeprefix(prefix): value for name, value in tensors.items()}
            return _without_prefix(stripped)
    return tensors


def _read_pickled(path):
    from .torch_files import read_torch

    return read_torch(path)


def _read_hdf5(path):
    from .hdf5 import read_hdf5

    return read_hdf5(path)


def _read_safetensors(path):
    import ml_dtypes  # noqa: F401  NumPy knows bfloat16 by its name from then on
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError) as error:
        raise InputError(f"{path}: damaged, or no safetensors file ({error})") from None
    return {
        name: value.astype("float32") if value.dtype.name == "bfloat16" else value
        for name, value in tensors.items()
    }


READERS = {
    ".pth": _read_pickled,
    ".pt": _read_pickled,
    ".bin": _read_pickled,
    ".ckpt": _read_pickled,
    ".pkl": _read_pickled,
    ".safetensors": _read_safetensors,
    ".h5": _read_hdf5,
}
