"""`.blox`: rows of bit fields in one zlib stream.

Inflated: u64 bit count of all that follows, u32 row count, then the rows, each field on a byte boundary.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from bloxdb.codecs import _blox
from bloxdb.codecs.bloxtypes import (
    MAX_TEXT,
    FieldType,
    choose,
    counts_to_milli,
    parse_types,
)
from bloxdb.codecs.columns import images_counted, measure_of
from bloxdb.codecs.deflate import Inflater, deflate
from bloxdb.codecs.header import Header
from bloxdb.codecs.table import Table
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.files import new_array
from bloxdb.measures import MICRO, MILLI, Array, to_floats
from bloxdb.space.cells import NUM_ARCHS, OPS

NAME = "custom"
SUFFIX = ".blox"

_START = struct.Struct("<QI")
_STEP = 1 << 16
_BLOCK = 1 << 19  # bytes of rows that are unpacked or packed at once
_CELL_RADIX = len(OPS)


def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
    """The table in the body of a `.blox` file; `BloxFormatError` says where it is damaged."""
    if column_types is None:
        raise BloxFormatError("the header of a .blox file needs column_types")
    types = parse_types(header, column_types)
    with Inflater(body) as inflater:
        return Table(header, _decode_columns(inflater, types, header.epochs or 0))


def _decode_columns(inflater: Inflater, types: dict[str, FieldType], epochs: int) -> dict[str, Array]:
    most = inflater.most()
    if not inflater.reach(_START.size):
        raise BloxFormatError("the compressed body is cut off before its row count")
    rows = _START.unpack(inflater.take(_START.size))[1]
    if rows > NUM_ARCHS:
        raise BloxFormatError(
            f"{rows} rows are more than the {NUM_ARCHS} architectures that there are", offset=8
        )
    least = rows * sum(kind.least_size(epochs) for kind in types.values())
    if least > most:
        raise BloxFormatError(
            f"the compressed body is cut off: {counted(rows, 'row')} cannot be in it", offset=8
        )
    inflater.hold(rows * sum(kind.array_size(epochs) for kind in types.values()))
    inflater.expect(least)
    columns = [Column(name, kind, rows, epochs, inflater.hold) for name, kind in types.items()]
    blocks = _blocks(inflater, rows, list(types.values()), epochs)
    if least < _BLOCK:
        for block in blocks:
            _read_some(columns, block, slice(None))
    else:
        with ThreadPoolExecutor(2) as pool:  # the kernels hold no lock; half of the time goes into new memory
            for block in blocks:
                jobs = [pool.submit(_read_some, columns, block, slice(half, None, 2)) for half in (0, 1)]
                errors = [error for job in jobs if (error := job.exception()) is not None]
                if errors:
                    raise min(errors, key=lambda error: _place(error, columns))
    inflater.finish()
    return {column.name: column.finish() for column in columns}


def _read_some(columns: list[Column], block: BodyPart, some: slice) -> None:
    for column, starts in zip(columns[some], block.starts[some], strict=True):
        column.read(block, starts)


def _place(error: BaseException, columns: list[Column]) -> tuple[int, int]:
    """Row and column of an error, so that of two the first is told."""
    if not isinstance(error, BloxFormatError) or error.row is None:
        return -1, -1
    return error.row, [column.name for column in columns].index(error.column or "")


@dataclass(frozen=True)
class BodyPart:
    """Some rows of an inflated body.

    `body` holds rows `first`, … and begins at `offset` of the whole; `starts` are the offsets of their
    fields in it, shape (columns, rows).
    """

    first: int
    offset: int
    starts: npt.NDArray[np.int64]
    body: bytes


def _blocks(inflater: Inflater, rows: int, types: list[FieldType], epochs: int) -> Iterator[BodyPart]:
    """Inflate what the rows need and, where texts leave that open, little more."""
    sizes = np.array([kind.field_size(epochs) for kind in types], dtype=np.int64)
    least = sum(kind.least_size(epochs) for kind in types)
    most = sum(kind.most_size(epochs) for kind in types)
    row = 0
    while row < rows:
        many = min(rows - row, max(1, _BLOCK // least))
        if not inflater.reach(least * many):
            raise _cut_off(row + len(inflater.data) // least, inflater)
        starts = np.empty((len(types), many), dtype=np.int64)
        found, size = _blox.walk(inflater.data, sizes, starts)
        if found == 0:
            reached = len(inflater.data)
            if reached >= most:
                raise BloxFormatError(
                    f"a text is longer than {MAX_TEXT} bytes", row=row, offset=inflater.offset
                )
            if not inflater.reach(reached + _STEP) and len(inflater.data) == reached:
                raise _cut_off(row, inflater)
            continue
        yield BodyPart(row, inflater.offset, starts[:, :found], inflater.take(size))
        row += found


def _cut_off(row: int, inflater: Inflater) -> BloxFormatError:
    end = inflater.offset + len(inflater.data)
    return BloxFormatError("the compressed body is cut off", row=row, offset=end)


class Column:
    """A column that is filled block by block."""

    def __init__(
        self, name: str, kind: FieldType, rows: int, epochs: int, hold: Callable[[int], None]
    ) -> None:
        self.name = name
        self.kind = kind
        self.epochs = epochs
        self.count = epochs if kind.prefix else 1
        self.percent = None
        if kind.base == "b":
            images = images_counted(name)
            self.percent = counts_to_milli(np.arange(images + 1, dtype=np.int32), images)
        if kind.base in ("str", "utf8"):
            self.values: Array = np.empty(rows, dtype=object)
            self.seen: dict[bytes, str] = {}
            self.hold = hold
        elif kind.is_bits:
            self.values = new_array((rows, self.count), np.int32)
        else:
            width = kind.field_size(epochs) - kind.prefix
            self.values = np.empty((rows, width), dtype=np.uint8)

    def read(self, block: BodyPart, starts: npt.NDArray[np.int64]) -> None:
        """Take this column's values out of a block."""
        out = self.values[block.first : block.first + len(starts)]
        kind = self.kind
        if kind.base in ("str", "utf8"):
            self._read_texts(block, starts, out)
            return
        if kind.prefix:
            self._check_lengths(block, starts)
        if not kind.is_bits:
            _blox.read_bytes(block.body, starts, kind.prefix, out)
            if kind.base == "arch":
                self._check_cells(block, starts, out)
            return
        span = min(kind.high - kind.low, 2**kind.bits - 1)
        bad = _blox.read_bits(block.body, starts, kind.prefix, kind.bits, span, out)
        if bad >= 0:
            raise self._error(
                f"a value is outside its type {kind}, or its padding is not zero", block, starts, bad
            )
        if self.percent is not None:
            np.take(self.percent[kind.low :], out, out=out)
        elif kind.low:
            out += np.int32(kind.low)

    def finish(self) -> Array:
        """The whole column, in the units of `Table`."""
        values, kind = self.values, self.kind
        shape = (len(values), self.count) if kind.prefix else (len(values),)
        if kind.base == "float" or kind.is_bits:
            scale = MICRO if kind.base == "float" else MILLI  # the type's, which is mostly the measure's too
            same = measure_of(self.name).scale == scale
            return (values if same else to_floats(values, scale)).reshape(shape)
        if kind.base == "f64":
            return values.view("<f8").astype(np.float64, copy=False).reshape(shape)
        if kind.base == "int":
            return values.view("<u4").astype(np.int64).ravel()
        if kind.base == "arch":
            ops = values >> 3
            fields = (ops // _CELL_RADIX, ops % _CELL_RADIX, values >> 2 & 1, values >> 1 & 1, values & 1)
            return np.stack(fields, axis=-1)
        return np.ascontiguousarray(values[:, ::-1]) if kind.base == "hash" else values

    def _error(
        self, problem: str, block: BodyPart, starts: npt.NDArray[np.int64], row: int
    ) -> BloxFormatError:
        return BloxFormatError(
            problem, row=block.first + row, column=self.name, offset=block.offset + int(starts[row])
        )

    def _check_lengths(self, block: BodyPart, starts: npt.NDArray[np.int64]) -> None:
        raw = np.empty((len(starts), self.kind.prefix), dtype=np.uint8)
        _blox.read_bytes(block.body, starts, 0, raw)
        lengths = raw.view(f"<u{self.kind.prefix}").ravel()
        for row in np.flatnonzero(lengths != self.epochs)[:1].tolist():
            raise self._error(
                f"a list of {counted(int(lengths[row]), 'value')}, but the header says "
                f"{counted(self.epochs, 'epoch')}",
                block,
                starts,
                row,
            )

    def _check_cells(self, block: BodyPart, starts: npt.NDArray[np.int64], raw: Array) -> None:
        wrong = (raw >> 3 >= _CELL_RADIX**2).any(axis=1)
        for row in np.flatnonzero(wrong)[:1].tolist():
            raise self._error("a cell's operations are outside the search space", block, starts, row)

    def _read_texts(self, block: BodyPart, starts: npt.NDArray[np.int64], out: Array) -> None:
        size, encoding = (1, "ascii") if self.kind.base == "str" else (4, "utf-8")
        body = block.body
        for row, start in enumerate(starts.tolist()):
            at = start + size
            data = body[at : at + int.from_bytes(body[start:at], "little")]
            if data not in self.seen:
                try:
                    self.seen[data] = data.decode(encoding)
                except UnicodeDecodeError as error:
                    raise self._error(
                        f"the text is not {encoding}: {error.reason}", block, starts, row
                    ) from error
                self.hold(len(data) + sys.getsizeof(self.seen[data]))
            out[row] = self.seen[data]


def encode(table: Table) -> tuple[dict[str, str], list[bytes]]:
    """Column types for the header, and the body, of a table as `.blox`.

    Raises
    ------
    BloxFormatError
        A value cannot be held: a whole number of 2^32 or more, a text of more than 1 MiB.
    """
    epochs = table.header.epochs or 0
    chosen = {name: choose(name, table[name], epochs) for name in table.header.columns}
    fields = [
        Field(kind, _field_bytes(name, kind, values, epochs), epochs)
        for name, (kind, values) in chosen.items()
    ]
    sizes = np.array(
        [np.broadcast_to(field.sizes(), len(table)) for field in fields], dtype=np.int64
    ).reshape(len(fields), len(table))
    types = {name: str(kind) for name, (kind, _) in chosen.items()}
    return types, list(deflate(_packed(fields, sizes)))


def _packed(fields: list[Field], sizes: npt.NDArray[np.int64]) -> Iterator[bytes | bytearray]:
    """The body in blocks; a thread packs one while the caller deflates the one before."""
    rows = sizes.shape[1]
    yield _START.pack(8 * (_START.size - 8 + int(sizes.sum())), rows)
    many = max(1, _BLOCK * rows // max(1, int(sizes.sum())))
    with ThreadPoolExecutor(1) as pool:
        packing = [pool.submit(_pack, fields, sizes, 0, many)]
        for first in range(many, rows + many, many):
            packing.append(pool.submit(_pack, fields, sizes, first, many))
            yield packing.pop(0).result()


def _pack(fields: list[Field], sizes: npt.NDArray[np.int64], first: int, many: int) -> bytearray:
    block = sizes[:, first : first + many]
    ends = np.cumsum(block.T).reshape(block.shape[1], len(fields)).T
    starts = np.ascontiguousarray(ends - block)
    body = bytearray(int(block.sum()))
    for field, places in zip(fields, starts, strict=True):
        field.write(body, places, first)
    return body


def _field_bytes(name: str, kind: FieldType, values: Array, epochs: int) -> Array | list[bytes]:
    """The values of a `Field`."""
    if kind.base in ("str", "utf8"):
        return _encode_texts(name, kind, values)
    rows = len(values)
    if kind.is_bits:
        return np.ascontiguousarray(values.reshape(rows, epochs if kind.prefix else 1))
    if kind.base == "hash":
        return np.ascontiguousarray(values[:, ::-1])
    if kind.base == "arch":
        op1, op2, prev, inp, skip = np.moveaxis(values, -1, 0)
        return np.ascontiguousarray((op1 * _CELL_RADIX + op2) << 3 | prev << 2 | inp << 1 | skip)
    wide = values.astype("<u4" if kind.base == "int" else "<f8")
    return np.ascontiguousarray(wide).view(np.uint8).reshape(rows, kind.field_size(epochs) - kind.prefix)


def _encode_texts(name: str, kind: FieldType, values: Array) -> list[bytes]:
    known: dict[str, bytes] = {}  # texts of machines and versions are the same for many rows
    for row, text in enumerate(values.tolist()):
        if text in known:
            continue
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BloxFormatError(
                f"the text cannot be written as UTF-8: {error.reason}", row=row, column=name
            ) from error
        if len(data) > MAX_TEXT:
            raise BloxFormatError(
                f"a text of {len(data)} bytes is longer than the {MAX_TEXT} that .blox holds",
                row=row,
                column=name,
            )
        known[text] = len(data).to_bytes(1 if kind.base == "str" else 4, "little") + data
    return [known[text] for text in values.tolist()]


@dataclass(frozen=True)
class Field:
    """A column ready to write: int32 for bit fields, rows of bytes, or encoded texts."""

    kind: FieldType
    values: Array | list[bytes]
    epochs: int

    def sizes(self) -> Array | int:
        """Bytes of each row's field, or of every one."""
        if isinstance(self.values, list):
            return np.array([len(data) for data in self.values], dtype=np.int64)
        return self.kind.field_size(self.epochs)

    def write(self, body: bytearray, starts: npt.NDArray[np.int64], first: int) -> None:
        """Write the fields of rows `first`, … at their offsets in `body`."""
        kind = self.kind
        values = self.values[first : first + len(starts)]
        if isinstance(values, list):
            for start, data in zip(starts.tolist(), values, strict=True):
                body[start : start + len(data)] = data
            return
        if kind.prefix and len(starts):
            length = np.frombuffer(self.epochs.to_bytes(kind.prefix, "little"), dtype=np.uint8)
            lengths = np.ascontiguousarray(np.broadcast_to(length, (len(starts), kind.prefix)))
            _blox.write_bytes(body, starts, 0, lengths)
        if kind.is_bits:
            low = kind.low if kind.is_range else 0
            _blox.write_bits(body, starts, kind.prefix, kind.bits, low, values)
        else:
            _blox.write_bytes(body, starts, kind.prefix, values)
