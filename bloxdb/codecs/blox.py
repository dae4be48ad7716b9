"""`.blox`: rows of bit fields in one zlib stream.

Inflated: u64 bit count of all that follows, u32 row count, then the rows, each field on a byte boundary.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

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
from bloxdb.codecs.columns import COLUMNS, Kind, images_counted
from bloxdb.codecs.deflate import Inflater, compress
from bloxdb.codecs.fixed import MICRO, Array, to_floats
from bloxdb.codecs.header import Header
from bloxdb.codecs.table import Table
from bloxdb.errors import BloxFormatError
from bloxdb.space import NUM_ARCHS

NAME = "custom"
SUFFIX = ".blox"

_START = struct.Struct("<QI")
_STEP = 1 << 16
_CELL_RADIX = 3


def decode(header: Header, column_types: Mapping[str, str] | None, body: memoryview) -> Table:
    """The table in the body of a `.blox` file; `BloxFormatError` says where it is damaged."""
    if column_types is None:
        raise BloxFormatError("the header of a .blox file needs column_types")
    types = parse_types(header, column_types)
    inflater = Inflater(body)
    if not inflater.reach(_START.size):
        raise BloxFormatError("the compressed body is cut off before its row count")
    rows = _START.unpack_from(inflater.data)[1]
    if rows > NUM_ARCHS:
        raise BloxFormatError(
            f"{rows} rows are more than the {NUM_ARCHS} architectures that there are", offset=8
        )
    epochs = header.epochs or 0
    starts, end = _find_fields(inflater, rows, list(types.values()), epochs)
    inflater.finish(end)
    return Table(
        header,
        {
            name: _read_column(inflater.data, name, types[name], starts[c], epochs)
            for c, name in enumerate(header.columns)
        },
    )


def _find_fields(
    inflater: Inflater, rows: int, types: list[FieldType], epochs: int
) -> tuple[npt.NDArray[np.int64], int]:
    """Offsets of all fields, shape (columns, rows), and of the end.

    Inflates what the rows need and, where texts leave that open, little more.
    """
    sizes = np.array([kind.field_size(epochs) for kind in types], dtype=np.int64)
    least = sum(kind.least_size(epochs) for kind in types)
    most = sum(kind.most_size(epochs) for kind in types)
    row, at = 0, _START.size
    if not inflater.reach(at + least * rows):
        raise _cut_off((len(inflater.data) - at) // least, len(inflater.data))
    starts = np.empty((len(types), rows), dtype=np.int64)
    while True:
        row, at = _blox.walk(inflater.data, at, row, sizes, starts)
        if row == rows:
            return starts, at
        reached = len(inflater.data)
        if reached - at >= most:
            raise BloxFormatError(f"a text is longer than {MAX_TEXT} bytes", row=row, offset=at)
        inflater.reach(max(at + least * (rows - row), reached + _STEP))
        if len(inflater.data) == reached:
            raise _cut_off(row, reached)


def _cut_off(row: int, offset: int) -> BloxFormatError:
    return BloxFormatError("the compressed body is cut off", row=row, offset=offset)


def _read_column(
    body: bytearray, name: str, kind: FieldType, starts: npt.NDArray[np.int64], epochs: int
) -> Array:
    if kind.base in ("str", "utf8"):
        return _read_texts(body, name, kind, starts)
    if kind.prefix:
        _check_lengths(body, name, kind, starts, epochs)
    count = epochs if kind.prefix else 1
    shape = (len(starts), count) if kind.prefix else (len(starts),)
    if kind.is_range or kind.base == "float":
        numbers = np.empty((len(starts), count), dtype=np.int32)
        span = min(kind.high - kind.low, 2**kind.bits - 1)
        bad = _blox.read_bits(body, starts, kind.prefix, kind.bits, span, numbers)
        if bad >= 0:
            raise BloxFormatError(
                f"a value is outside its type {kind}, or its padding is not zero",
                row=bad,
                column=name,
                offset=int(starts[bad]),
            )
        numbers += np.int32(kind.low)
        return _as_measure(numbers.reshape(shape), name, kind)
    raw = np.empty((len(starts), kind.field_size(epochs) - kind.prefix), dtype=np.uint8)
    _blox.read_bytes(body, starts, kind.prefix, raw)
    if kind.base == "f64":
        return raw.view("<f8").astype(np.float64, copy=False).reshape(shape)
    if kind.base == "int":
        return raw.view("<u4").astype(np.int64).ravel()
    if kind.base == "arch":
        return _unpack_cells(raw, starts)
    return np.ascontiguousarray(raw[:, ::-1])


def _as_measure(numbers: npt.NDArray[np.int32], name: str, kind: FieldType) -> Array:
    """What bit fields stand for, in the units of `Table`."""
    if kind.base == "b":
        return counts_to_milli(numbers, images_counted(name))
    if kind.base == "float" and COLUMNS[name] is Kind.ACCURACY:
        return to_floats(numbers, MICRO)
    return numbers


def _check_lengths(
    body: bytearray, name: str, kind: FieldType, starts: npt.NDArray[np.int64], epochs: int
) -> None:
    raw = np.empty((len(starts), kind.prefix), dtype=np.uint8)
    _blox.read_bytes(body, starts, 0, raw)
    lengths = raw.view(f"<u{kind.prefix}").ravel()
    wrong = np.flatnonzero(lengths != epochs)
    if wrong.size:
        row = int(wrong[0])
        raise BloxFormatError(
            f"a list of {lengths[row]} values, but the header says {epochs} epochs",
            row=row,
            column=name,
            offset=int(starts[row]),
        )


def _read_texts(body: bytearray, name: str, kind: FieldType, starts: npt.NDArray[np.int64]) -> Array:
    size, encoding = (1, "ascii") if kind.base == "str" else (4, "utf-8")
    texts = np.empty(len(starts), dtype=object)
    seen: dict[bytes, str] = {}
    for row, start in enumerate(starts.tolist()):
        at = start + size
        data = bytes(body[at : at + int.from_bytes(body[start:at], "little")])
        if data not in seen:
            try:
                seen[data] = data.decode(encoding)
            except UnicodeDecodeError as error:
                raise BloxFormatError(
                    f"the text is not {encoding}: {error.reason}", row=row, column=name, offset=at
                ) from error
        texts[row] = seen[data]
    return texts


def _unpack_cells(raw: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> Array:
    """Three bytes a row as uint8 (rows, 3, 5)."""
    wrong = np.flatnonzero((raw >> 3 >= _CELL_RADIX**2).any(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise BloxFormatError(
            "a cell's operations are outside the search space",
            row=row,
            column="arch_vec",
            offset=int(starts[row]),
        )
    ops = raw >> 3
    fields = (ops // _CELL_RADIX, ops % _CELL_RADIX, raw >> 2 & 1, raw >> 1 & 1, raw & 1)
    return np.stack(fields, axis=-1)


def encode(table: Table) -> tuple[dict[str, str], list[bytes]]:
    """Column types for the header, and the body, of a table as `.blox`.

    Raises
    ------
    BloxFormatError
        A value cannot be held: a whole number of 2^32 or more, a text of more than 1 MiB.
    """
    epochs = table.header.epochs or 0
    chosen = {name: choose(name, table[name], epochs) for name in table.header.columns}
    fields = {name: _field_bytes(name, *choice, epochs) for name, choice in chosen.items()}
    sizes = np.array(
        [np.broadcast_to(_sizes(fields[name], chosen[name][0], epochs), len(table)) for name in fields],
        dtype=np.int64,
    )
    ends = np.cumsum(sizes.T).reshape(len(table), len(fields)).T + _START.size
    starts = np.ascontiguousarray(ends - sizes)
    body = bytearray(int(ends[-1, -1]) if len(table) else _START.size)
    _START.pack_into(body, 0, 8 * (len(body) - 8), len(table))
    for c, name in enumerate(fields):
        _write_column(body, chosen[name][0], fields[name], starts[c], epochs)
    return {name: str(kind) for name, (kind, _) in chosen.items()}, [compress(body)]


def _field_bytes(name: str, kind: FieldType, values: Array, epochs: int) -> Array | list[bytes]:
    """A column ready to write: int32 for bit fields, rows of bytes, or encoded texts."""
    if kind.base in ("str", "utf8"):
        return _encode_texts(name, kind, values)
    rows = len(values)
    if kind.is_range or kind.base == "float":
        return np.ascontiguousarray(values.reshape(rows, epochs if kind.prefix else 1))
    if kind.base == "hash":
        return np.ascontiguousarray(values[:, ::-1])
    if kind.base == "arch":
        op1, op2, prev, inp, skip = np.moveaxis(values, -1, 0)
        return np.ascontiguousarray((op1 * _CELL_RADIX + op2) << 3 | prev << 2 | inp << 1 | skip)
    wide = values.astype("<u4" if kind.base == "int" else "<f8")
    return np.ascontiguousarray(wide).view(np.uint8).reshape(rows, kind.field_size(epochs) - kind.prefix)


def _encode_texts(name: str, kind: FieldType, values: Array) -> list[bytes]:
    encoded = []
    for row, text in enumerate(values):
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
        encoded.append(len(data).to_bytes(1 if kind.base == "str" else 4, "little") + data)
    return encoded


def _sizes(field: Array | list[bytes], kind: FieldType, epochs: int) -> Array | int:
    if isinstance(field, list):
        return np.array([len(data) for data in field], dtype=np.int64)
    return kind.field_size(epochs)


def _write_column(
    body: bytearray,
    kind: FieldType,
    field: Array | list[bytes],
    starts: npt.NDArray[np.int64],
    epochs: int,
) -> None:
    if isinstance(field, list):
        for start, data in zip(starts.tolist(), field, strict=True):
            body[start : start + len(data)] = data
        return
    if kind.prefix:
        length = np.frombuffer(epochs.to_bytes(kind.prefix, "little"), dtype=np.uint8)
        lengths = np.ascontiguousarray(np.broadcast_to(length, (len(starts), kind.prefix)))
        _blox.write_bytes(body, starts, 0, lengths)
    if kind.is_range or kind.base == "float":
        low = kind.low if kind.is_range else 0
        _blox.write_bits(body, starts, kind.prefix, kind.bits, low, field)
    else:
        _blox.write_bytes(body, starts, kind.prefix, field)
