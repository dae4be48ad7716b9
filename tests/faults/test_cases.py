"""The harness sees every value: whatever is changed in a database, it is not as it was."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Integer, Numeric

from bloxdb import Database
from bloxdb.db.schema import Base
from tests.faults.cases import CLOCKS, NUMBERED, Numbers, check, content, rows, state, tables


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_a_change_of_any_value_is_seen(table: str, tiny_db: Database) -> None:
    of = Base.metadata.tables[table]
    key = ", ".join(column.name for column in of.primary_key)
    with closing(sqlite3.connect(tiny_db.path or "", isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert table in tables(connection)
        numbers: Numbers = {}
        for name in NUMBERED:
            rows(connection, name, numbers)
        before = rows(connection, table, numbers)
        for column in of.columns:
            if (
                column.computed is not None
                or column.name in CLOCKS
                or (table in NUMBERED and column.name == "id")
            ):
                continue
            is_number = isinstance(column.type, Integer | Numeric)
            other = (
                f"coalesce({column.name}, 0) + 1000003"
                if is_number
                else f"coalesce({column.name}, '') || 'x'"
            )
            connection.execute("BEGIN")
            connection.execute(
                f"UPDATE {table} SET {column.name} = {other} "
                f"WHERE ({key}) = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1)"
            )
            assert rows(connection, table, numbers) != before, column.name
            connection.execute("ROLLBACK")
        assert rows(connection, table, numbers) == before


def test_numbers_of_ours_and_clocks_are_not_seen(tiny_db: Database) -> None:
    assert tiny_db.path is not None
    before = content(tiny_db.path)
    with tiny_db.bulk_transaction() as session:
        connection = session.connection()
        for change in (
            "UPDATE runs SET id = id + 100, started_at = CURRENT_TIMESTAMP, worker = 'HOST:1'",
            "UPDATE epochs SET run_id = run_id + 100",
            "UPDATE recipes SET id = id + 7",
            "UPDATE runs SET recipe_id = recipe_id + 7",
        ):
            connection.exec_driver_sql(change)
    assert content(tiny_db.path) == before


def _spoil(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO devices (name) VALUES ('half')")


WRONG: dict[str, Callable[[Path], object]] = {
    "half of a release's files": lambda folder: (folder / "out" / "a.blox").unlink(),
    "a file that is half-written": lambda folder: (folder / "out" / "a.blox").write_bytes(b"fir"),
    "a database that is lost": lambda folder: (folder / "blox.db").unlink(),
    "a database that is half-filled": lambda folder: _spoil(folder / "blox.db"),
    "a file of before that is lost": lambda folder: (folder / "mine.txt").unlink(),
    "a file that nobody knows": lambda folder: (folder / "other.txt").write_bytes(b""),
    "a copy that is not the database as it was": lambda folder: _spoil(_copy(folder)),
}


def _copy(folder: Path) -> Path:
    return Path(shutil.copy(folder / "blox.db", folder / "blox.0005.20260101T000000000000Z.db"))


@pytest.fixture
def exported(tmp_path: Path, tiny_file: Path) -> Path:
    """A folder with what an export has made."""
    shutil.copy(tiny_file, tmp_path / "blox.db")
    (tmp_path / "mine.txt").write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    for name in ("a.blox", "b.blox"):
        (tmp_path / "out" / name).write_bytes(b"first")
    return tmp_path


@pytest.mark.parametrize("kind", WRONG)
def test_a_folder_that_is_neither_as_before_nor_as_after_is_seen(kind: str, exported: Path) -> None:
    after = state(exported)
    before = {name: of for name, of in after.items() if not name.startswith("out")}
    check(exported, before, after)
    WRONG[kind](exported)
    with pytest.raises(
        AssertionError, match="not as before in .* and not as after in|is not the database as"
    ):
        check(exported, before, after)


def test_a_folder_as_before_is_taken_and_one_with_a_copy(exported: Path) -> None:
    after = state(exported)
    shutil.rmtree(exported / "out")
    before = state(exported)
    _copy(exported)
    check(exported, before, after)
