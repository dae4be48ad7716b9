"""Triggers of somebody's own: what is told as stored is stored, or nothing is and a sentence says why."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.cli import main
from bloxdb.db import sqlite
from bloxdb.db.base import Base
from bloxdb.db.engines import check_stored, insert_rows
from bloxdb.db.schema import Device
from bloxdb.runs import RecipeFacts, RunQueue

IGNORE = "SELECT RAISE(IGNORE);"
CHANGED = {
    "runs": "new.arch_id % 2", "epochs": "new.epoch = 2", "latencies": "new.arch_id % 2", "recipes": "1",
    "devices": "1", "envs": "1",
}  # fmt: skip

Entry = Callable[[Path, Path, Path], object]


def _by_queue(path: Path, tiny: Path, release: Path) -> object:
    with bloxdb.open(path, current=False) as db:
        return RunQueue(db, range(30), RecipeFacts("r", "digits", 1), 0).fill()


def _by_object(path: Path, tiny: Path, release: Path) -> object:
    with bloxdb.open(path, current=False) as db, db.transaction() as session:
        session.add(bloxdb.Device(name="mine"))
        return session


def _called(function: Any, *arguments: Any, path: Path, **options: Any) -> object:
    with bloxdb.open(path, current=False) as db:
        return function(*arguments, db, **options)


ENTRIES: dict[str, Entry] = {
    "import": lambda path, tiny, release: _called(bloxdb.import_release, release, path=path),
    "merge": lambda path, tiny, release: _called(bloxdb.merge, tiny, path=path),
    "parquet": lambda path, tiny, release: _called(bloxdb.import_parquet, tiny.parent / "parquet", path=path),
    "queue": _by_queue,
    "object": _by_object,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path, golden: Path) -> tuple[Path, Path]:
    """A database with its Parquet files beside it, and its release."""
    folder = tmp_path_factory.mktemp("triggers")
    tiny = Path(shutil.copy(tiny_file, folder / "tiny.db"))
    with bloxdb.open(tiny, current=False) as db:
        bloxdb.export_parquet(folder / "parquet", db)
    return tiny, golden / "release-tiny"


def with_trigger(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def counts(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in sqlite.TABLES]


def test_the_tables_are_those_of_the_schema() -> None:
    assert sorted(sqlite.TABLES) == sorted(Base.metadata.tables)


LEAVING_OUT = [
    "BEFORE INSERT ON runs WHEN 1 BEGIN SELECT raise ( ignore ); END",
    "BEFORE UPDATE OF seed ON RUNS BEGIN SELECT RAISE(IGNORE); END",
    'AFTER INSERT ON "runs" BEGIN DELETE FROM runs WHERE id = new.id; END',
    'AFTER INSERT ON Runs BEGIN delete\n from "Epochs" WHERE run_id = new.id; END',
    "BEFORE DELETE ON runs BEGIN INSERT OR REPLACE INTO latencies VALUES (1, 1, 1.0, NULL); END",
    "AFTER UPDATE ON [runs] BEGIN REPLACE INTO latencies VALUES (1, 1, 1.0, NULL); END",
]


@pytest.mark.parametrize("trigger", LEAVING_OUT)
def test_one_that_leaves_rows_out_keeps_everything_out_and_is_named(
    trigger: str, empty_file: Path, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    with_trigger(path, f"CREATE TRIGGER own {trigger}")
    before = counts(path)
    for entry in ENTRIES.values():
        with pytest.raises(
            bloxdb.DatabaseError, match=r"(?i)trigger own of table runs leaves rows out .*DROP TRIGGER own"
        ) as told:
            entry(path, *files)
        assert "\n" not in str(told.value)
    assert counts(path) == before


@pytest.mark.parametrize("table", CHANGED)
@pytest.mark.parametrize("command", ["import", "merge"])
def test_commands_say_so(
    command: str, table: str, empty_file: Path, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    with_trigger(
        path, f"CREATE TRIGGER own BEFORE INSERT ON {table} WHEN {CHANGED[table]} BEGIN {IGNORE} END"
    )
    given = files[1] if command == "import" else files[0]
    done = CliRunner().invoke(main, [command, str(given), "--db", str(path)])
    assert done.exit_code == 1
    assert f"the trigger own of table {table} leaves rows out" in done.output
    assert counts(path)[sqlite.TABLES.index("runs")] == 0


@pytest.mark.parametrize("name", ENTRIES)
def test_one_that_does_something_else_lets_all_through(
    name: str, empty_file: Path, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    plain, path = (Path(shutil.copy(empty_file, tmp_path / f"{name}.db")) for name in ("plain", "blox"))
    with_trigger(path, "CREATE TABLE log (id INTEGER, told TEXT)")
    for table in CHANGED:
        body = f"INSERT INTO log VALUES (1, 'ignore {table}'); DELETE FROM log WHERE id = 7;"
        with_trigger(path, f"CREATE TRIGGER own_{table} AFTER INSERT ON {table} BEGIN {body} END")
    with_trigger(
        path, "CREATE TRIGGER mine BEFORE INSERT ON log WHEN new.id = 2 BEGIN SELECT RAISE(IGNORE); END"
    )
    for each in (plain, path):
        ENTRIES[name](each, *files)
    assert counts(path) == counts(plain)
    with bloxdb.open(path, current=False) as db:
        assert db.rows("SELECT count(*) AS n FROM log")[0]["n"] > 0


@pytest.mark.parametrize("name", ENTRIES)
def test_one_that_refuses_undoes_all_with_its_own_words(
    name: str, empty_file: Path, tmp_path: Path, files: tuple[Path, Path]
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    for table in ("runs", "devices"):
        body = "SELECT RAISE(ABORT, 'not in my house');"
        with_trigger(path, f"CREATE TRIGGER own_{table} BEFORE INSERT ON {table} BEGIN {body} END")
    with pytest.raises(bloxdb.DatabaseError, match="not in my house"):
        ENTRIES[name](path, *files)
    found = dict(zip(sqlite.TABLES, counts(path), strict=True))
    assert [found[table] for table in ("runs", "epochs", "latencies", "devices")] == [0, 0, 0, 0]


def test_a_database_that_takes_fewer_rows_than_it_was_given_is_told(empty_db: Database) -> None:
    check_stored(Device, 3, 3)
    with pytest.raises(bloxdb.DatabaseError, match=r"table devices took 2 of 3 rows: .*Nothing was stored"):
        check_stored(Device, 2, 3)
    with empty_db.transaction() as session:
        insert_rows(session, Device, [])
        insert_rows(session, Device, [{"name": "a"}, {"name": "b"}])
        assert session.scalars(text("SELECT name FROM devices ORDER BY name")).all() == ["a", "b"]
