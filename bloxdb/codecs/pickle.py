"""`.pickle`: a pickle of a list of rows, read without ever running it.

The reader is a machine of its own for the opcodes that build texts, numbers and lists, protocols 2 to 5.
Where there is any other opcode (a global, a reduce, an instance, a persistent id, …), `odd_pickle` reads the
few things that are known, and refuses all others by their names.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bloxdb.codecs import odd_pickle
from bloxdb.codecs._pickle_reader import FLOAT_SIZE, Machine
from bloxdb.codecs._pickle_writer import Writer
from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, is_list, measure_of
from bloxdb.codecs.header import Header
from bloxdb.codecs.opcodes import goes_on
from bloxdb.codecs.rows import FastRows
from bloxdb.codecs.table import Table
from bloxdb.codecs.values import Unfolding, check_size, column_of, read_columns
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.files import new_array, rest_of
from bloxdb.measures import Array

NAME = "pickle"
SUFFIX = ".pickle"

_BLOCK = 500  # rows that are written at once
_OPCODES = frozenset(opcode.code.encode("latin-1")[0] for opcode in pickletools.opcodes)
_MARK, _INT, _BIG, _FLOATS, _TEXT, _LIST = range(6)
_BAD_OPCODE = 2
_MORE = 12
_PROBLEMS = {
    1: "the pickle is cut off",
    3: "there is no list to append to",
    4: "there is no item to append or to remember",
    5: "there is no mark to append from",
    6: "an item is asked for that was never remembered",
    7: "items are remembered under numbers far apart",
    8: "a whole number of more than 16 bytes does not belong in a release file",
    9: "the pickle is cut off within a frame",
    10: "the memory is full",
    11: "not a pickle of protocol 2 to 5",
    13: "the pickle does not end with one object",
    14: "the pickle builds more than so few bytes can honestly tell",
}


def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
    """The table in the body of a `.pickle` file; `BloxFormatError` says where it is damaged."""
    data = rest_of(body)
    machine = Machine(data)
    code = machine.run()
    if code == _BAD_OPCODE and data[machine.at] in _OPCODES:
        return Table(header, odd_pickle.columns_of(header, data))
    if code:
        raise BloxFormatError(_problem(code, data, machine.at), offset=machine.at)
    rows = machine.row_count()
    if rows < 0:
        raise BloxFormatError("the pickle does not hold a list of rows")
    check_size(header, rows, len(data))
    return Table(header, read_columns(header, rows, _Columns(header, data, machine, rows).column))


def _problem(code: int, data: memoryview, at: int) -> str:
    if code == _BAD_OPCODE:
        return f"opcode 0x{data[at]:02x} does not belong in a file of plain data"
    if code == _MORE:
        return goes_on(len(data) - at)
    return _PROBLEMS[code]


class _Columns:
    """Columns out of the values that the machine found."""

    def __init__(self, header: Header, data: memoryview, machine: Machine, rows: int) -> None:
        self.header = header
        self.data = data
        self.machine = machine
        self.cells = np.empty((rows, len(header.columns), 3), dtype=np.int64)
        bad = machine.cells(self.cells)
        if bad >= 0:
            raise BloxFormatError(f"a row must be a list of {counted(len(header.columns), 'value')}", row=bad)
        self.texts: dict[tuple[int, int], str] = {}

    def column(self, c: int, name: str) -> Array:
        """One column."""
        column = self._quickly(c, name)
        if column is None:
            lists = Unfolding(self.header, name, len(self.data))
            cells = self.cells[:, c].tolist()
            values = [self._value(cell, row, lists) for row, cell in enumerate(cells)]
            column = column_of(name, values, self.header.epochs or 0)
        return column

    def _quickly(self, c: int, name: str) -> Array | None:
        """A column of the values that belong there; None if there are others."""
        kind = COLUMNS[name]
        rows = len(self.cells)
        if kind is Kind.HASH:
            digests = np.empty((rows, 16), dtype=np.uint8)
            return digests if self.machine.read_hex(self.cells, c, digests) < 0 else None
        if kind is Kind.ARCH:
            cells = np.empty((rows, 3, 5), dtype=np.uint8)
            return cells if self.machine.read_cells(self.cells, c, cells) < 0 else None
        if kind is Kind.INT:
            numbers: npt.NDArray[np.int64] = self.cells[:, c, 1].copy()
            return numbers if np.all(self.cells[:, c, 0] == _INT) and np.all(numbers >= 0) else None
        return self._measures(c, name) if kind in MEASURED else None

    def _measures(self, c: int, name: str) -> Array | None:
        rows = len(self.cells)
        if np.any(self.cells[:, c, 0] != (_LIST if is_list(name) else _FLOATS)):
            return None
        shape = (rows, self.header.epochs or 0) if is_list(name) else (rows, 1)
        final = shape if is_list(name) else (rows,)
        fixed = new_array(shape, np.int32)
        if self.machine.read_fixed(self.cells, c, measure_of(name).scale, fixed) < 0:
            return fixed.reshape(final)
        del fixed
        floats = np.empty(shape, dtype=np.float64)
        return floats.reshape(final) if self.machine.read_doubles(self.cells, c, floats) < 0 else None

    def _value(self, cell: Sequence[int], row: int, lists: Unfolding, depth: int = 0) -> Any:
        """The Python value of a cell."""
        kind, a, b = cell
        if kind == _INT:
            return a
        if kind == _BIG:
            return int.from_bytes(self.data[a : a + b], "little", signed=True)
        if kind == _TEXT:
            return self._text(a, b, row, lists.column)
        if kind == _FLOATS:
            return float(np.frombuffer(self.data, dtype=">f8", count=1, offset=a)[0])
        values = []
        items = self.machine.items_of(a)
        total = sum(count if item_kind == _FLOATS else 1 for item_kind, _, count in items)
        lists.take(total, depth, row)
        for item_kind, at, count in items:
            if item_kind == _FLOATS:
                values += [self._value((_FLOATS, at + FLOAT_SIZE * k, 1), row, lists) for k in range(count)]
            else:
                values.append(self._value((item_kind, at, count), row, lists, depth + 1))
        return values

    def _text(self, at: int, size: int, row: int, name: str) -> str:
        """A text; the same object for what the pickle says is the same."""
        if (at, size) not in self.texts:
            try:
                self.texts[at, size] = str(self.data[at : at + size], "utf-8")
            except UnicodeDecodeError as error:
                raise BloxFormatError(
                    f"a text is not UTF-8: {error.reason}", row=row, column=name, offset=at
                ) from error
        return self.texts[at, size]


def encode(table: Table) -> tuple[None, list[bytes]]:
    """The body of a table as `.pickle`, protocol 4; it has no column types."""
    rows = FastRows.of(table)
    if rows is None or len(table) == 0:
        return None, [_dumps(table)]
    writer = Writer()
    writer.begin(len(table))
    parts = []
    for block in rows.blocks(_BLOCK):
        writer.rows(rows.layout, *block)
        parts.append(writer.take())
    writer.end()
    return None, [*parts, writer.take()]


def _dumps(table: Table) -> bytes:
    for name in table.header.columns:
        if COLUMNS[name] is Kind.TEXT:
            for row, text in enumerate(table[name]):
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError as error:
                    raise BloxFormatError(
                        f"the text cannot be written as UTF-8: {error.reason}", row=row, column=name
                    ) from error
    return pickle.dumps(table.rows(), protocol=4)
