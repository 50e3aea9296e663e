"""Keras's HDF5 files: weights and whole models of Keras 2, weights of Keras 3."""

from __future__ import annotations

import math
import mmap
import os
import re
from collections import Counter
from typing import Any

import h5py
import numpy as np

from ..errors import InputError
from ..utils.text import printable
from .torch_files import widened

HEAP = rb"GCOL\x01\0{3}"  # precedes the size of a heap, which holds strings of any length
MOST = 2**31  # bytes of strings
FAULTS = (KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError)  # of h5py


def read_hdf5(path: str) -> dict[str, np.ndarray]:
    """Read {name: array} from a file, where a name is "layer/kernel" for Keras 2 and the path in
    the file for Keras 3.

    Raises:
        InputError: if the file is damaged, not one of Keras's, or refers to another file.
    """
    try:
        with h5py.File(path, "r") as file:
            items = members(file)
            datasets = {k: item for k, item in items.items() if isinstance(item, h5py.Dataset)}
            _check(path, datasets)
            _check_strings(path, items)
            root = "model_weights/" if "model_weights" in items else ""
            names = _keras_2(items, root) or {name: name for name in datasets}
            if not names:
                raise InputError(f"{path}: it holds no weights.")
            for place, count in Counter(names.values()).items():
                if place not in datasets or count > 1:
                    fault = "names twice" if count > 1 else "lacks"
                    raise InputError(f"{path}: damaged: it {fault} {printable(place)}.")
            return {name: _array(datasets[place]) for name, place in names.items()}
    except InputError:
        raise
    except FAULTS as error:
        reason = printable(error)
        raise InputError(f"{path}: damaged, or not a Keras file: {reason}.") from None


def members(file: h5py.File) -> dict[str, Any]:
    """Return {path in the file: group or dataset}, without members in other files."""
    items = {"": file}
    file.visititems(lambda name, item: items.update({name: item}))  # ignores links to other files
    return items


def _check(path: str, datasets: dict[str, h5py.Dataset]) -> None:
    """Raise an InputError if data are in another file, or take more memory than the file's size."""
    for place, dataset in datasets.items():
        name, dtype = printable(place), printable(dataset.dtype)
        if dataset.external or dataset.is_virtual:
            raise InputError(f"{path}: {name} is in another file; copy it into this one.")
        if dataset.dtype.kind not in "fiub" and not _is_bfloat16(dataset):
            raise InputError(f"{path}: {name} holds {dtype}, not numbers.")
    size = sum(dataset.nbytes for dataset in datasets.values())
    if size > os.path.getsize(path):
        raise InputError(f"{path}: compressed or damaged: its tensors would take {size} bytes.")


def _check_strings(path: str, items: dict[str, Any]) -> None:
    """Raise an InputError if strings that share bytes would take far more memory than the file."""
    found = [item.attrs.get_id(name) for item in items.values() for name in item.attrs]
    count = sum(math.prod(each.shape) for each in found if each.dtype.kind == "O")
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        heaps = [data[mark.end() : mark.end() + 4] for mark in re.finditer(HEAP, data)]
        sizes = [int.from_bytes(size, "little") for size in heaps]
        longest = max((size for size in sizes if size <= len(data)), default=0)
    if count * longest > MOST:
        raise InputError(f"{path}: damaged: its names would take {count * longest} bytes.")


def _keras_2(items: dict, root: str) -> dict[str, str]:
    """Return {layer/weight: path in the file} from the lists in the groups of a Keras 2 file."""
    names = {}
    for layer in _list(items[root.rstrip("/")], "layer_names"):
        for weight in _list(items[f"{root}{layer}"], "weight_names"):
            # "conv/kernel:0" of the layer conv, or "model/conv/kernel"; "last/kernel:0" of a model
            own = f"/{weight.removesuffix(':0')}".partition(f"/{layer}/")
            names[f"{layer}/{own[2] or own[0][1:]}"] = f"{root}{layer}/{weight}"
    return names


def _list(group: h5py.Group, name: str) -> list[str]:
    """Return the strings in an attribute; Keras splits long ones into name0, name1, ..."""
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(f"{name}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _is_bfloat16(dataset: h5py.Dataset) -> bool:
    """Return True for a bfloat16 dataset, which Keras 3 writes as untyped pairs of bytes."""
    return dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16"


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if _is_bfloat16(dataset):
        return widened(np.asarray(dataset).view("uint16"))
    return np.asarray(dataset)
