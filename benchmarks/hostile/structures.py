"""Mutations that know the structure of a file of weights; the formats are in `weights`."""

from __future__ import annotations

import contextlib
import io
import pickletools
import warnings
import zipfile
from random import Random

import h5py
import numpy as np

from . import mutations, values
from .weights import plain, safetensors, with_header

# of pickles

INSTRUCTIONS = (
    b"2\x86", b"2\x86" * 40,  # DUP, TUPLE2: a value that holds itself twice
    b"0", b"1", b"2", b"(", b"t", b"l", b"d", b"}", b"]", b")", b"u", b"e", b"s", b"R", b"b", b"Q",
    b"N", b"\x88", b"a", b"\x8f", b"\x90", b"\x91", b"\x94", b"h\x00", b"q\xff",
    b"r\xff\xff\xff\x7f",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ccollections\nOrderedDict\n", b"c_codecs\nencode\n",
    b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"cnumpy\ndtype\n",
    b"I" + b"9" * values.LONG + b"\n", b"Fnan\n", b"Finf\n", b"\x8b\xff\xff\xff\x7f", b"\x8a\xffA",
    b"X\x03\x00\x00\x00\xed\xa0\x80", b"X\x02\x00\x00\x00\x00\x1b", b"K\xff", b"J\xff\xff\xff\xff",
)  # fmt: skip
SHARED = b"N" + b"2\x86" * 40  # DUP, TUPLE2: 2 ** 40 leaves
PUSHES = (
    SHARED, b"K\x01" + b"2\x86" * 20, b"I" + b"9" * values.LONG + b"\n", b"Fnan\n", b"Finf\n",
    b"J\xff\xff\xff\xff", b"X\x03\x00\x00\x00\xed\xa0\x80", b"cbuiltins\neval\n",
    b"ctorch\nBFloat16Storage\n", b"ctorch\nDoubleStorage\n", b"ccollections\nOrderedDict\n",
    *map(plain, (10**30, -1, 2**31, 2**62, 2**63, 0, 1, 2, 65, 2.5, True, None, "", "cpu",
                 "model", "a\x00b", "\x1b[31m", "A" * values.LONG, b"bytes", (), (1,) * 70,
                 (2**62,), (-1,), [], [[]], {}, {"a": 1}, "i8", "|O", "<f2")),
)  # fmt: skip


def instruction(data: bytes, rng: Random) -> bytes:
    """Change the pickles at the start of a file: a value that is pushed, or any instruction."""
    found: list[tuple[pickletools.OpcodeInfo, int]] = []
    file = io.BytesIO(data)
    with contextlib.suppress(ValueError, IndexError):  # where the pickles end
        while True:
            found += [(opcode, place) for opcode, _, place in pickletools.genops(file)]
    if not found:
        return mutations.flip(data, rng)
    places = [place for _, place in found]
    pushes = [i for i, (opcode, _) in enumerate(found) if _pushes(opcode)]
    if pushes and rng.random() < 0.7:
        at, ways = rng.choice(pushes), PUSHES
    else:
        at, ways = rng.randrange(len(places)), INSTRUCTIONS
    start, end = places[at], (*places[1:], len(data))[at]
    old, new = data[start:end], rng.choice(ways)
    if ways is INSTRUCTIONS:
        new = rng.choice((new, new + old, b"", old + old))
    return data[:start] + new + data[end:]


def _pushes(opcode: pickletools.OpcodeInfo) -> bool:
    """Return True if an instruction only pushes a value."""
    return not opcode.stack_before and len(opcode.stack_after) == 1 and opcode.name != "MARK"


# of zip files: PyTorch's and Keras's


