"""Pickles with more than plain data in them, read without ever running anything.

Early tools of the original wrote NumPy's numbers, and torch's version as the class that torch has for it.
This reader knows what those stand for, and builds plain values itself. For any other object it puts a
stand-in with a name, so that the refusal says what is asked for, in which row and column. Nothing is
imported, called or set. It is slow, and meant for what the kernel of `bloxdb.codecs.pickle` does not know.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np

from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind
from bloxdb.codecs.header import Header
from bloxdb.codecs.opcodes import Data, Machine, goes_on, pushing, steps, unsigned
from bloxdb.codecs.values import TOO_MANY_DIGITS, Unfolding, check_size, column_of, whole_number
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.measures import Array

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

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        for before, now in _CALLED.items():
            if name.startswith(before):
                name = now + name.removeprefix(before)
        shown = "".join(letter if letter.isprintable() else "?" for letter in name)
        self.name = shown if len(shown) <= 100 else f"{shown[:99]}…"


class _OldText(str):
    """A text of Python 2, which has no bytes: what is not ASCII is in an encoding that nobody says."""

    __slots__ = ()


class _DType(_Thing):
    """Stands for one of NumPy's types."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        super().__init__("numpy.dtype")
        self.code = code
        self.order = "<"

    def take(self, state: Any) -> None:
        """The state that NumPy gives a type of numbers or texts; of any other it might read other bytes."""
        text = _TEXT.fullmatch(self.code)
        last = (4 * int(text[1]), 4, 8) if text else (-1, -1, 0)
        if any(state == (3, order, None, None, None, *last) for order in "<>|="):
            self.order = state[1]
        elif text or _NUMBER.fullmatch(self.code):
            self.code += " in an unknown state"


def columns_of(header: Header, data: memoryview) -> dict[str, Array]:
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
            raise BloxFormatError(f"a row must be a list of {counted(width, 'value')}", row=i)
    check_size(header, len(rows), len(data))
    columns = {}
    for c, name in enumerate(header.columns):
        lists = Unfolding(header, name, len(data))
        values = [_plain(row[c], i, lists) for i, row in enumerate(rows)]
        columns[name] = column_of(name, values, header.epochs or 0)
    return columns


def _plain(value: Any, row: int, lists: Unfolding, depth: int = 0) -> Any:
    """A value, if there is nothing but plain data in it."""
    if isinstance(value, _OldText):
        if not value.isascii():
            raise BloxFormatError(
                "a text of Python 2 is not ASCII, and nothing says what it is", row=row, column=lists.column
            )
        return str(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    if value is None and COLUMNS[lists.column] in (*MEASURED, Kind.INT):
        return None  # whoever makes numbers of it says at which place of a list it is
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
    spans = _Odd.scan(data)
    span = next(spans)
    if left := len(data) - span.end:
        raise BloxFormatError(goes_on(left), offset=span.end)
    machine = _Odd(data, span)
    try:
        return machine.run()
    except ValueError as error:  # bytes that are no such number or text
        if isinstance(error, BloxFormatError):
            raise
        raise machine.error("the pickle is damaged") from error


class _Odd(Machine):
    """Puts a stand-in for whatever is not known; it takes items and entries, and forgets them."""

    PLACE: ClassVar = "a file of plain data"

    def named(self, name: str) -> Any:
        return _Thing(name)

    def called(self, called: Any, arguments: Any) -> Any:
        return _made(called, arguments)

    def made(self, made: Any, arguments: Any) -> Any:
        return _made(made, arguments)

    def set(self, made: Any, state: Any) -> None:
        if isinstance(made, _DType):
            made.take(state)

    def list_on_top(self) -> list[Any]:
        return [] if isinstance(self.top(), _Thing) else super().list_on_top()

    def fill(self, pairs: list[Any]) -> None:
        if not isinstance(self.top(), _Thing):
            raise self.error("there is no dict to fill")

    def add(self, _: Data) -> None:
        """ADDITEMS: what a set gets."""
        self.since_mark()
        if not isinstance(self.top(), _Thing):
            raise self.error("there is no set to fill")

    def frozen(self, _: Data) -> None:
        """FROZENSET"""
        self.since_mark()
        self.push(_Thing("an object of type frozenset"))

    def old_object(self, _: Data) -> None:
        """OBJ: an object of one of Python 2's classes."""
        items = self.since_mark()
        self.push(_Thing(_name(items[0]) if items else "an object"))

    def new_by_name(self, _: Data) -> None:
        """NEWOBJ_EX"""
        self.pop(), self.pop()
        self.push(_Thing(_name(self.pop())))

    def persistent(self, _: Data) -> None:
        """BINPERSID"""
        self.pop()
        self.push(_Thing("a persistent id"))

    def whole(self, line: Data) -> None:
        """INT: how Python 2 told numbers of more than four bytes."""
        number = whole_number(bytes(line))
        if number is None:
            raise self.error(TOO_MANY_DIGITS)
        self.push(number)


_STRING: Any = pushing(lambda argument: _OldText(argument, "latin-1"))
_BYTES: Any = pushing(bytes)
_EXTENSION: Any = pushing(lambda argument: _Thing(f"the extension {unsigned(argument)}"))


def _standing_for(name: str) -> Any:
    return pushing(lambda _: _Thing(name))


_Odd.STEPS = steps(
    {
        "INT": _Odd.whole,
        "BINSTRING": _STRING,
        "SHORT_BINSTRING": _STRING,
        "BINBYTES": _BYTES,
        "SHORT_BINBYTES": _BYTES,
        "BINBYTES8": _BYTES,
        "BYTEARRAY8": _standing_for("an object of type bytearray"),
        "EMPTY_DICT": _standing_for("an object of type dict"),
        "EMPTY_SET": _standing_for("an object of type set"),
        "ADDITEMS": _Odd.add,
        "FROZENSET": _Odd.frozen,
        "POP": lambda machine, _: machine.pop(),
        "POP_MARK": _Odd.since_mark,
        "OBJ": _Odd.old_object,
        "NEWOBJ_EX": _Odd.new_by_name,
        "BINPERSID": _Odd.persistent,
        "EXT1": _EXTENSION,
        "EXT2": _EXTENSION,
        "EXT4": _EXTENSION,
    }
)


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
