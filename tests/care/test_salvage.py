"""Rows of SQLite files with pages that are damaged or not there: all around them, each once, and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloxdb.care.salvage import DamagedIndex, DamagedTable, Gap, damaged_file
from bloxdb.care.trees import Key

PAGE = 512
NUMBERED, PAIRS = ("rowid",), ("run", "epoch")
RUNS, EPOCHS = 40, 30


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file with a table of each of the two kinds, of many pages, and an index."""
    path = tmp_path_factory.mktemp("salvage") / "whole.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("CREATE TABLE numbered (x TEXT, n INTEGER)")
        connection.execute("CREATE INDEX ix_numbered ON numbered (n)")
        connection.execute("CREATE TABLE pairs (run, epoch, x, PRIMARY KEY (run, epoch)) WITHOUT ROWID")
        rows = [("row" * 9, number) for number in range(300)]
        connection.executemany("INSERT INTO numbered VALUES (?, ?)", rows)
        pairs = [(run, epoch, 7.5) for run in range(1, RUNS + 1) for epoch in range(1, EPOCHS + 1)]
        connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", pairs)
    return path


def probes(table: str) -> object:
    """All places that there may be."""

    def found(after: Key | None, before: Key | None) -> Iterable[Key]:
        if table == "numbered":
            return ((number,) for number in range(after[0] if after else 0, before[0] if before else 400))
        return ((run, epoch) for run in range(1, RUNS + 1) for epoch in range(1, EPOCHS + 1, 8))

    return found


def read(source: sqlite3.Connection, table: str) -> tuple[list[Key], list[Gap]]:
    """The keys of all rows that can be read, and where others may be."""
    keys = NUMBERED if table == "numbered" else PAIRS
    reading = DamagedTable(source, table, [*keys, "x"], keys, probes(table))  # type: ignore[arg-type]
    rows = [row[: len(keys)] for some in reading.rows() for row in some]
    return rows, reading.gaps


def in_a_gap(key: Key, gaps: list[Gap]) -> bool:
    return any(
        (gap.after is None or key > gap.after) and (gap.before is None or key < gap.before) for gap in gaps
    )


def all_keys(path: Path, table: str) -> list[Key]:
    with closing(sqlite3.connect(path)) as connection:
        return read(connection, table)[0]


@pytest.mark.slow
@given(st.data())
@settings(max_examples=60)
@pytest.mark.parametrize("table", ["numbered", "pairs"])
def test_all_is_read_but_what_lies_in_the_gaps(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, table: str, data: st.DataObject
) -> None:
    content = bytearray(whole.read_bytes())
    pages = len(content) // PAGE
    for page in data.draw(st.lists(st.integers(5, pages - 1), max_size=6, unique=True)):
        content[page * PAGE : (page + 1) * PAGE] = data.draw(st.sampled_from([b"\0", b"\xff"])) * PAGE
    cut = data.draw(st.none() | st.integers(6 * PAGE, len(content)))
    path = whole.with_name("damaged.db")
    path.write_bytes(content[:cut])
    with damaged_file(path, path.parent) as source:
        rows, gaps = read(source, table)
    expected = all_keys(whole, table)
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(expected)
    assert [key for key in expected if key not in set(rows) and not in_a_gap(key, gaps)] == []
    assert [key for key in rows if in_a_gap(key, gaps)] == []
    if len(rows) == len(expected):
        assert gaps in ([], [Gap(expected[-1], None)])
    assert [file.name for file in path.parent.iterdir() if file not in (path, whole)] == []
    assert path.read_bytes() == content[:cut]


@pytest.mark.parametrize("pages", [1, 2])
def test_good_pages_between_bad_ones_are_found(whole: Path, tmp_path: Path, pages: int) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(whole.read_bytes())
    with closing(sqlite3.connect(whole)) as connection:
        leaves = [
            page
            for (page,) in connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'pairs' AND pagetype = 'leaf' ORDER BY path"
            )
        ]
    for page in leaves[2 :: pages + 1]:
        content[(page - 1) * PAGE : page * PAGE] = b"\xff" * PAGE
    path.write_bytes(content)
    with damaged_file(path, tmp_path) as source:
        rows, gaps = read(source, "pairs")
    share = len(rows) / len(all_keys(whole, "pairs"))
    assert pages / (pages + 1) * 0.9 < share < pages / (pages + 1) * 1.1 + 0.05
    assert len(gaps) == len(leaves[2 :: pages + 1])


def test_zeros_after_the_end_of_a_page_that_was_cut_are_no_rows(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    expected = {table: set(all_keys(whole, table)) for table in ("numbered", "pairs")}
    content = whole.read_bytes()
    for cut in range(len(content) - 3 * PAGE, len(content), 37):
        path.write_bytes(content[:cut])
        with damaged_file(path, tmp_path) as source:
            for table, keys in expected.items():
                assert set(read(source, table)[0]) <= keys
                query = "SELECT count(*) FROM pairs WHERE x IS NOT 7.5"
                try:
                    assert source.execute(query).fetchone() == (0,)
                except sqlite3.DatabaseError:
                    continue
    assert [file.name for file in tmp_path.iterdir()] == ["damaged.db"]


def test_texts_that_are_no_utf_8_come_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE numbered (x TEXT)")
        connection.execute("INSERT INTO numbered VALUES ('good'), (CAST(x'ff' AS TEXT))")
    with damaged_file(path, tmp_path) as source:
        assert source.execute("SELECT x FROM numbered").fetchall() == [("good",), (b"\xff",)]


def leaves_of(path: Path, name: str) -> Iterator[int]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
        yield from [page for (page,) in connection.execute(query, (name,))]


def test_an_index_is_read_from_both_ends(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(whole.read_bytes())
    leaves = list(leaves_of(whole, "ix_numbered"))
    page = leaves[len(leaves) // 2]
    content[(page - 1) * PAGE : page * PAGE] = bytes(PAGE)
    for data, is_damaged in ((whole.read_bytes(), False), (bytes(content), True)):
        path.write_bytes(data)
        with damaged_file(path, tmp_path) as source:
            index = DamagedIndex(source, "numbered", ["n"], "ix_numbered")
            found = {row[0] for row in index.rows()}
        assert index.is_damaged == is_damaged
        assert {0, 299} <= found <= set(range(300))
        assert (len(found) == 300) != is_damaged
