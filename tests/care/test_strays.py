"""Pages of damaged files that nothing leads to: all that is sure to be of a table is read, and nothing else."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from bloxdb.care.salvage import DamagedTable, Gap, Row, damaged_file
from bloxdb.care.strays import Strays
from bloxdb.care.trees import Key
from tests.care.damage import EPOCHS, PAGE, STORED, TABLES, damaged, overwrite, pages_of, small_database

KEYS = {name: ("run_id", "epoch") if name == "epochs" else ("rowid",) for name in TABLES}


class Found(NamedTuple):
    """What was read of a table: by SQLite, of pages that nothing leads to, and what was not read."""

    rows: list[Row]
    strays: list[Row]
    gaps: list[Gap]
    left_out: list[str]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    return small_database(tmp_path_factory.mktemp("strays") / "small.db", empty_file)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, small: Path) -> Path:
    """A database of which runs were deleted, and others trained anew, so that free pages have old rows."""
    path = Path(shutil.copy(small, tmp_path_factory.mktemp("used") / "used.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        for run in (*range(3, 20), 25, 26, 27, 36):
            connection.execute("DELETE FROM epochs WHERE run_id = ?", (run,))
        connection.execute("DELETE FROM runs WHERE id IN (25, 26, 36)")
        again = (
            f"INSERT INTO epochs ({STORED}) SELECT 7 + run_id % 2, {STORED.partition(', ')[2]} FROM epochs"
        )
        connection.execute(f"{again} WHERE run_id IN (30, 31)")
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        assert free > 30
    return path


def columns_of(source: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in source.execute(f"PRAGMA table_xinfo({table})") if row[6] != 2]


def read(path: Path) -> dict[str, Found]:
    """All tables of a file as a repair reads them."""
    found = {}
    with damaged_file(path, path.parent) as source:
        strays = Strays(source)
        for table in TABLES:

            def probes(after: Key | None, before: Key | None, table: str = table) -> Iterable[Key]:
                if table == "epochs":
                    return ((run, epoch) for run in range(1, 41) for epoch in (1, 11, 21))
                return ((rowid,) for rowid in range(1, 201))

            columns = columns_of(source, table)
            if not columns:  # the list of tables is damaged
                found[table] = Found([], [], [Gap(None, None)], [])
                continue
            reading = DamagedTable(source, table, columns, KEYS[table], probes)
            rows = [row for some in reading.rows() for row in some]
            more = [row for some in strays.rows(table, columns, KEYS[table], reading.gaps) for row in some]
            found[table] = Found(rows, more, reading.gaps, strays.left_out)
    return found


def true_rows(path: Path) -> dict[str, dict[Key, Row]]:
    """All rows of a whole file by their keys."""
    found = {}
    with closing(sqlite3.connect(path)) as source:
        for table in TABLES:
            columns = columns_of(source, table)
            rows = source.execute(f"SELECT {', '.join((*KEYS[table], *columns))} FROM {table}").fetchall()
            width = len(KEYS[table])
            found[table] = {row[:width]: row[width:] for row in rows}
    return found


def in_a_gap(key: Key, gaps: list[Gap]) -> bool:
    return any(
        (gap.after is None or key > gap.after) and (gap.before is None or key < gap.before) for gap in gaps
    )


def check_honest(path: Path, true: dict[str, dict[Key, Row]]) -> int:
    """Every row that was read is a true one, once, and each other one is said to be lost; how many strays."""
    count = 0
    for table, found in read(path).items():
        rows = [*found.rows, *found.strays]
        assert set(rows) <= set(true[table].values()), table
        assert len(set(rows)) == len(rows), table
        lost = {key for key, row in true[table].items() if row not in set(rows)}
        assert [key for key in lost if not (in_a_gap(key, found.gaps) or found.left_out)] == []
        count += len(found.strays)
    return count


@pytest.mark.parametrize("which", ["small", "used"])
def test_all_leaves_are_found_without_the_inner_pages(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole = request.getfixturevalue(which)
    true = true_rows(whole)
    path = tmp_path / "damaged.db"
    for table, name in (("epochs", "epochs"), ("runs", "runs"), ("latencies", "latencies")):
        content = bytearray(whole.read_bytes())
        for page in pages_of(whole, name, "internal"):
            overwrite(content, page, b"\xff" * PAGE)
        path.write_bytes(content)
        found = read(path)
        separators = len(pages_of(whole, name, "leaf")) - 1 if table == "epochs" else 0
        assert (found[table].rows, found[table].left_out) == ([], [])
        assert len(found[table].strays) == len(true[table]) - separators
        assert check_honest(path, true) == len(found[table].strays)


def test_rows_of_inner_pages_are_found_too(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(small.read_bytes())
    root, *inner = pages_of(small, "epochs", "internal")
    assert len(inner) > 2
    overwrite(content, root, bytes(PAGE))
    path.write_bytes(content)
    found = read(path)["epochs"]
    assert len(found.strays) == len(true_rows(small)["epochs"]) - (len(inner) - 1)
    assert check_honest(path, true_rows(small)) == len(found.strays)


@pytest.mark.parametrize("seed", range(3))
def test_no_row_is_wrong_after_any_damage(small: Path, used: Path, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "damaged.db"
    for whole in (small, used):
        true = true_rows(whole)
        content = whole.read_bytes()
        for case in range(12):
            path.write_bytes(damaged(content, random.Random(f"{seed} {case}")))
            try:
                check_honest(path, true)
            except sqlite3.DatabaseError:  # of the list of tables
                continue


def test_where_the_list_of_free_pages_is_damaged_nothing_is_taken_and_that_is_said(
    used: Path, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(used.read_bytes())
    for page in pages_of(used, "epochs", "internal"):
        overwrite(content, page, bytes(PAGE))
    trunk = int.from_bytes(content[32:36], "big")
    for change in ("a page of it is zeros", "it is shorter", "it is not there"):
        changed = bytearray(content)
        if change == "a page of it is zeros":
            overwrite(changed, trunk, bytes(PAGE))
        elif change == "it is shorter":
            changed[36:40] = (int.from_bytes(content[36:40], "big") - 1).to_bytes(4, "big")
        else:
            changed[32:36] = (len(content) // PAGE + 9).to_bytes(4, "big")
        path.write_bytes(changed)
        found = read(path)["epochs"]
        assert (found.rows, found.strays) == ([], []), change
        (said,) = found.left_out
        assert said.startswith("of epochs left out were "), change
        assert said.endswith("the list of pages whose rows were deleted is damaged, or was cut off"), change


def test_a_page_that_is_there_twice_is_left_out_with_its_copy(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(small.read_bytes())
    for page in pages_of(small, "epochs", "internal"):
        overwrite(content, page, bytes(PAGE))
    one, two, *_ = pages_of(small, "epochs", "leaf")
    overwrite(content, two, content[(one - 1) * PAGE : one * PAGE])
    path.write_bytes(content)
    found = read(path)["epochs"]
    assert found.left_out == ["of epochs left out were 2 pages to which nothing leads: others say otherwise"]
    assert check_honest(path, true_rows(small)) == len(found.strays)


@pytest.mark.parametrize("name", ["ix_runs_recipe_id_seed_arch_id", "ix_runs_of_archs", "runs"])
def test_a_page_of_another_tree_gives_no_rows(small: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(small.read_bytes())
    other = pages_of(small, name, "leaf")[0]
    for at in (0, 5, -1):
        page = pages_of(small, "epochs", "leaf")[at]
        overwrite(content, page, content[(other - 1) * PAGE : other * PAGE])
    path.write_bytes(content)
    check_honest(path, true_rows(small))
    found = read(path)["epochs"]
    assert len(found.gaps) == 3
    assert all(len(row) == 8 and row[1] <= EPOCHS for row in (*found.rows, *found.strays))


def test_what_is_whole_has_no_strays(small: Path, used: Path) -> None:
    for path in (small, used):
        true = true_rows(path)
        for table, found in read(path).items():
            assert found.rows == list(true[table].values())
            assert (found.strays, found.gaps, found.left_out) == ([], [], [])
