r"""`.csv`: Python's "excel" dialect, ``\r\n`` line ends, no header row, lists as Python's text of them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from bloxdb.codecs.columns import COLUMNS, Kind, is_list
from bloxdb.codecs.header import Header
from bloxdb.codecs.table import Table
from bloxdb.errors import BloxFormatError

NAME = "csv"
SUFFIX = ".csv"

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n)')
_NUMBER = r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan)"
_FLOAT = re.compile(_NUMBER)
_FLOATS = re.compile(rf"\[{_NUMBER}(?:, {_NUMBER})*\]")
_WHOLE = re.compile(r"[0-9]{1,19}")
_ARCH = re.compile(r"\[[0-9, \[\]]{1,100}\]")


def decode(header: Header, column_types: Mapping[str, str] | None, body: BinaryIO) -> Table:
    """The table in the body of a `.csv` file; `BloxFormatError` says where it is damaged."""
    try:
        text = str(body.read(), "utf-8")
    except UnicodeDecodeError as error:
        raise BloxFormatError(f"the body is not UTF-8: {error.reason}", offset=error.start) from error
    rows = [
        [_parse(name, field, row) for name, field in zip(header.columns, fields, strict=True)]
        for row, fields in enumerate(_records(text, len(header.columns)))
    ]
    return Table.from_rows(header, rows)


def _records(text: str, width: int) -> Iterator[list[str]]:
    at, row = 0, 0
    fields: list[str] = []
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            raise BloxFormatError(
                "the line does not end, or a quote stands alone",
                row=row,
                offset=len(text[:at].encode()),
            )
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        at = match.end()
        if end == ",":
            continue
        if len(fields) != width:
            raise BloxFormatError(f"{len(fields)} fields, but the header has {width} columns", row=row)
        yield fields
        fields, row = [], row + 1
    if fields:
        raise BloxFormatError("the last line is cut off", row=row)


def _parse(name: str, field: str, row: int) -> Any:
    """The Python value of a field."""
    kind = COLUMNS[name]
    if kind in (Kind.HASH, Kind.TEXT):
        return field
    if kind is Kind.INT and _WHOLE.fullmatch(field):
        return int(field)
    if kind is Kind.ARCH and _ARCH.fullmatch(field):
        try:
            return json.loads(field)
        except ValueError as error:
            raise BloxFormatError(f"not a list: {error}", row=row, column=name) from error
    if is_list(name):
        if _FLOATS.fullmatch(field):
            return [float(item) for item in field[1:-1].split(", ")]
    elif kind in (Kind.ACCURACY, Kind.FLOAT) and _FLOAT.fullmatch(field):
        return float(field)
    raise BloxFormatError(f"{field[:40]!r} is not the text of a {kind.value}", row=row, column=name)


def encode(table: Table) -> tuple[None, list[bytes]]:
    """The body of a table as `.csv`; it has no column types."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table.rows())
    try:
        return None, [out.getvalue().encode("utf-8")]
    except UnicodeEncodeError as error:
        raise BloxFormatError(f"a text cannot be written as UTF-8: {error.reason}") from error
