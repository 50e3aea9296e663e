"""The names that a pickle of tensors may use, and the values that replace them.

`CALLS` are functions that build values, `STORAGES` are PyTorch's element types, and `INERT` are
classes of settings and logs, which are left out. Values from a file may be of any size and may
contain themselves: check the type of a value before you compare, hash or print it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np


class Storage(NamedTuple):
    """A row of elements in the file; without a `key`, only the type of the elements."""

    dtype: str
    key: str = ""
    size: int = 0  # elements


class View(NamedTuple):
    """A tensor within a storage, in elements. Only the storage has been checked."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


class Inert:
    """A class without weights, and its instances: calls, entries and states change nothing.

    `extend` and `__setstate__` get one argument less if a pickle calls them on the class.
    """

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __call__(self, *_: Any) -> Any:
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __setstate__(self, _: Any = None) -> None:
        pass

    extend = __setstate__


class Dict(dict):
    """A dict that keeps only entries with short keys, and no state."""

    def __init__(self, pairs: Iterable = ()) -> None:
        super().__init__()
        for key, value in pairs:
            self[key] = value

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str) or (isinstance(key, int) and key.bit_length() < 64):
            super().__setitem__(key, value)

    def __setstate__(self, _: Any) -> None:
        pass


class Built:
    """A NumPy array or dtype, which a pickle creates empty and fills with a state later.

    Filling replaces `value` by `fill(value, state)`.
    """

    def __init__(self, fill: Callable | None, value: np.ndarray | np.dtype | None = None) -> None:
        self.fill: Any = fill
        self.value = value
        self.count: Any = None  # of the `Function` that made it

    def __setstate__(self, state: Any) -> None:
        self.count(state)
        self.value = self.fill(self.value, state)


class Function:
    """A function that a pickle may call but not change. `count` limits all arguments together."""

    __slots__ = ("count", "function")

    def __init__(self, function: Callable, count: Callable) -> None:
        self.function = function
        self.count = count

    def __call__(self, *arguments: Any) -> Any:
        self.count(arguments)
        result = self.function(*arguments)
        if isinstance(result, Built):
            result.count = self.count
        return result

    def __setstate__(self, _: Any) -> None:
        raise ValueError("a function has no state")


def _dtype(name: str, *_: Any) -> Built:
    if not re.fullmatch(r"[biufcSU]\d{1,4}", name):
        raise ValueError(f"an array of {name}")
    return Built(lambda value, state: value.newbyteorder(state[1]), np.dtype(name))


def _array(*_: Any) -> Built:
    def fill(_: Any, state: Any) -> np.ndarray:
        _, shape, dtype, columns_first, data = state
        return _shaped(data, dtype, shape, "F" if columns_first else "C")

    return Built(fill)


def _shaped(data: bytes | str, dtype: Built, shape: Any, order: Any = "C") -> np.ndarray:
    data = data.encode("latin1") if isinstance(data, str) else data  # as Python 2 wrote it
    return np.frombuffer(data, dtype.value).reshape(shape, order=order)


def _encode(text: str = "", encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("text in an encoding other than latin1")
    return text.encode("latin1")


def _attribute(owner: Any, _: Any) -> Any:
    if owner is not Inert and not isinstance(owner, Inert):
        raise ValueError("an attribute of an object that is not left out")
    return owner


CALLS: dict[str, Callable] = {
    "_codecs.encode": _encode,
    "builtins.bytearray": _encode,
    "builtins.bytes": lambda: b"",
    "builtins.complex": complex,
    "builtins.dict": Dict,
    "builtins.frozenset": lambda items=(): items,
    "builtins.getattr": _attribute,
    "builtins.set": lambda items=(): items,
    "collections.OrderedDict": Dict,
    "collections.defaultdict": lambda factory=None: Dict(),
    "numpy.core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": lambda dtype, data: Built(None, _shaped(data, dtype, ())),
    "numpy.core.numeric._frombuffer": lambda *parts: Built(None, _shaped(*parts)),
    "numpy.dtype": _dtype,
    "torch.Size": lambda shape=(): shape,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor": lambda *view: View(*view[:4]),
    "torch._utils._rebuild_tensor_v2": lambda *view: View(*view[:4]),
}

STORAGES = {
    f"torch.{name}Storage": dtype
    for name, dtype in {
        **{"BFloat16": "bfloat16", "Half": "float16", "Float": "float32", "Double": "float64"},
        **{"Char": "int8", "Short": "int16", "Int": "int32", "Long": "int64"},
        **{"Bool": "bool", "Byte": "uint8"},
    }.items()
}

INERT = {
    f"{module}.{name}"
    for module, names in {
        "argparse": "Namespace",
        "builtins": "float int list object str",
        "collections": "Counter deque",
        "copyreg": "_reconstructor",
        "datetime": "date datetime timedelta",
        "mmcv.utils.config": "Config ConfigDict",
        "mmengine.config.config": "Config ConfigDict",
        "mmengine.logging.history_buffer": "HistoryBuffer",
        "numpy": "ndarray",
        "pathlib": "Path PosixPath PurePosixPath WindowsPath",
        "torch": "bfloat16 device float16 float32 float64 int64",
        "torch.torch_version": "TorchVersion",
    }.items()
    for name in names.split()
}

# modules that have other names in Python 2 and NumPy 2
RENAMED = {"__builtin__.": "builtins.", "copy_reg.": "copyreg.", "numpy._core.": "numpy.core."}
