"""Arrays of integers as the binary form of PostgreSQL's COPY takes them.

A row is the number of its fields, and of each field its length and its bytes, all big-endian; of NULL the
length is -1, and there are no bytes: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
Rows whose NULLs are in the same columns have the same layout, and are made at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.counts import counted
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING, Array

START = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
"""The signature; no flags, and nothing after them."""

END = b"\xff\xff"
"""A row of -1 fields."""


def rows_in_parts(columns: Mapping[str, Array], widths: Sequence[int]) -> Iterator[bytes]:
    """Rows, those together that are NULL in the same columns.

    Parameters
    ----------
    columns
        By name, int32 or int64, shape (rows,) each; `MISSING` is NULL.
    widths
        How many bytes the table gives a value of each, 4 or 8.

    Raises
    ------
    DatabaseError
        A value does not fit into its column.
    """
    absent = np.zeros(len(next(iter(columns.values()))), dtype=np.int64)
    for place, ((name, values), width) in enumerate(zip(columns.items(), widths, strict=True)):
        missing = values == MISSING
        absent |= missing.astype(np.int64) << place
        limits = np.iinfo(f"i{width}")
        wrong = ((values < limits.min) | (values > limits.max)) & ~missing
        if wrong.any():
            value = values[wrong.argmax()]
            raise DatabaseError(
                f"{name} has the value {value}, and its column takes {counted(width, 'byte')}"
            )
    for pattern in np.unique(absent).tolist():
        chosen = slice(None) if np.all(absent == pattern) else absent == pattern
        there = [not pattern >> place & 1 for place in range(len(columns))]
        yield _alike([values[chosen] for values in columns.values()], widths, there)


def _alike(columns: Sequence[npt.NDArray[Any]], widths: Sequence[int], there: Sequence[bool]) -> bytes:
    """Rows that have values in the same columns."""
    fields = [("fields", ">i2")]
    for place, (width, is_there) in enumerate(zip(widths, there, strict=True)):
        fields.append((f"length {place}", ">i4"))
        if is_there:
            fields.append((f"value {place}", f">i{width}"))
    rows = np.empty(len(columns[0]), dtype=fields)
    rows["fields"] = len(columns)
    for place, (values, width, is_there) in enumerate(zip(columns, widths, there, strict=True)):
        rows[f"length {place}"] = width if is_there else -1
        if is_there:
            rows[f"value {place}"] = values
    return rows.tobytes()
