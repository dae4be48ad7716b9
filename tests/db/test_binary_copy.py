"""Arrays as PostgreSQL's binary COPY: what a decoder that goes byte by byte finds in them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.db.binary_copy import END, START, rows_in_parts
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING


def decoded(stream: bytes) -> Iterator[tuple[int | None, ...]]:
    """Rows as PostgreSQL's documentation says that they are written."""
    assert stream[:11] == b"PGCOPY\n\377\r\n\0"
    flags, extension = struct.unpack(">ii", stream[11:19])
    assert (flags, extension) == (0, 0)
    at = 19
    while True:
        (fields,) = struct.unpack_from(">h", stream, at)
        at += 2
        if fields == -1:
            assert at == len(stream)
            return
        row: list[int | None] = []
        for _ in range(fields):
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            if length == -1:
                row.append(None)
            else:
                row.append(int.from_bytes(stream[at : at + length], "big", signed=True))
                at += length
        yield tuple(row)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[tuple[int | None, ...]], list[int]]:
    """Rows, and the bytes of their columns."""
    widths = draw(st.lists(st.sampled_from([4, 8]), min_size=1, max_size=5))
    limits = [1 << (8 * width - 1) for width in widths]
    values = [
        st.none() | st.integers(-limit + (width == 8), limit - 1)  # the lowest of 8 bytes means NULL
        for limit, width in zip(limits, widths, strict=True)
    ]
    return draw(st.lists(st.tuples(*values), max_size=20)), widths


@given(tables())
def test_what_is_given_is_what_a_decoder_finds(table: tuple[list[tuple[int | None, ...]], list[int]]) -> None:
    rows, widths = table
    columns = {
        str(place): np.array([MISSING if row[place] is None else row[place] for row in rows], dtype=np.int64)
        for place in range(len(widths))
    }
    parts = list(rows_in_parts(columns, widths))
    found = list(decoded(START + b"".join(parts) + END))
    assert Counter(found) == Counter(rows)
    assert len(parts) == len({tuple(value is None for value in row) for row in rows})


def test_rows_that_lack_nothing_stay_in_their_order() -> None:
    columns: dict[str, Any] = {
        "run_id": np.repeat(np.arange(5, dtype=np.int64), 3),
        "epoch": np.tile(np.arange(1, 4, dtype=np.int32), 5),
    }
    found = list(decoded(START + b"".join(rows_in_parts(columns, [4, 4])) + END))
    assert found == [(run, epoch) for run in range(5) for epoch in (1, 2, 3)]


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62])
def test_what_a_column_cannot_have_is_refused_by_name(value: int) -> None:
    columns = {"a": np.array([1, 2]), "b": np.array([MISSING, value])}
    with pytest.raises(DatabaseError, match=rf"b has the value {value}, and its column takes 4 bytes"):
        list(rows_in_parts(columns, [4, 4]))
    assert len(list(rows_in_parts(columns, [4, 8]))) == 2
