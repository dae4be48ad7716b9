r"""`.csv`: Python's "excel" dialect, ``\r\n`` line ends, no header row, lists as Python's text of them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from bloxdb.codecs import _csv
from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, is_list, measure_of
from bloxdb.codecs.header import Header
from bloxdb.codecs.rows import FastRows
from bloxdb.codecs.table import Table
from bloxdb.codecs.values import TOO_MANY_DIGITS, check_size, column_of, read_columns, whole_number
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.files import new_array, rest_of
from bloxdb.measures import NOT_MEASURED, Array
from bloxdb.space.cells import FIELDS, LIMITS, NUM_ARCHS, STAGES

NAME = "csv"
SUFFIX = ".csv"

_BAD, _WIDTH, _CUT_OFF = 1, 2, 3  # what _csv.split says
_BLOCK = 50  # rows that are written at once: they fit into the cache
_LONG = 1000  # bytes of a field that is not worth remembering

_NUMBER = r"-?(?:[0-9]{1,400}(?:\.[0-9]{1,1100})?(?:e[+-]?[0-9]{1,4})?|inf|nan)"  # as long as a float can be
_FLOAT = re.compile(_NUMBER)
_FLOATS = re.compile(rf"\[{_NUMBER}(?:, {_NUMBER})*\]")
_WHOLE = re.compile(r"[0-9]+")
_SURELY_64_BITS = 18  # digits
_ZERO = ord("0")
_VECTOR = np.frombuffer(str([[[0], [0] * (len(FIELDS) - 1)]] * STAGES).encode(), dtype=np.uint8)
_DIGITS = np.flatnonzero(_VECTOR == _ZERO)
_ARCH = re.compile(r"\[[0-9, \[\]]{1,100}\]")


def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
    """The table in the body of a `.csv` file; `BloxFormatError` says where it is damaged."""
    text = rest_of(body)
    width = len(header.columns)
    most = (
        min(NUM_ARCHS, len(text) // width) + 1
    )  # a field has a separator; one row more is refused as too many
    fields = np.empty((most, width, 3), dtype=np.int64)
    code, rows, offset, found = _csv.split(text, width, fields)
    if code == _BAD:
        raise BloxFormatError(_bad_line(text, offset), row=rows, offset=offset)
    if code == _WIDTH:
        if found == 1 and fields[rows, 0, 0] == fields[rows, 0, 1]:
            raise BloxFormatError("the line is blank; no line is, the last one neither", row=rows)
        raise BloxFormatError(
            f"{counted(found, 'field')}, but the header has {counted(width, 'column')}", row=rows
        )
    if code == _CUT_OFF:
        raise BloxFormatError("the last line is cut off", row=rows)
    check_size(header, rows, len(text))
    reader = _Columns(header, text, fields[:rows])
    return Table(header, read_columns(header, rows, reader.column))


def _bad_line(text: memoryview, offset: int) -> str:
    try:
        str(text[offset:], "utf-8")
    except UnicodeDecodeError as error:
        return f"the body is not UTF-8: {error.reason}"
    if b"\n" not in bytes(text[offset:]):
        return "the last line does not end: the file was cut off, or has lost its last line break"
    return "the line does not end, or a quote stands alone"


class _Columns:
    """Columns out of the fields that were found: start, end and doubled quotes, int64 (rows, columns, 3)."""

    def __init__(self, header: Header, text: memoryview, fields: npt.NDArray[np.int64]) -> None:
        self.header = header
        self.text = text
        self.bytes = np.frombuffer(text, dtype=np.uint8)
        self.fields = fields
        self.seen: dict[bytes, str] = {}

    def column(self, c: int, name: str) -> Array:
        """One column."""
        column = self._quickly(c, name)
        if column is None:
            values = [
                _parse(name, self._field(place, row, name), row)
                for row, place in enumerate(self.fields[:, c].tolist())
            ]
            column = column_of(name, values, self.header.epochs or 0)
        return column

    def _quickly(self, c: int, name: str) -> Array | None:
        """A column without Python values; None if some need them."""
        kind = COLUMNS[name]
        rows = len(self.fields)
        if kind is Kind.HASH:
            digests = np.empty((rows, 16), dtype=np.uint8)
            return digests if _csv.read_hex(self.text, self.fields, c, digests) < 0 else None
        if kind is Kind.ARCH:
            return self._cells(c)
        if kind is Kind.INT:
            return self._whole_numbers(c)
        if kind not in MEASURED:
            return None
        decimals = measure_of(name).decimals
        count = (self.header.epochs or 0) if is_list(name) else 1
        fixed = new_array((rows, count), np.int32)
        if _csv.read_numbers(self.text, self.fields, c, decimals, is_list(name), fixed) >= 0:
            return None
        return fixed if is_list(name) else fixed.ravel()

    def _cells(self, c: int) -> Array | None:
        """Vectors that are spelled as Python spells lists; None where one is spelled otherwise."""
        starts, ends, _ = self.fields[:, c].T
        if np.any(ends - starts != len(_VECTOR)):
            return None
        letters = self.bytes[starts[:, None] + np.arange(len(_VECTOR))]
        digits = letters[:, _DIGITS] - np.uint8(_ZERO)
        letters[:, _DIGITS] = _ZERO
        cells = digits.reshape(-1, STAGES, len(FIELDS))
        return None if np.any(letters != _VECTOR) or np.any(cells >= np.array(LIMITS)) else cells

    def _whole_numbers(self, c: int) -> Array | None:
        """Whole numbers, which 64 bits hold; None where a field is none, or long."""
        starts, ends, _ = self.fields[:, c].T
        lengths = ends - starts
        longest = int(lengths.max(initial=0))
        if longest > _SURELY_64_BITS or np.any(lengths < 1):
            return None
        numbers = np.zeros(len(lengths), dtype=np.int64)
        for place in range(longest):
            rows = np.flatnonzero(lengths > place)
            digits = self.bytes[starts[rows] + place] - np.uint8(_ZERO)
            if np.any(digits > 9):
                return None
            numbers[rows] = 10 * numbers[rows] + digits
        return numbers

    def _field(self, place: list[int], row: int, name: str) -> str:
        """The text of a field; the same object for the same text."""
        start, end, doubled = place
        data = bytes(self.text[start:end])
        if data not in self.seen:
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise BloxFormatError(
                    f"the body is not UTF-8: {error.reason}", row=row, column=name, offset=start
                ) from error
            if len(data) > _LONG:
                return text.replace('""', '"') if doubled else text
            self.seen[data] = text.replace('""', '"') if doubled else text
        return self.seen[data]


def _parse(name: str, field: str, row: int) -> Any:
    """The Python value of a field."""
    kind = COLUMNS[name]
    if kind in (Kind.HASH, Kind.TEXT):
        return field
    if kind is Kind.INT and _WHOLE.fullmatch(field):
        number = whole_number(field)
        if number is None:
            raise BloxFormatError(TOO_MANY_DIGITS, row=row, column=name)
        return number
    if kind is Kind.ARCH and _ARCH.fullmatch(field):
        try:
            return json.loads(field)
        except ValueError as error:
            raise BloxFormatError(f"not a list: {error}", row=row, column=name) from error
    if is_list(name):
        if _FLOATS.fullmatch(field):
            return [_float(item, name, row) for item in field[1:-1].split(", ")]
        if field[:1] == "[" and field[-1:] == "]":
            raise BloxFormatError(_bad_item(field[1:-1].split(", ")), row=row, column=name)
    elif kind in MEASURED and _FLOAT.fullmatch(field):
        return _float(field, name, row)
    what = f"a list of numbers: {kind.value}" if is_list(name) else kind.value
    raise BloxFormatError(f"{field[:40]!r} is not the text of: {what}", row=row, column=name)


def _bad_item(items: list[str]) -> str:
    """Which of the texts in a list is none of a number."""
    place, item = next((at, item) for at, item in enumerate(items, start=1) if not _FLOAT.fullmatch(item))
    return f"value {place} of {len(items)}, {item[:40]!r}, is not the text of a number; {NOT_MEASURED}"


def _float(text: str, name: str, row: int) -> float:
    """The float that a text stands for: the text has no digit that the float has not."""
    value = float(text)
    if not text[-1].isdigit() or (len(text) <= sys.float_info.dig and "e" not in text):
        return value  # inf, nan, and as few digits as every float has
    said = Decimal(text)
    digits = len(said.as_tuple().digits)  # zeros at the end, too: a long whole number has them by chance
    if not math.isfinite(value) or Decimal(f"{value:.{digits - 1}e}") != said:
        raise BloxFormatError(
            f"{text[:40]!r} is no number that a float holds; the nearest is {value!r}", row=row, column=name
        )
    return value


def encode(table: Table) -> tuple[None, list[bytes]]:
    """The body of a table as `.csv`; it has no column types."""
    rows = FastRows.of(table)
    if rows is not None and rows.is_fixed:
        return None, [
            _csv.write_rows(rows.layout, block.hashes, block.numbers, cast(Array, block.fixed))
            for block in rows.blocks(_BLOCK)
        ]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table.rows())
    try:
        return None, [out.getvalue().encode("utf-8")]
    except UnicodeEncodeError as error:
        raise BloxFormatError(f"a text cannot be written as UTF-8: {error.reason}") from error
