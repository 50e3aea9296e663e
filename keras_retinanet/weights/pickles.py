"""Pickles read as data, by an interpreter of their opcodes that calls nothing a file names.

A pickle is a program for a stack machine, and Python's own reader calls whatever it names. Here a
name that is in no table of `allowed` ends the reading, and tensors stay descriptions of where the
file holds their elements.
"""

import pickletools
import re
import sys

from ..errors import InputError
from .allowed import CALLS, INERT, RENAMED, STORAGES, Built, Inert, Name, Storage

# what a damaged or hostile file leads to, tuples in tuples without end among them
FAULTS = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError),
    *(RecursionError, TypeError, ValueError),
)
MOST = 5_000_000  # instructions; a checkpoint with its optimizer has some ten thousand


def read_pickle(file, path, storages=None):
    """The value of the pickle that starts where `file`, opened from `path`, stands.

    Dicts hold what has a string or an integer for its key; sets are lists. `storages` becomes
    {key: Storage} of all that are referred to. Raises an InputError.
    """
    machine = Machine(path, {} if storages is None else storages)
    try:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(file)):
            if count == MOST:
                raise InputError(f"{path}: refused: it has more than {MOST:,} instructions")
            if opcode.name == "STOP":
                return machine.pop()
            machine.place = place
            STEPS[opcode.name](machine, argument)
    except InputError:
        raise
    except FAULTS as e:
        raise InputError(f"{path}: damaged, or no pickle of tensors ({printable(e)})") from None


def printable(words):
    """Words that may be a file's own, fit for a message."""
    return "".join(c if c.isprintable() else "?" for c in str(words))[:100]


class Machine:
    """The stack of a pickle, the marks in it, and what is remembered."""

    def __init__(self, path, storages):
        self.path = path
        self.storages = storages
        self.place = 0  # in the file
        self.given = 0  # arguments of calls, and the characters and entries in them
        self.stack = []
        self.below = []  # the stacks under the marks
        self.memo = {}

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        return self.stack.pop()

    def popped(self, count):
        """The topmost `count` values, the last pushed last."""
        return [self.pop() for _ in range(count)][::-1]

    def mark(self):
        self.below.append(self.stack)
        self.stack = []

    def marked(self):
        """The values above the topmost mark, which goes with them."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def drop(self):
        if self.stack:
            self.pop()
        else:
            self.marked()

    def remember(self, key=None):
        self.memo[len(self.memo) if key is None else key] = self.stack[-1]

    def extend(self, values):
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)
        elif not isinstance(self.stack[-1], Inert):
            raise ValueError("entries of something that is no list")

    def update(self, values):
        if isinstance(self.stack[-1], dict):
            pairs = zip(values[::2], values[1::2], strict=True)
            self.stack[-1].update((k, value) for k, value in pairs if isinstance(k, str | int))
        elif not isinstance(self.stack[-1], Inert):
            raise ValueError("entries of something that is no dict")

    def name(self, module, name):
        """Pushes what a name stands for."""
        for old, new in RENAMED.items():
            module = re.sub(rf"^{re.escape(old)}(?=$|\.)", new, module)
        full = f"{module}.{name}"
        if full not in CALLS and full not in STORAGES and full not in INERT:
            package = module.partition(".")[0]
            whole = package not in sys.stdlib_module_names and module != "torch._utils"
            hint = ": of a whole module, save its state_dict()" if whole else ""
            raise InputError(
                f"{self.path}: refused: it asks to run {printable(full)}, which no weights "
                f"need{hint}"
            )
        self.push(Inert() if full in INERT else Name(full))

    def call(self, function, arguments):
        """Pushes what a function, which a name stands for, makes of its arguments."""
        if isinstance(function, Inert):
            self.push(function)
        else:
            self.count(arguments)
            self.push(CALLS[function.name](*arguments))

    def fill(self, target, state):
        if isinstance(target, Built):
            self.count(state)
            target.value = target.fill(target.value, state)
        elif not isinstance(target, Inert | dict):
            raise ValueError("a state of something that has none")
        self.push(target)

    def count(self, arguments):
        """Ends the reading of a file that has the same copied over and over, to fill the memory."""
        self.given += len(arguments)
        self.given += sum(len(a) for a in arguments if isinstance(a, str | list | dict))
        if self.given > self.place:
            raise ValueError("it copies more than it holds")

    def storage(self, key):
        """Pushes the storage that a persistent id of PyTorch describes."""
        kind, name, key, _, size, *part = key
        if kind != "storage" or any(value is not None for value in part):
            raise ValueError("a reference to something that is no whole storage")
        storage = Storage(STORAGES[name.name], str(key), int(size))
        if self.storages.setdefault(storage.key, storage) != storage:
            raise ValueError("a storage described in two ways")
        self.push(storage)


def _instance(machine, named):
    machine.name(*named.split(" ", 1))
    machine.call(machine.pop(), machine.marked())


def _object(machine, _):
    function, *arguments = machine.marked()
    machine.call(function, arguments)


def _dict(machine, _):
    values = machine.marked()
    machine.push({})
    machine.update(values)


CONSTANTS = (
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)

STEPS = {  # what the machine m does at an opcode with the argument x; no others are known
    **dict.fromkeys(CONSTANTS, Machine.push),
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, x: None),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, x: m.push(m.memo[x])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.remember),
    "NONE": Machine.push,
    "NEWTRUE": lambda m, x: m.push(True),
    "NEWFALSE": lambda m, x: m.push(False),
    "EMPTY_TUPLE": lambda m, x: m.push(()),
    "EMPTY_LIST": lambda m, x: m.push([]),
    "EMPTY_SET": lambda m, x: m.push([]),
    "EMPTY_DICT": lambda m, x: m.push({}),
    "TUPLE1": lambda m, x: m.push(tuple(m.popped(1))),
    "TUPLE2": lambda m, x: m.push(tuple(m.popped(2))),
    "TUPLE3": lambda m, x: m.push(tuple(m.popped(3))),
    "TUPLE": lambda m, x: m.push(tuple(m.marked())),
    "LIST": lambda m, x: m.push(m.marked()),
    "FROZENSET": lambda m, x: m.push(m.marked()),
    "DICT": _dict,
    "APPEND": lambda m, x: m.extend(m.popped(1)),
    "APPENDS": lambda m, x: m.extend(m.marked()),
    "ADDITEMS": lambda m, x: m.extend(m.marked()),
    "SETITEM": lambda m, x: m.update(m.popped(2)),
    "SETITEMS": lambda m, x: m.update(m.marked()),
    "MARK": lambda m, x: m.mark(),
    "POP": lambda m, x: m.drop(),
    "POP_MARK": lambda m, x: m.marked(),
    "DUP": lambda m, x: m.push(m.stack[-1]),
    "GLOBAL": lambda m, x: m.name(*x.split(" ", 1)),
    "STACK_GLOBAL": lambda m, x: m.name(*m.popped(2)),
    "REDUCE": lambda m, x: m.call(*m.popped(2)),
    "NEWOBJ": lambda m, x: m.call(*m.popped(2)),
    "NEWOBJ_EX": lambda m, x: m.call(*m.popped(3)[:2]),
    "INST": _instance,
    "OBJ": _object,
    "BUILD": lambda m, x: m.fill(*m.popped(2)),
    "BINPERSID": lambda m, x: m.storage(m.pop()),
}
