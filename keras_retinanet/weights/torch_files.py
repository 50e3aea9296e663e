"""The pickled formats: PyTorch's zip, PyTorch's older format, and Detectron2's `.pkl` of arrays.

PyTorch's zip has `ARCHIVE/data.pkl` and, uncompressed, `ARCHIVE/data/KEY` for each storage. The
older format is a sequence of pickles (a magic number, a version, the system, the object, the keys
of the storages), followed by the number of elements (int64) and the elements of each storage.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from ..utils.text import listed, printable
from .allowed import Built, Storage, View
from .pickles import FAULTS, read_pickle

MAGIC = 0x1950A86A20F9469CFC6C
STARTS = (b"\x80", b"c", b"(", b"}")  # of a pickle: protocol 2 and later, a name, a mark, a dict
AXES = 64  # NumPy's limit
WITHIN = ("state_dict", "model_state_dict", "model")  # keys of the weights in a checkpoint


def read_torch(path: str) -> dict[str, np.ndarray]:
    """Read the state dict in a file, at the top or under one of `WITHIN`.

    Raises:
        InputError: if the file is damaged, or has no dict of tensors.
    """
    with open(path, "rb") as file:
        start = file.read(5)
        if start[:4] == b"PK\x03\x04":
            return _read_zip(path)
        if start[:1] not in STARTS:
            begins = printable(start.decode("latin1"))
            raise InputError(f"{path}: not a file of PyTorch: it begins with '{begins}'.")
        # a map's `read` returns no more than the file has, even if a damaged length asks for more
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read_pickles(path, content)


def _read_zip(path: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}

            def read(name: str) -> bytes:
                if name not in entries:
                    raise InputError(f"{path}: damaged: it has no {printable(name)}.")
                return archive.read(entries[name])  # checks the sum

            if "config.json" in archive.namelist():
                raise InputError(f"{path}: a .keras file, not weights of PyTorch.")
            if "constants.pkl" in entries:
                raise InputError(f"{path}: a TorchScript file; save the module's state_dict().")
            _check_entries(path, archive.infolist())
            _check_order(path, "byteorder" not in entries or read("byteorder") == b"little")
            content = read_pickle(io.BytesIO(read("data.pkl")), path)
            return _arrays(path, _state(path, content), lambda key: read(f"data/{key}"))
    except InputError:
        raise
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: damaged or cut short: {printable(error)}.") from None


def _check_entries(path: str, entries: list[zipfile.ZipInfo]) -> None:
    """Raise an InputError if an entry is compressed, or the entries are larger than the file."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            name = printable(entry.filename)
            raise InputError(f"{path}: its {name} is compressed or encrypted; store it as it is.")
    if sum(entry.file_size for entry in entries) > os.path.getsize(path):
        raise InputError(f"{path}: damaged: its entries are larger than the file.")


def _check_order(path: str, little_endian: object) -> None:
    if not little_endian:
        raise InputError(f"{path}: big-endian; save it on a little-endian machine.")


def _read_pickles(path: str, file: Any) -> dict[str, np.ndarray]:
    content = read_pickle(file, path)
    if not isinstance(content, int) or content != MAGIC:
        return _arrays(path, _state(path, content), lambda key: b"")
    storages: dict[str, Storage] = {}
    _, system, content, keys = (read_pickle(file, path, storages) for _ in range(4))
    if not isinstance(system, dict) or not isinstance(keys, list):
        raise InputError(f"{path}: damaged: not the pickles of PyTorch's older format.")
    _check_order(path, system.get("little_endian"))
    end, places = file.tell(), {}
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        start = end + 8
        if storage is None or int.from_bytes(file[end:start], "little") != storage.size:
            raise InputError(f"{path}: damaged: its storages do not match its tensors.")
        end = start + storage.size * _dtype(storage).itemsize
        places[key] = slice(start, end)
    return _arrays(path, _state(path, content), lambda key: file[places.get(key, slice(0))])


def _state(path: str, content: object) -> dict:
    """Return the dict of tensors in the value of a pickle."""
    held = "another value"
    if isinstance(content, dict):
        for state in (*map(content.get, WITHIN), content):
            if isinstance(state, dict) and any(isinstance(v, View | Built) for v in state.values()):
                return state
        held = f"a dict of {printable(listed(content))}"
    raise InputError(
        f"{path}: no tensors by name, at the top or under {listed(WITHIN)}, but {held}; save the "
        "module's state_dict()."
    )


def _arrays(path: str, state: dict, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """Return the arrays of a state dict; `read(key)` returns the bytes of a storage."""
    elements, arrays = {}, {}
    for name, value in state.items():
        try:
            if isinstance(value, View):
                key = value.storage.key
                if key not in elements:
                    elements[key] = _elements(value.storage, read(key))
                arrays[name] = _strided(elements[key], value)
            elif isinstance(value, Built) and isinstance(value.value, np.ndarray):
                arrays[name] = value.value
            else:
                raise ValueError(f"not a tensor but {type(value).__name__}")
        except InputError:
            raise
        except FAULTS as error:
            raise InputError(f"{path}: {printable(name)}: {printable(error)}.") from None
    return arrays


def _dtype(storage: Storage) -> np.dtype:
    return np.dtype("uint16" if storage.dtype == "bfloat16" else storage.dtype)


def _elements(storage: Storage, data: bytes) -> np.ndarray:
    """Return the elements (size,) of a storage; bfloat16 becomes float32."""
    if len(data) != storage.size * _dtype(storage).itemsize:
        raise ValueError(f"{len(data)} bytes are not {storage.size} elements")
    values = np.frombuffer(data, _dtype(storage))
    return widened(values) if storage.dtype == "bfloat16" else values


def widened(values: np.ndarray) -> np.ndarray:
    """Return bfloat16 numbers, read as uint16, as float32: they are its upper halves."""
    return (values.astype("uint32") << 16).view("float32")


def _strided(elements: np.ndarray, view: View) -> np.ndarray:
    """Return the array of a view, which must lie within its storage and be no larger."""
    shape, strides = tuple(view.shape), tuple(view.strides)
    if not len(shape) == len(strides) <= AXES or not all(
        isinstance(n, int) and 0 <= n < 2**62 for n in (view.offset, *shape, *strides)
    ):
        raise ValueError("a tensor of a damaged shape, or with a damaged offset or stride")
    size = math.prod(shape)
    if size == 0:
        return np.zeros(shape, elements.dtype)
    last = view.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= len(elements) or size > len(elements):
        raise ValueError(f"a tensor of shape {shape} in a storage of {len(elements)} elements")
    steps = [step * elements.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(elements[view.offset :], shape, steps, writeable=False)
