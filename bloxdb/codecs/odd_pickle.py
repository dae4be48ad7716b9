"""Pickles with more than plain data in them, read without ever running anything.

Early tools of the original wrote NumPy's numbers, and torch's version as the class that torch has for it.
This reader knows what those stand for, and builds plain values itself. For any other object it puts a
stand-in with a name, so that the refusal says what is asked for, in which row and column. Nothing is
imported, called or set. It is slow, and meant for what the kernel of `bloxdb.codecs.pickle` does not know.
"""

from __future__ import annotations

import pickletools
import re
from io import BytesIO
from typing import Any

import numpy as np

from bloxdb.codecs.header import Header
from bloxdb.codecs.values import Unfolding, check_size, column_of
from bloxdb.errors import BloxFormatError
from bloxdb.measures import Array

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_MOST_WAITING = 100_000  # items on the stack; a pickler leaves a thousand
_TORCH_VERSION = "torch.torch_version.TorchVersion"
_SCALAR = "numpy._core.multiarray.scalar"
_MAKERS = (  # functions whose first argument is the class that is meant
    *("numpy._core.multiarray._reconstruct", "copyreg._reconstructor"),
    *("copyreg.__newobj__", "copyreg.__newobj_ex__"),
)
_CALLED = {  # what modules were called before, and what is meant by a function
    "__builtin__.": "builtins.",
    "copy_reg.": "copyreg.",
    "numpy.core.": "numpy._core.",
    "numpy._core.numeric._frombuffer": "numpy.ndarray",
}
_NUMBER = re.compile("f[248]|[iu][1248]|b1")
_TEXT = re.compile("U([0-9]{1,9})")


class _Thing:
    """Stands for an object, a function or a class that is no plain data."""

    def __init__(self, name: str) -> None:
        for before, now in _CALLED.items():
            if name.startswith(before):
                name = now + name.removeprefix(before)
        shown = "".join(letter if letter.isprintable() else "?" for letter in name)
        self.name = shown if len(shown) <= 100 else f"{shown[:99]}…"


class _DType(_Thing):
    """Stands for one of NumPy's types."""

    def __init__(self, code: str) -> None:
        super().__init__("numpy.dtype")
        self.code = code
        self.order = "<"


def read_columns(header: Header, data: memoryview) -> dict[str, Array]:
    """The columns of the rows in a pickle, without its header.

    Raises
    ------
    BloxFormatError
        There is other than plain data in it; the error names what, where.
    """
    rows = _load(data)
    if not isinstance(rows, list):
        raise BloxFormatError(f"{_name(rows)} does not belong here: the pickle does not hold a list of rows")
    width = len(header.columns)
    for i, row in enumerate(rows):
        if not isinstance(row, list):
            raise BloxFormatError(f"{_name(row)} does not belong here: a row is a list", row=i)
        if len(row) != width:
            raise BloxFormatError(f"a row must be a list of {width} values", row=i)
    check_size(header, len(rows), len(data))
    columns = {}
    for c, name in enumerate(header.columns):
        lists = Unfolding(header, name, len(data))
        values = [_plain(row[c], i, lists) for i, row in enumerate(rows)]
        columns[name] = column_of(name, values, header.epochs or 0)
    return columns


