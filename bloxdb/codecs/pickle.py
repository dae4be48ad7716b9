"""`.pickle`: a pickle of a list of rows, read without ever running it.

The reader is a machine of its own for the opcodes that build texts, numbers and lists, protocols 2 to 5.
Any other opcode (a global, a reduce, an instance, a persistent id, an extension, …) is an error.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from bloxdb.codecs.columns import is_list
from bloxdb.codecs.header import Header
from bloxdb.codecs.table import Table
from bloxdb.errors import BloxFormatError

NAME = "pickle"
SUFFIX = ".pickle"

_PROTOCOLS = range(2, 6)
_MARK = object()
_NAMES = {opcode.code.encode("latin-1")[0]: opcode.name for opcode in pickletools.opcodes}


def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
    """The table in the body of a `.pickle` file; `BloxFormatError` says where it is damaged."""
    data = body.read()
    rows = _Machine(data).run()
    if not isinstance(rows, list):
        raise BloxFormatError("the pickle does not hold a list of rows")
    _check_size(header, rows, len(data))
    return Table.from_rows(header, rows)


def _check_size(header: Header, rows: list[Any], size: int) -> None:
    """A pickle may name one list many times; written out, it must not outgrow the file."""
    lists = sum(is_list(name) for name in header.columns)
    if len(rows) * (1 + lists * (header.epochs or 0)) > size:
        raise BloxFormatError(
            f"{len(rows)} rows of {header.epochs or 0} epochs cannot be told in {size} bytes"
        )


def encode(table: Table) -> tuple[None, list[bytes]]:
    """The body of a table as `.pickle`, protocol 4; it has no column types."""
    return None, [pickle.dumps(table.rows(), protocol=4)]


class _Machine:
    """A stack, a memo, and the opcodes of plain data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        if self.data[:1] != b"\x80" or len(self.data) < 2 or self.data[1] not in _PROTOCOLS:
            raise self.error("not a pickle of protocol 2 to 5")
        self.at = 2
        while True:
            code = self.take(1)[0]
            if code == 0x2E:  # STOP
                break
            action = _ACTIONS.get(code)
            if action is None:
                name = _NAMES.get(code, f"0x{code:02x}")
                raise self.error(f"opcode {name} does not belong in a file of plain data")
            action(self)
        if self.at != len(self.data):
            raise self.error(f"{len(self.data) - self.at} bytes follow the pickle's end")
        if len(self.stack) != 1 or self.stack[0] is _MARK:
            raise self.error("the pickle does not end with one object")
        return self.stack[0]

    def error(self, problem: str) -> BloxFormatError:
        return BloxFormatError(problem, offset=self.at)

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise self.error("the pickle is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def push_text(self, size: int) -> None:
        try:
            self.stack.append(self.take(size).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self.error(f"a text is not UTF-8: {error.reason}") from error

    def push_long(self, size: int) -> None:
        if size > 16:
            raise self.error(f"a whole number of {size} bytes does not belong in a release file")
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    def top_list(self) -> list[Any]:
        if not self.stack or not isinstance(self.stack[-1], list):
            raise self.error("there is no list to append to")
        return self.stack[-1]

    def append(self) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise self.error("there is nothing to append")
        item = self.stack.pop()
        self.top_list().append(item)

    def appends(self) -> None:
        mark = next((i for i in range(len(self.stack) - 1, -1, -1) if self.stack[i] is _MARK), None)
        if mark is None:
            raise self.error("there is no mark to append from")
        items = self.stack[mark + 1 :]
        del self.stack[mark:]
        self.top_list().extend(items)

    def put(self, index: int) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise self.error("there is nothing to remember")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise self.error(f"memo {index} was never set")
        self.stack.append(self.memo[index])

    def frame(self) -> None:
        if self.number("<Q") > len(self.data) - self.at:
            raise self.error("the pickle is cut off within a frame")


_ACTIONS: dict[int, Callable[[_Machine], None]] = {
    ord("("): lambda m: m.stack.append(_MARK),
    ord("]"): lambda m: m.stack.append([]),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("G"): lambda m: m.stack.append(m.number(">d")),
    ord("J"): lambda m: m.stack.append(m.number("<i")),
    ord("K"): lambda m: m.stack.append(m.number("<B")),
    ord("M"): lambda m: m.stack.append(m.number("<H")),
    0x8A: lambda m: m.push_long(m.number("<B")),
    0x8B: lambda m: m.push_long(m.number("<I")),
    ord("X"): lambda m: m.push_text(m.number("<I")),
    0x8C: lambda m: m.push_text(m.number("<B")),
    0x8D: lambda m: m.push_text(m.number("<Q")),
    ord("q"): lambda m: m.put(m.number("<B")),
    ord("r"): lambda m: m.put(m.number("<I")),
    0x94: lambda m: m.put(len(m.memo)),
    ord("h"): lambda m: m.get(m.number("<B")),
    ord("j"): lambda m: m.get(m.number("<I")),
    0x95: _Machine.frame,
}
