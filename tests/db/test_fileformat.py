"""What is known of SQLite's file format, asked of SQLite."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bloxdb.db.fileformat import HEADER, page_size_of


@pytest.mark.parametrize("size", [1 << bits for bits in range(9, 17)])
def test_the_header_says_how_large_a_page_is(size: int, tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {size}")
        connection.execute("CREATE TABLE t (a)")
    header = path.read_bytes()[:HEADER]
    assert page_size_of(header) == size
    assert page_size_of(header[:18]) == size


@pytest.mark.parametrize("wrong", [0, 2, 256, 511, 513, 1000, 4097, 65_535])
def test_another_number_is_none(wrong: int) -> None:
    assert page_size_of(bytes(16) + wrong.to_bytes(2, "big") + bytes(82)) is None
    assert page_size_of(b"") is None
