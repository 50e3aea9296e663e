"""What a pickle of tensors may name, and what is made of it: values alone.

`CALLS` are functions that put values together, `STORAGES` PyTorch's types of elements, and `INERT`
what checkpoints hold beside weights, of which nothing is kept. `pickles` knows no other names.
"""

import re
from collections import namedtuple

import numpy as np

Name = namedtuple("Name", ["name"])  # an entry of CALLS or STORAGES
Storage = namedtuple("Storage", ["dtype", "key", "size"])  # a row of elements in the file
View = namedtuple("View", ["storage", "offset", "shape", "strides"])  # a tensor, in elements


class Inert:
    """What stands in for an object without weights, and for whatever it is asked."""


class Built:
    """What a pickle makes first and fills later: `value` becomes `fill(value, state)`."""

    def __init__(self, fill, value=None):
        self.fill = fill
        self.value = value


def _view(storage, offset, shape, strides, *_):
    return View(storage, offset, shape, strides)


def _parameter(tensor, *_):
    return tensor


def _dtype(name, *_):
    if not re.fullmatch(r"[biufcSU]\d{1,4}", name):
        raise ValueError(f"an array of {name}")
    return Built(lambda value, state: value.newbyteorder(state[1]), np.dtype(name))


def _array(*_):
    def fill(_, state):
        _, shape, dtype, columns_first, data = state
        return _shaped(data, dtype, shape, "F" if columns_first else "C")

    return Built(fill)


def _shaped(data, dtype, shape, order="C"):
    data = data.encode("latin1") if isinstance(data, str) else data  # as Python 2 wrote it
    return np.frombuffer(data, dtype.value).reshape(shape, order=order)


def _scalar(dtype, data):
    return Built(None, _shaped(data, dtype, ()))


def _frombuffer(data, dtype, shape, order):
    return Built(None, _shaped(data, dtype, shape, order))


def _encode(text="", encoding="latin1"):
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text in {encoding}")
    return text.encode("latin1")


def _attribute(owner, _):
    if not isinstance(owner, Inert):
        raise ValueError("an attribute of something that is not left out")
    return owner


CALLS = {
    "_codecs.encode": _encode,
    "builtins.bytearray": _encode,
    "builtins.bytes": lambda: b"",
    "builtins.complex": complex,
    "builtins.frozenset": lambda items=(): items,
    "builtins.getattr": _attribute,
    "builtins.set": lambda items=(): items,
    "collections.OrderedDict": lambda pairs=(): dict(pairs),
    "collections.defaultdict": lambda factory=None: {},
    "numpy.core.multiarray._reconstruct": _array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy.dtype": _dtype,
    "torch.Size": lambda shape=(): shape,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_tensor": _view,
    "torch._utils._rebuild_tensor_v2": _view,
}

STORAGES = {
    "torch.BFloat16Storage": "bfloat16",
    "torch.BoolStorage": "bool",
    "torch.ByteStorage": "uint8",
    "torch.CharStorage": "int8",
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.IntStorage": "int32",
    "torch.LongStorage": "int64",
    "torch.ShortStorage": "int16",
}

INERT = {  # settings, counters, what was logged
    "argparse.Namespace",
    "builtins.float",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.str",
    "collections.Counter",
    "collections.deque",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "mmcv.utils.config.Config",
    "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.Config",
    "mmengine.config.config.ConfigDict",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "numpy.ndarray",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePosixPath",
    "pathlib.WindowsPath",
    "torch.bfloat16",
    "torch.device",
    "torch.float16",
    "torch.float32",
    "torch.float64",
    "torch.int64",
    "torch.torch_version.TorchVersion",
}

# Python 2's and NumPy 2's names of modules
RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core": "numpy.core"}
