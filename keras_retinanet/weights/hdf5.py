"""Keras's HDF5 files: weights and whole models of Keras 2, weights of Keras 3."""

from __future__ import annotations

import os

import h5py
import numpy as np

from ..errors import InputError
from ..utils.text import printable
from .torch_files import widened


def read_hdf5(path: str) -> dict[str, np.ndarray]:
    """Read {name: array} from a file, where a name is "layer/kernel" for Keras 2 and the path in
    the file for Keras 3.

    Raises:
        InputError: if the file is damaged, not one of Keras's, or refers to another file.
    """
    try:
        with h5py.File(path, "r") as file:
            items = {"": file}
            file.visititems(lambda name, item: items.update({name: item}))  # follows no outer link
            datasets = {k: item for k, item in items.items() if isinstance(item, h5py.Dataset)}
            _check(path, datasets)
            root = "model_weights/" if "model_weights" in items else ""
            names = _keras_2(items, root) or {name: name for name in datasets}
            missing = [place for place in names.values() if place not in datasets]
            if missing or not names:
                held = f"no {printable(missing[0])}" if missing else "an HDF5 file without any"
                raise InputError(f"{path}: expected weights of Keras. Received: {held}")
            return {name: _array(datasets[place]) for name, place in names.items()}
    except InputError:
        raise
    except (KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = printable(error)
        raise InputError(f"{path}: damaged, or not of Keras ({reason})") from None


def _check(path: str, datasets: dict[str, h5py.Dataset]) -> None:
    """Raise an InputError if numbers lie in another file or take more memory than this one."""
    for place, dataset in datasets.items():
        name, dtype = printable(place), printable(dataset.dtype)
        if dataset.external or dataset.is_virtual:
            raise InputError(f"{path}: refused: {name} refers to another file")
        if dataset.dtype.kind not in "fiub" and dataset.attrs.get("dtype") != "bfloat16":
            raise InputError(f"{path}: {name}: expected numbers. Received: {dtype}")
    size = sum(dataset.nbytes for dataset in datasets.values())
    if size > os.path.getsize(path):
        raise InputError(f"{path}: refused: it is compressed or damaged, it says to hold {size} B")


def _keras_2(items: dict, root: str) -> dict[str, str]:
    """Return {layer/weight: place in the file} from the lists in the groups of a Keras 2 file."""
    names = {}
    for layer in _list(items[root.rstrip("/")], "layer_names"):
        for weight in _list(items[f"{root}{layer}"], "weight_names"):
            # "conv/kernel:0" of the layer conv, or "model/conv/kernel"; "last/kernel:0" of a model
            own = f"/{weight.removesuffix(':0')}".partition(f"/{layer}/")
            names[f"{layer}/{own[2] or own[0][1:]}"] = f"{root}{layer}/{weight}"
    return names


def _list(group: h5py.Group, name: str) -> list[str]:
    """Return the strings in an attribute, which Keras divides into name0, name1, ... if long."""
    parts = [name] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(f"{name}{len(parts)}")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if dataset.attrs.get("dtype") == "bfloat16":
        return widened(np.asarray(dataset).view("uint16"))
    return np.asarray(dataset)