def entry(data: bytes, rng: Random) -> bytes:
    """Mutate, drop, repeat, rename or compress one entry of a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    known = [i for i, (name, _) in enumerate(entries) if name.endswith((".pkl", ".json", ".h5"))]
    at = rng.choice([*known * 3, *range(len(entries))])
    name, content = entries[at]
    changed = [(name, mutate(name, content, rng))]
    ways = [changed] * 12 + [
        [],
        [*changed, (name, content)],
        [(name, content)] * 100,
        [(rng.choice(("../../evil", "/evil", "archive/data/9", "", "A" * 5000)), content)],
        [(name, b"\0" * 10**7)],
        [(name, b"")],
    ]
    entries[at : at + 1] = rng.choice(ways)
    how = rng.choice([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED])
    return zipped(entries, how)


def zipped(entries: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = how
            with warnings.catch_warnings(action="ignore"):  # an entry twice
                archive.writestr(info, content)
    return file.getvalue()


# of HDF5


def item(data: bytes, rng: Random) -> bytes:
    """Change one dataset or attribute of an HDF5 file."""
    file = io.BytesIO(data)
    try:
        with h5py.File(file, "r+") as root:
            _change(root, rng)
    except (OSError, RuntimeError, KeyError, ValueError):
        return mutations.flip(data, rng)
    return file.getvalue()


def _change(root: h5py.File, rng: Random) -> None:
    datasets: list[str] = []
    root.visititems(lambda n, i: datasets.append(n) if isinstance(i, h5py.Dataset) else None)
    name = rng.choice(sorted(datasets) or ["x"])
    array = np.asarray(root[name]) if name in root else np.zeros(1)
    put = {
        "nan": lambda: np.full_like(array, np.nan, dtype="f4"),
        "infinity": lambda: np.full_like(array, np.inf, dtype="f4"),
        "shape": lambda: np.zeros(rng.choice([(0,), (1,), (5, 5, 5), (1,) * 30]), "f4"),
        "type": lambda: array.astype(rng.choice(["i8", "f8", "f2", "c8", "?", "S3", "u1"])),
        "text": lambda: "A" * values.LONG,
        "named type": lambda: np.dtype("f4"),
        "empty": lambda: h5py.Empty("f4"),
        "outer link": lambda: h5py.ExternalLink("/etc/hostname", "/x"),
        "loop": lambda: h5py.SoftLink("/" + name),
        "link": lambda: h5py.SoftLink("/" + rng.choice(sorted(datasets) or ["x"])),
        "group": lambda: None,
    }
    how = rng.choice([*put, "attribute", "attribute", "huge", "external", "drop"])
    attributes = {"layer_names": root, "weight_names": root[name].parent if name in root else root}
    if how == "attribute":
        key, holder = rng.choice(list(attributes.items()))
        extreme = (np.nan, "x", [b"head"] * 200, b"\xff", 3, [1.5], h5py.Empty("f4"))
        holder.attrs[key] = rng.choice(extreme)
        return
    if name in root:
        del root[name]
    if how == "group":
        root.create_group(name)
    elif how == "huge":
        root.create_dataset(name, (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip")
    elif how == "external":
        root.create_dataset(name, (9,), "u1", external=[("/etc/passwd", 0, 9)])
    elif how != "drop":
        root[name] = put[how]()


# of safetensors

TYPES = {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "BF16": 2, "F16": 2, "F64": 8, "BOOL": 1,
         "C64": 8, "U64": 8, "F32": 4}  # bytes of a number  # fmt: skip
SHAPES = ((0, 2**62), (0,), (1,) * 65, (), (2**31, 0, 2**31), (3, 5))


def header(data: bytes, rng: Random) -> bytes:
    """Mutate the JSON header of a safetensors file, or give its tensors other types and shapes."""
    how = rng.random()
    if how < 0.4:
        dtype = rng.choice(sorted(TYPES))
        shape = rng.choice(SHAPES) if rng.random() < 0.5 else (2, 3)
        return safetensors(
            {rng.choice(values.TEXTS): shape, "head.bias": (4,)}, dtype, TYPES[dtype]
        )
    size = int.from_bytes(data[:8], "little")
    return with_header(mutations.json_value(data[8 : 8 + size], rng), data[8 + size :])


def mutate(name: str, data: bytes, rng: Random) -> bytes:
    """Return a file of weights after a mutation, mostly one that knows its structure."""
    suffix = name[name.rfind(".") :]
    known = {
        ".pkl": instruction, ".pth": entry, ".keras": entry, ".h5": item, ".safetensors": header,
    }.get(suffix)  # fmt: skip
    if known is None or rng.random() < 0.25:
        return mutations.mutate(name, data, rng)[1]
    try:
        return known(data, rng)
    except Exception:  # it is of PyTorch's older format, or an earlier mutation has broken it
        return instruction(data, rng)
