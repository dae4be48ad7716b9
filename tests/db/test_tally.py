"""The walk through a table of epochs: it says what SQLite says, or that something is wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bloxdb.db._tally import tally
from bloxdb.db.staging import STORED
from bloxdb.measures import MISSING
from tests.db.test_staging import EDGES, write

PAGE = 512
ROOT = 2
MEASURES = STORED[2:]


def wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def asked(path: Path) -> dict[str, Any]:
    """The same by SQLite, and Python's integers."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT run_id, {', '.join(MEASURES)} FROM epochs").fetchall()
    columns = [[row[i] for row in rows if row[i] is not None] for i in range(1, len(MEASURES) + 1)]
    runs = {row[0] for row in rows}
    return {
        "runs": len(runs),
        "run_ids": wrapped(sum(runs)),
        "rows": len(rows),
        "values": [len(values) for values in columns],
        "sums": [wrapped(sum(values)) for values in columns],
    }


def walked(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        found = tally(file.fileno(), PAGE, ROOT, len(MEASURES))
    assert 0 < found.pop("pages") < path.stat().st_size // PAGE  # type: ignore[operator]
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three levels, with values of all sizes."""
    draw = np.random.default_rng(0)
    pool = np.array([*EDGES, 2**63 - 1, MISSING, 7, 300, 70_000], dtype=np.int64)
    ids = np.cumsum(draw.integers(1, 400, 60))
    path = tmp_path_factory.mktemp("tally") / "tree.db"
    write(path, [(ids, {name: draw.choice(pool, (60, 20)) for name in MEASURES[:5]})], PAGE)
    return path


def test_it_adds_up_what_sqlite_reads(tree: Path) -> None:
    found = walked(tree)
    assert found == asked(tree)
    assert (found["runs"], found["rows"], found["values"][-1]) == (60, 1200, 0)


def test_a_table_without_rows(tmp_path: Path) -> None:
    write(tmp_path / "empty.db", [], PAGE)
    none = [0] * len(MEASURES)
    assert walked(tmp_path / "empty.db") == {"runs": 0, "run_ids": 0, "rows": 0, "values": none, "sums": none}


def test_whatever_byte_is_another_it_refuses_or_is_right(tree: Path, tmp_path: Path) -> None:
    """What it takes, SQLite reads to the same numbers."""
    whole, draw, refused = tree.read_bytes(), np.random.default_rng(1), 0
    path = tmp_path / "damaged.db"
    for _ in range(600):
        damaged = bytearray(whole)
        page = int(draw.integers(ROOT, len(whole) // PAGE + 1))
        # the beginning of a page says where all else is
        place = int(draw.integers(0, 40) if draw.random() < 0.5 else draw.integers(0, PAGE))
        damaged[(page - 1) * PAGE + place] = int(draw.integers(0, 256))
        path.write_bytes(damaged)
        try:
            found = walked(path)
        except ValueError:
            refused += 1
            continue
        assert found == asked(path)
    assert 150 < refused < 590


def cell(data: bytearray, page: int, number: int) -> int:
    """Where a row of a page begins."""
    start = (page - 1) * PAGE
    head = start + (12 if data[start] == 2 else 8) + 2 * number
    return start + int.from_bytes(data[head : head + 2], "big")


def leaf(data: bytearray) -> int:
    """The first page of rows."""
    return next(page for page in range(3, len(data) // PAGE + 1) if data[(page - 1) * PAGE] == 10)


def root_child(number: bytes) -> Any:
    def change(data: bytearray) -> None:
        data[(ROOT - 1) * PAGE + 8 : (ROOT - 1) * PAGE + 12] = number

    return change


def in_leaf(place: int, value: int) -> Any:
    def change(data: bytearray) -> None:
        data[(leaf(data) - 1) * PAGE + place] = value

    return change


def in_row(place: int, value: int) -> Any:
    def change(data: bytearray) -> None:
        data[cell(data, leaf(data), 0) + place] = value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (root_child(b"\xff\xff\xff\xff"), "a page is not in the file"),
        (root_child(b"\0\0\0\0"), "a page is not in the file"),
        (root_child(b"\0\0\0\2"), "not 1, 2|not in order|lead to each other"),
        (in_leaf(0, 13), "none of an index"),
        (in_leaf(3, 255), "more rows than room"),
        (in_leaf(8, 255), "a row is not in its page"),
        (in_leaf(9, 0), "has other columns|not in its page|no end"),
        (in_row(0, 128), "no end within its page"),
        (in_row(1, 4), "other columns"),
        (in_row(2, 0), "no key"),
        (in_row(2, 7), "something else than integers"),
        (in_row(4, 13), "something else than integers"),
        (in_row(2, 6), "shorter|longer|not in order|not 1, 2"),
    ],
)
def test_what_is_wrong_is_said(change: Any, why: str, tree: Path, tmp_path: Path) -> None:
    data = bytearray(tree.read_bytes())
    change(data)
    path = tmp_path / "wrong.db"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^page \d+: .*({why})"):
        walked(path)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "pages").write_bytes(bytes(4 * PAGE))
    with (tmp_path / "pages").open("wb") as file:
        file.truncate(4 * PAGE)
        with pytest.raises(OSError, match="Bad file descriptor"):
            tally(file.fileno(), PAGE, ROOT, len(MEASURES))


def test_more_columns_than_a_row_can_have(tree: Path) -> None:
    with tree.open("rb") as file, pytest.raises(ValueError, match="at most 8 measures"):
        tally(file.fileno(), PAGE, ROOT, 9)
