"""Pickles of tensors, read without calling anything that a file names.

A pickle is a program for a stack machine, and Python's reader calls every function that the program
names. This reader replaces each name with a harmless object from `allowed`, or stops. Before
Python's reader starts, pickletools walks through the instructions without running them. It refuses
instructions that are truncated, that weights never need or that claim memory. It replaces
instructions that hash values, because the hash of a deeply nested tuple overflows the stack.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

from ..errors import InputError
from ..utils.text import printable
from .allowed import CALLS, INERT, RENAMED, STORAGES, Function, Inert, Storage

# raised while a damaged or hostile file is read
FAULTS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError, pickle.UnpicklingError),
)
MOST = 1_000_000  # instructions; a checkpoint with its optimizer has some ten thousand

MAKE_DICT = b"cbuiltins\ndict\n)R"  # the instructions that call `allowed.Dict`
REPLACED = {
    "EMPTY_DICT": MAKE_DICT,
    "DICT": MAKE_DICT,
    "EMPTY_SET": b"]",  # sets become lists
    "ADDITEMS": b"e",
    "FROZENSET": b"l",
    "FRAME": b"",
}
REFUSED = {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID"}
MEMO = {"PUT", "BINPUT", "LONG_BINPUT"}


def read_pickle(file: BinaryIO, path: str, storages: dict[str, Storage] | None = None) -> object:
    """Return the value of the pickle that begins at the position of `file`.

    Args:
        file: seekable; `path` names it in messages.
        storages: a dict that gets the storages that the pickle refers to, by key.

    Returns:
        Plain values, a `View` for each tensor and a `Built` for each array. Dicts keep the entries
        with str or int keys; sets become lists.

    Raises:
        InputError: if the pickle is damaged, or names a function that weights never need.
    """
    try:
        instructions = _checked(file, path)
        return _Reader(instructions, path, {} if storages is None else storages).load()
    except InputError:
        raise
    except FAULTS as error:
        raise InputError(
            f"{path}: damaged, or not a pickle of tensors: {printable(error)}."
        ) from None


def _checked(file: BinaryIO, path: str) -> io.BytesIO:
    """Return the instructions of the next pickle, with those in `REPLACED` replaced."""
    instructions, previous = io.BytesIO(), ""
    found: Iterable[tuple[Any, Any, Any]] = pickletools.genops(file)
    for count, (opcode, argument, start) in enumerate(found):
        if count == MOST:
            raise InputError(
                f"{path}: more than {MOST:,} pickle instructions; save only the state_dict()."
            )
        if opcode.name in REFUSED:
            raise ValueError(f"it has the instruction {opcode.name}")
        if opcode.name in MEMO and argument > count:
            raise ValueError(f"it numbers a value {argument}, after {count} instructions")
        if opcode.name == "DICT":  # protocol 0 begins a dict with MARK, DICT
            if previous != "MARK":
                raise ValueError("it has a DICT of values")
            instructions.seek(-1, io.SEEK_CUR)
        end = file.tell()
        file.seek(start)
        instructions.write(REPLACED.get(opcode.name, file.read(end - start)))
        file.seek(end)
        previous = opcode.name
    return instructions


class _Reader(pickle.Unpickler):
    """Python's reader, restricted to the names in `allowed` and to the size of its pickle."""

    def __init__(self, instructions: io.BytesIO, path: str, storages: dict[str, Storage]) -> None:
        super().__init__(instructions, encoding="latin1")
        self.path = path
        self.storages = storages
        # arguments, characters and entries that calls may copy
        self.left = instructions.tell()
        instructions.seek(0)

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name."""
        full = f"{module}.{name}"
        for old, new in RENAMED.items():
            full = full.replace(old, new)
        if full in INERT:
            return Inert
        if full in STORAGES:
            return Storage(STORAGES[full])
        if full in CALLS:
            return Function(CALLS[full], self.count)
        package = full.partition(".")[0]
        part = package in sys.stdlib_module_names or module == "torch._utils"
        advice = "do not use the file" if part else "save the module's state_dict() instead"
        raise InputError(
            f"{self.path}: it asks to run {printable(full)}, which weights never need; {advice}."
        )

    def count(self, arguments: Any) -> None:
        """Refuse a file that copies its values over and over to fill the memory."""
        self.left -= len(arguments)
        sized = (str, list, tuple, dict)
        self.left -= sum(len(each) for each in arguments if isinstance(each, sized))
        if self.left < 0:
            raise ValueError("it copies more than it holds")

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that PyTorch describes with `pid`."""
        kind, empty, key, _, size, *part = pid
        if kind != "storage" or any(value is not None for value in part):
            raise ValueError("a reference to something other than a whole storage")
        if not isinstance(key, str | int) or not isinstance(size, int):
            raise ValueError("a storage without a key or a size")
        storage = Storage(empty.dtype, str(key), size)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError("a storage described in two ways")
        return storage
