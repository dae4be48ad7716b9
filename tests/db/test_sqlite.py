"""What SQLite alone says, done on files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import file_url
from bloxdb.db.sqlite import APPLICATION_ID, SQLite
from bloxdb.db.waiting import at_most

SQLITE = SQLite()


def test_the_driver_is_asked_with_question_marks(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        driver = connection.connection.driver_connection
        found = SQLITE.fetch(driver, "SELECT id FROM blocks WHERE id IN (?, ?) ORDER BY id", (3, 7))
    assert found == [(3,), (7,)]


def test_a_writer_begins_and_switches_the_wal_on_and_who_commits_at_once_does_neither(
    empty_db: Database,
) -> None:
    def state(connection: Connection) -> tuple[bool, str]:
        driver: Any = connection.connection.driver_connection
        return driver.in_transaction, driver.execute("PRAGMA journal_mode").fetchone()[0]

    with empty_db.autocommit() as connection:
        assert state(connection) == (False, "delete")
    with empty_db.engine.execution_options(**SQLITE.SNAPSHOT).connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert state(connection) == (True, "delete")
    for _ in range(2):  # the second finds it on
        with empty_db.transaction() as session:
            assert state(session.connection()) == (True, "wal")


def test_a_file_that_is_being_made_has_no_wal(tmp_path: Path) -> None:
    with Database(file_url(tmp_path / "new.db"), new=tmp_path / "blox.db") as db:
        with db.transaction() as session:
            session.execute(text("CREATE TABLE t (a)"))
        assert db.rows("PRAGMA journal_mode") == [{"journal_mode": "memory"}]
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"]


def test_a_bulk_transaction_checks_no_references_and_puts_all_back(empty_db: Database) -> None:
    latency = text("INSERT INTO latencies VALUES (91125, 1, 1.0, NULL)")
    with empty_db.bulk_transaction() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        assert session.scalar(text("PRAGMA journal_mode")) == "delete"
        assert session.scalar(text("PRAGMA foreign_keys")) == 0
        session.execute(text("ATTACH ':memory:' AS other"))
        session.execute(latency)
    assert empty_db.rows("SELECT arch_id FROM latencies") == [{"arch_id": 91_125}]
    # the same connection goes back into the pool, and the next transaction gets it
    assert driver.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert driver.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert driver.execute("PRAGMA busy_timeout").fetchone() == (30_000,)
    assert "other" not in [row[1] for row in driver.execute("PRAGMA database_list")]


def test_a_bulk_transaction_that_fails_leaves_nothing(empty_db: Database) -> None:
    def write() -> None:
        with empty_db.bulk_transaction() as session:
            session.execute(text("INSERT INTO devices (name) VALUES ('a')"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert empty_db.rows("SELECT * FROM devices") == []
    assert empty_db.rows("PRAGMA journal_mode") == [{"journal_mode": "delete"}]


def test_a_bulk_transaction_that_never_began_leaves_the_references_checked(
    empty_db: Database,
) -> None:
    with closing(sqlite3.connect(empty_db.path or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with at_most(0.05), pytest.raises(bloxdb.DatabaseError, match="lock"), empty_db.bulk_transaction():
            pass
    for _ in range(3):  # whichever connection of the pool it is
        with empty_db.transaction() as session:
            assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_bulk_transaction_goes_on_where_sqlite_has_rolled_back(empty_db: Database) -> None:
    def write() -> None:
        with empty_db.bulk_transaction() as session:
            session.execute(text("INSERT INTO devices (name) VALUES ('a')"))
            session.execute(text("INSERT OR ROLLBACK INTO devices (name) VALUES ('a')"))

    with pytest.raises(bloxdb.DatabaseError, match="UNIQUE"):
        write()
    assert empty_db.rows("SELECT * FROM devices") == []


def test_a_migration_that_breaks_a_reference_is_refused(empty_db: Database) -> None:
    latency = text("INSERT INTO latencies VALUES (91125, 1, 1.0, NULL)")

    def migrate() -> None:
        with empty_db.autocommit() as connection, SQLITE.migration(connection):
            connection.execute(latency)

    with pytest.raises(bloxdb.DatabaseError, match="broke 2 references; nothing was changed"):
        migrate()
    assert empty_db.rows("SELECT * FROM latencies") == []


def test_a_new_file_is_marked_and_finished(empty_db: Database) -> None:
    path = empty_db.path
    assert path is not None
    with empty_db.autocommit() as connection:
        connection.execute(text("PRAGMA application_id = 0"))
        connection.execute(text("DELETE FROM sqlite_stat1"))
        SQLITE.mark(connection)
        SQLITE.finish(connection)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert other.execute("SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'archs'").fetchone()[0] > 0
