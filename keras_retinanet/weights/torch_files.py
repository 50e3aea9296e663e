"""The pickled formats: PyTorch's, zipped or the older one, and Detectron2's `.pkl` of arrays.

PyTorch's zip holds `ARCHIVE/data.pkl` and, not compressed, `ARCHIVE/data/KEY` for each storage. The
older format is a row of pickles (a magic number, a version, the system, the object, the keys of the
storages) and then, for each key, how many elements the storage has (int64), and these.
"""

import io
import math
import mmap
import os
import zipfile

import numpy as np

from ..errors import InputError
from ..utils.text import listed
from .allowed import Built, View
from .pickles import FAULTS, printable, read_pickle

MAGIC = 0x1950A86A20F9469CFC6C
# of pickles: protocol 2 and later, a name, a mark, a dict
STARTS = (b"\x80", b"c", b"(", b"}")
AXES = 64  # of an array of NumPy, at most
# where projects put the weights beside other things
WITHIN = ("state_dict", "model_state_dict", "model")


def read_torch(path):
    """{name: array} of the state dict in the file, which may stand under one of `WITHIN`."""
    with open(path, "rb") as file:
        start = file.read(5)
        if start[:4] == b"PK\x03\x04":
            return _read_zip(path)
        if start[:1] not in STARTS:
            raise InputError(
                f"{path}: expected PyTorch's format. Received: a file that begins with "
                f"'{printable(start.decode('latin1'))}'"
            )
        # a map's `read` gives no more than there is, whatever length a damaged file states
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read_pickles(path, content)


def _read_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2]: name for name in archive.namelist()}
            if "config.json" in archive.namelist():
                raise InputError(f"{path}: expected weights of PyTorch. Received: a .keras file")
            if "constants.pkl" in names:
                raise InputError(f"{path}: expected tensors by name. Received: a TorchScript file")
            if "byteorder" in names and _entry(path, archive, names, "byteorder") != b"little":
                raise InputError(f"{path}: expected a little-endian file. Received: big-endian")
            stream = io.BytesIO(_entry(path, archive, names, "data.pkl"))
            state = _state(path, read_pickle(stream, path))
            return _arrays(path, state, lambda key: _entry(path, archive, names, f"data/{key}"))
    except InputError:
        raise
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: damaged or cut short ({printable(error)})") from None


def _entry(path, archive, names, name):
    """The bytes of an entry, which stand in the file as they are; zipfile checks their sum."""
    if name not in names:
        raise InputError(f"{path}: damaged: it has no {printable(name)}")
    entry = archive.getinfo(names[name])
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise InputError(f"{path}: refused: its {printable(name)} is compressed or encrypted")
    if not entry.file_size == entry.compress_size <= os.path.getsize(path):
        raise InputError(f"{path}: damaged: its {printable(name)} is larger than the file")
    return archive.read(entry)


def _read_pickles(path, file):
    content = read_pickle(file, path)
    if content != MAGIC:
        return _arrays(path, _state(path, content), lambda key: b"")
    storages = {}
    _, system, content, keys = (read_pickle(file, path, storages) for _ in range(4))
    if not isinstance(system, dict) or not isinstance(keys, list):
        raise InputError(f"{path}: damaged: not what PyTorch's older format consists of")
    if not system.get("little_endian"):
        raise InputError(f"{path}: expected a little-endian file. Received: big-endian")
    place, places = file.tell(), {}
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        start, place = place + 8, place + 8
        if storage is None or int.from_bytes(file[start - 8 : start], "little") != storage.size:
            raise InputError(f"{path}: damaged: its storages are not those of its tensors")
        place += storage.size * _dtype(storage).itemsize
        places[key] = slice(start, place)
    return _arrays(path, _state(path, content), lambda key: file[places.get(key, slice(0))])


def _state(path, content):
    """The dict of tensors in what a pickle holds."""
    if isinstance(content, dict):
        for state in (*(content.get(key) for key in WITHIN), content):
            kinds = state.values() if isinstance(state, dict) else ()
            if any(isinstance(value, View | Built) for value in kinds):
                return state
    held = f"a dict of {listed(content)}" if isinstance(content, dict) else "something else"
    raise InputError(
        f"{path}: expected tensors by name, alone or under {listed(WITHIN)}. "
        f"Received: {printable(held)}"
    )


def _arrays(path, state, read):
    """{name: array} of a state dict; `read(key)` gives the bytes of a storage."""
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
                raise ValueError(f"expected a tensor. Received: {type(value).__name__}")
        except InputError:
            raise
        except FAULTS as error:
            raise InputError(f"{path}: {printable(name)}: {printable(error)}") from None
    return arrays


def _dtype(storage):
    return np.dtype("uint16" if storage.dtype == "bfloat16" else storage.dtype)


def _elements(storage, data):
    """(size,) elements; bfloat16 becomes float32, whose upper half it is."""
    if len(data) != storage.size * _dtype(storage).itemsize:
        raise ValueError(f"expected {storage.size} elements. Received: {len(data)} bytes")
    values = np.frombuffer(data, _dtype(storage))
    return widened(values) if storage.dtype == "bfloat16" else values


def widened(values):
    """The float32 of bfloat16 numbers that are read as uint16."""
    return (values.astype("uint32") << 16).view("float32")


def _strided(elements, view):
    """The array that a view is: it must lie within its storage and be no larger."""
    shape, strides = view.shape, view.strides
    if not len(shape) == len(strides) <= AXES or not all(
        isinstance(n, int) and 0 <= n < 2**62 for n in (view.offset, *shape, *strides)
    ):
        raise ValueError(f"a tensor of shape {shape} with strides {strides}")
    size = math.prod(shape)
    if size == 0:
        return np.zeros(shape, elements.dtype)
    last = view.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= len(elements) or size > len(elements):
        raise ValueError(f"a tensor of shape {shape} in a storage of {len(elements)} elements")
    strides = [step * elements.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(elements[view.offset :], shape, strides, writeable=False)
