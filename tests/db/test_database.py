"""Databases that are open: what may be opened, transactions, rows, and which one is asked."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text

import bloxdb
from bloxdb import Database, space
from bloxdb.db import forking


def test_opening_nothing_says_how_to_create(tmp_path: Path) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError, match="bloxdb init --db .*none.db"):
        bloxdb.open(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_other_files_are_refused_untouched(tmp_path: Path) -> None:
    text_file, other, folder, empty = (tmp_path / name for name in ("a.txt", "b.db", "c", "empty.db"))
    empty.touch()
    text_file.write_text("hello " * 50)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    folder.mkdir()
    for path, message in (
        (text_file, "not an SQLite file"),
        (other, "not a bloxdb database"),
        (empty, "empty.db is empty; .* remove it, and create a database with `bloxdb init --db .*empty.db`"),
        (folder, "cannot be read"),
    ):
        for action in (bloxdb.open, bloxdb.upgrade):
            with pytest.raises(bloxdb.NotADatabaseError, match=message):
                action(path)
    assert text_file.read_text() == "hello " * 50


def test_a_read_only_database_refuses_writing(empty_file: Path) -> None:
    with bloxdb.open(empty_file, read_only=True) as db:
        assert "read only" in repr(db)
        for way in (db.transaction, db.bulk_transaction):
            with (
                pytest.raises(bloxdb.DatabaseError, match="is open read only; open it without read_only"),
                way(),
            ):
                pass
        with pytest.raises(bloxdb.DatabaseError, match="a query only reads"):
            db.rows("DELETE FROM blocks")


def test_a_failed_transaction_leaves_nothing(empty_db: Database) -> None:
    device = text("INSERT INTO devices (id, name) VALUES (1, 'a')")
    latency = text("INSERT INTO latencies VALUES (91125, 1, 1.0, NULL)")

    def write() -> None:
        with empty_db.transaction() as session:
            session.execute(device)
            session.execute(latency)

    with pytest.raises(bloxdb.DatabaseError, match="FOREIGN KEY"):
        write()
    assert empty_db.rows("SELECT * FROM devices") == []


def test_sql_that_is_none_is_a_sentence(empty_db: Database) -> None:
    with pytest.raises(bloxdb.DatabaseError, match='near "SELEC"'):
        empty_db.rows("SELEC 1")


def test_the_database_opened_last_is_asked_and_a_closed_one_is_not(empty_file: Path, tiny_file: Path) -> None:
    with bloxdb.open(empty_file, read_only=True) as first:
        with bloxdb.open(tiny_file, read_only=True):
            assert len(bloxdb.top(3)) == 3
        assert bloxdb.top(3, db=first) == []


def test_an_autocommitted_statement_is_there_at_once(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        connection.execute(text("INSERT INTO devices (name) VALUES ('a')"))
        assert empty_db.rows("SELECT name FROM devices") == [{"name": "a"}]
    with pytest.raises(bloxdb.DatabaseError, match="UNIQUE"), empty_db.autocommit() as connection:
        connection.execute(text("INSERT INTO devices (name) VALUES ('a')"))


def test_snapshots_all_see_one_state(empty_db: Database) -> None:
    count = text("SELECT count(*) FROM devices")
    with empty_db.snapshots(3) as sessions:
        assert len(sessions) == 3
        with empty_db.transaction() as session:
            session.add(bloxdb.Device(name="late"))
        assert [session.scalar(count) for session in sessions] == [0, 0, 0]
    assert empty_db.reader.scalar(count) == 1


def test_rows_of_a_query_are_dicts(empty_db: Database) -> None:
    query = select(bloxdb.Block.id, bloxdb.Block.scheme).where(bloxdb.Block.id == bindparam("which"))
    assert empty_db.rows_of(query, which=0) == [{"id": 0, "scheme": space.BLOCKS[0].scheme}]


def test_changing_the_folder_changes_nothing(
    empty_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(empty_file, tmp_path / "blox.db")
    monkeypatch.chdir(tmp_path)
    with bloxdb.open("blox.db") as db:
        monkeypatch.chdir(tmp_path / "other")
        assert db.path == tmp_path / "blox.db"
        with db.transaction() as session:  # a new connection
            session.add(bloxdb.Device(name="a"))
        assert db.rows("SELECT name FROM devices") == [{"name": "a"}]
    assert list((tmp_path / "other").iterdir()) == []


def entered(manager: Any) -> None:
    with manager:
        pass


ASKED: dict[str, Callable[[Database], Any]] = {
    "reader": lambda db: db.reader,
    "transaction": lambda db: entered(db.transaction()),
    "bulk_transaction": lambda db: entered(db.bulk_transaction()),
    "autocommit": lambda db: entered(db.autocommit()),
    "snapshot": lambda db: entered(db.snapshot()),
    "snapshots": lambda db: entered(db.snapshots(2)),
    "scratch": lambda db: entered(db.scratch()),
    "rows": lambda db: db.rows("SELECT 1"),
    "ask": lambda db: db.ask("SELECT 1"),
    "rows_of": lambda db: db.rows_of(select(1)),
    "with": entered,
}


@pytest.mark.parametrize("way", ASKED)
def test_a_closed_database_says_so_whatever_it_is_asked(way: str, empty_db: Database, tmp_path: Path) -> None:
    ASKED[way](empty_db)
    empty_db.close()
    there = sorted(tmp_path.iterdir())
    with pytest.raises(bloxdb.DatabaseError, match=r"blox\.db was closed; open it again with bloxdb\.open$"):
        ASKED[way](empty_db)
    assert sorted(tmp_path.iterdir()) == there


def test_a_folder_beside_the_file_is_there_for_a_while_where_something_may_be_written(
    empty_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    with bloxdb.open(path) as db, db.scratch() as folder:
        assert folder is not None
        assert folder.parent == tmp_path
        assert folder.is_dir()
    assert not folder.exists()
    with bloxdb.open(path, read_only=True) as db, db.scratch() as folder:
        assert folder is None


def test_a_database_that_cannot_be_used_is_not_left_open(empty_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(bloxdb.RevisionError, match="9999"):
        bloxdb.open(path)
    still = [one for one in forking.connections_to(path) if is_open(one)]
    assert still == []


def is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False