def _plain(value: Any, row: int, lists: Unfolding, depth: int = 0) -> Any:
    """A value, if there is nothing but plain data in it."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise BloxFormatError(
            f"{_name(value)} does not belong in a file of plain data", row=row, column=lists.column
        )
    lists.take(len(value), depth, row)
    return [_plain(item, row, lists, depth + 1) for item in value]


def _name(value: Any) -> str:
    """What to call a value in a refusal."""
    if isinstance(value, _Thing):
        return value.name
    if value is None or isinstance(value, bool):
        return str(value)
    return f"an object of type {type(value).__name__}"


def _load(data: memoryview) -> Any:
    """The one object that a pickle describes."""
    stream = BytesIO(data)
    machine = _Machine()
    at = 0
    try:
        while _step(machine, stream) != "STOP":
            at = stream.tell()
        found = machine.stack.pop()
    except BloxFormatError as error:
        error.offset = at
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise BloxFormatError("the pickle is damaged", offset=at) from error
    if machine.stack or machine.below:
        raise BloxFormatError("the pickle does not end with one object", offset=at)
    if left := len(data) - stream.tell():
        raise BloxFormatError(f"{left} bytes follow the pickle's end", offset=stream.tell())
    return found


def _step(machine: _Machine, stream: BytesIO) -> str:
    """Read and do one opcode; its name."""
    code = stream.read(1)
    if not code:
        raise BloxFormatError("the pickle is cut off")
    opcode = _OPCODES.get(code.decode("latin-1"))
    if opcode is None or opcode.name == "STRING":  # one with escapes, which only protocol 0 has
        raise BloxFormatError(f"opcode 0x{code.hex()} does not belong in a file of plain data")
    if opcode.name in _LINES:
        lines = [stream.readline() for _ in range(_LINES[opcode.name])]
        argument: Any = ".".join(line.decode("utf-8", "replace").rstrip("\n") for line in lines)
    else:
        argument = opcode.arg.reader(stream) if opcode.arg else None
    name: str = opcode.name
    machine.step(name, argument)
    return name


class _Machine:
    """A stack, those below it that a mark has put aside, and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """One opcode."""
        stack = self.stack
        if len(stack) + len(self.below) > _MOST_WAITING:
            raise BloxFormatError("more items wait in the pickle than any pickler leaves")
        if name in _PUSHED:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(
                [] if name == "EMPTY_LIST" else () if name == "EMPTY_TUPLE" else _Thing(_EMPTY[name])
            )
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name == "MARK":
            self.below.append(stack)
            self.stack = []
        elif name in _SINCE_MARK:
            self._close(name, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._one(name, argument)

    def _close(self, name: str, argument: Any) -> None:
        """What takes all items since the mark."""
        items = self.stack
        self.stack = self.below.pop()
        if name == "APPENDS":
            self._list().extend(items)
        elif name == "LIST":
            self.stack.append(items)
        elif name == "TUPLE":
            self.stack.append(tuple(items))
        elif name == "OBJ":
            self.stack.append(_made(items[0], tuple(items[1:])))
        elif name == "INST":
            self.stack.append(_made(_Thing(argument), tuple(items)))
        elif name in ("DICT", "FROZENSET"):
            self.stack.append(_Thing(f"an object of type {name.lower()}"))

    def _one(self, name: str, argument: Any) -> None:
        """What takes the topmost items."""
        stack = self.stack
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            taken = tuple(stack[-count:])
            if len(taken) < count:
                raise IndexError
            stack[-count:] = [taken]
        elif name == "APPEND":
            item = stack.pop()
            self._list().append(item)
        elif name == "SETITEM":
            del stack[-2:]
        elif name == "POP":
            self.stack = self.below.pop() if not stack else stack[:-1]
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "GLOBAL":
            stack.append(_Thing(argument))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_Thing(f"{module}.{attribute}"))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, made = stack.pop(), stack.pop()
            stack.append(_made(made, arguments))
        elif name == "NEWOBJ_EX":
            del stack[-2:]
            stack.append(_Thing(_name(stack.pop())))
        elif name == "BUILD":
            state = stack.pop()
            if isinstance(stack[-1], _DType) and state[1] in ("<", ">", "|", "="):
                stack[-1].order = state[1]
        elif name == "BINPERSID":
            stack[-1] = _Thing("a persistent id")
        elif name == "PERSID":
            stack.append(_Thing("a persistent id"))
        elif name in ("EXT1", "EXT2", "EXT4"):
            stack.append(_Thing(f"the extension {argument}"))
        elif name != "READONLY_BUFFER":
            raise BloxFormatError(f"opcode {name} does not belong in a file of plain data")

    def _list(self) -> list[Any]:
        """The list on top; a stand-in, perhaps of a class of lists, takes items and forgets them."""
        top = self.stack[-1]
        if isinstance(top, _Thing):
            return []
        if not isinstance(top, list):
            raise TypeError
        return top


_PUSHED = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_LINES = {"GLOBAL": 2, "INST": 2, "PERSID": 1}  # lines that follow
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {
    "EMPTY_LIST": "",
    "EMPTY_TUPLE": "",
    "EMPTY_DICT": "an object of type dict",
    "EMPTY_SET": "an object of type set",
}
_SINCE_MARK = {
    "APPENDS",
    "LIST",
    "TUPLE",
    "OBJ",
    "INST",
    "DICT",
    "FROZENSET",
    "SETITEMS",
    "ADDITEMS",
    "POP_MARK",
}


def _made(maker: Any, arguments: Any) -> Any:
    """What calling a function or a class would give, where that is known; else a stand-in."""
    name = _name(maker)
    known = isinstance(arguments, tuple) and arguments
    if name in _MAKERS and known and isinstance(arguments[0], _Thing):
        name = arguments[0].name
        arguments = arguments[2:] if name == _TORCH_VERSION else arguments
    if known and name == _TORCH_VERSION and isinstance(arguments[-1], str):
        return arguments[-1]
    if known and name == "numpy.dtype" and isinstance(arguments[0], str):
        return _DType(arguments[0])
    if name == "_codecs.encode" and known and isinstance(arguments[0], str):
        return arguments[0].encode("latin-1")  # how protocol 2 tells bytes
    if name == "builtins.bytes" and not arguments:
        return b""
    if name == _SCALAR and known and isinstance(arguments[0], _DType):
        return _scalar(arguments[0], arguments[-1])
    return _Thing(name)


def _scalar(kind: _DType, data: Any) -> Any:
    """One of NumPy's numbers or texts, out of its bytes."""
    if isinstance(data, str):
        data = data.encode("latin-1")  # Python 2 had no other bytes
    if isinstance(data, bytes) and _NUMBER.fullmatch(kind.code):
        found = np.frombuffer(data, dtype=f"{kind.order}{kind.code}")
        if found.size != 1:
            raise ValueError
        return found[0].item()
    if isinstance(data, bytes) and (match := _TEXT.fullmatch(kind.code)) and len(data) == 4 * int(match[1]):
        return data.decode("utf-32-be" if kind.order == ">" else "utf-32-le").rstrip("\0")
    return _Thing(f"one of NumPy's scalars of type {kind.code!r}")
