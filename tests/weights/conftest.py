"""Files of PyTorch's formats, written opcode by opcode, so that no test of a reader needs torch."""

import struct
import zipfile
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
MAGIC = 0x1950A86A20F9469CFC6C  # what the older format begins with

Global = namedtuple("Global", ["module", "name"])
Call = namedtuple("Call", ["function", "arguments", "state"], defaults=[None])
Persistent = namedtuple("Persistent", ["id"])
Tensor = namedtuple("Tensor", ["storage", "offset", "shape", "strides"])  # a view of elements


def pickled(value, storages=None, older=False):
    """The opcodes, of protocol 2, of a value; the storages of its arrays join that list."""
    storages = [] if storages is None else storages

    def several(values):
        return b"".join(pickled(value, storages, older) for value in values)

    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"X" + struct.pack("<I", len(data)) + data
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        built = b"" if value.state is None else several([value.state]) + b"b"
        return several([value.function, tuple(value.arguments)]) + b"R" + built
    if isinstance(value, Persistent):
        return several([value.id]) + b"Q"
    if isinstance(value, Tensor):
        return several([tensor(value, storages, older)])
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        strides = tuple(stride // array.itemsize for stride in np.empty_like(array).strides)
        return several([Tensor(array.ravel("K"), 0, array.shape, strides)])
    if isinstance(value, dict):
        return b"}(" + several(part for pair in value.items() for part in pair) + b"u"
    marks = {tuple: (b"(", b"t"), list: (b"](", b"e")}
    start, end = marks[next(kind for kind in marks if isinstance(value, kind))]
    return start + several(value) + end


def tensor(view, storages, older):
    """The call that makes a tensor, as torch writes it; one storage may serve several."""
    if not any(view.storage is storage for storage in storages):
        storages.append(view.storage)
    key = next(i for i, storage in enumerate(storages) if storage is view.storage)
    kind = Global("torch", STORAGES[view.storage.dtype.name])
    last = (None,) if older else ()  # the older format may say that a storage is part of another
    storage = Persistent(("storage", kind, str(key), "cpu", view.storage.size, *last))
    hooks = Call(Global("collections", "OrderedDict"), ())
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, (storage, view.offset, view.shape, view.strides, False, hooks))


def zip_file(path, stream, storages=(), byte_order="little"):
    """PyTorch's zip format around the pickle `stream`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + stream + b".")
        archive.writestr("archive/byteorder", byte_order)
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage.tobytes())
        archive.writestr("archive/version", "3\n")
    return path


def older_file(path, stream, storages=(), little_endian=True):
    """PyTorch's older format around the pickle `stream`: pickles in a row, then raw storages."""
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    keys = [str(key) for key in range(len(storages))]
    pickles = [*map(pickled, (MAGIC, 1001, system)), stream, pickled(keys)]
    with open(path, "wb") as file:
        for content in pickles:
            file.write(b"\x80\x02" + content + b".")
        for storage in storages:
            file.write(struct.pack("<q", storage.size) + storage.tobytes())
    return path


@pytest.fixture(scope="session")
def opcodes():
    """`pickled`, what it takes beside plain values, and the two formats around it."""
    return SimpleNamespace(
        pickled=pickled,
        Global=Global,
        Call=Call,
        Persistent=Persistent,
        Tensor=Tensor,
        zip_file=zip_file,
        older_file=older_file,
    )


@pytest.fixture(scope="session")
def write_pth():
    """write_pth(path, {name: array}, older=False) writes what torch.save would, and gives the path.

    Values may also be dicts, lists, tuples, strings, numbers and None, as in {"state_dict": {...},
    "meta": {...}}.
    """

    def write(path, content, older=False):
        storages = []
        stream = pickled(content, storages, older)
        return (older_file if older else zip_file)(path, stream, storages)

    return write
