"""What SQLite alone says, done on files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    select,
    text,
)

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import file_url
from bloxdb.db.schema import Device, Epoch
from bloxdb.db.sqlite import APPLICATION_ID, SQLite, is_untouched
from bloxdb.db.waiting import at_most

SQLITE = SQLite()


def test_the_driver_is_asked_with_question_marks(empty_db: Database) -> None:
    found = SQLITE.fetch(empty_db.reader, "SELECT id FROM blocks WHERE id IN (?, ?) ORDER BY id", (3, 7))
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
    assert driver.execute("PRAGMA busy_timeout").fetchone() == (200,)
    assert driver.patience == 30
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

    with pytest.raises(
        bloxdb.DatabaseError, match="the migration of the database broke 2 references; nothing was changed"
    ):
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


KINDS = {
    "integer": (Integer, [5, 0, -(2**40), None], ["x", 1.5, b"5"]),
    "flag": (Boolean, [0, 1, None], ["true", 0.5]),
    "number": (Double, [1.5, 2, None], ["x", b"1"]),
    "text": (Text, ["x", "", None], [b"x", b"\xff"]),
    "date": (DateTime, ["2026-01-01 10:00:00.000000", None], ["soon", b"2026"]),
    "JSON": (JSON, ['{"a": 1}', "[]", "null", None], ["{", "", b"{}"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_kind_than_its_column_is_found(kind: str) -> None:
    of, right, wrong = KINDS[kind]
    table = Table("t", MetaData(), Column("id", Integer), Column("value", of))
    found = SQLITE.other_kind(table.c.value)
    assert found is not None
    what, condition = found
    assert what == {"flag": "integer"}.get(kind, kind)
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id, value)")  # which holds anything, as an old file may
        for number, value in enumerate([*right, *wrong]):
            connection.exec_driver_sql("INSERT INTO t VALUES (?, ?)", (number, value))
        ids = connection.scalars(select(table.c.id).where(condition).order_by(table.c.id)).all()
        assert ids == list(range(len(right), len(right) + len(wrong)))
    engine.dispose()


def test_stored_texts_are_bytes_whatever_they_spell() -> None:
    table = Table("t", MetaData(), Column("value", JSON))
    query = SQLITE.stored_texts(table.c.value)
    assert query is not None
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (value)")
        connection.exec_driver_sql(
            "INSERT INTO t VALUES ('a'), (CAST(x'ff41' AS TEXT)), (x'00'), (5), (NULL)"
        )
        assert connection.scalars(query).all() == [b"a", b"\xffA"]
    engine.dispose()


@pytest.mark.parametrize(
    ("scale", "values", "text"),
    [
        (1, [5, None, -7], "5,,-7"),
        (1_000, [1.5, None, 33.333], "1500,,33333"),
        (1_000, [0.0005, 2.0], "x,2000"),
    ],
)
def test_numbers_of_a_column_are_one_text_of_integers(scale: int, values: list[Any], text: str) -> None:
    table = Table("t", MetaData(), Column("value", Double))
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (value)")
        for value in values:
            connection.exec_driver_sql("INSERT INTO t VALUES (?)", (value,))
        packed = SQLITE.packed(table.c.value, scale)
        assert packed is not None
        assert connection.scalar(select(packed)) == text
    engine.dispose()


TOUCHES = {
    "a row": "INSERT INTO latencies VALUES (1, 1, 1.0, NULL)",
    "a column more": "ALTER TABLE latencies ADD COLUMN mine",
    "an index": "CREATE INDEX mine ON latencies (latency_ms)",
    "a view": "CREATE VIEW mine AS SELECT * FROM latencies",
    "a trigger": "CREATE TRIGGER mine AFTER INSERT ON latencies BEGIN SELECT 1; END",
    "a temporary view": "CREATE TEMP VIEW mine AS SELECT * FROM main.latencies",
}


@pytest.mark.parametrize("what", TOUCHES)
def test_a_table_is_untouched_until_somebody_does_something_with_it(what: str, empty_db: Database) -> None:
    table: Any = Epoch.__table__
    words = TOUCHES[what].replace("latencies", "epochs").replace("latency_ms", "epoch")
    words = words.replace("VALUES (1, 1, 1.0, NULL)", "(run_id, epoch) VALUES (1, 1)")
    with empty_db.engine.execution_options(**SQLITE.AUTOCOMMIT).connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        assert is_untouched(connection, table)
        connection.exec_driver_sql(words)
        assert not is_untouched(connection, table)


def test_new_ids_go_on_after_the_highest(empty_db: Database) -> None:
    column: Any = Device.__table__.c.id
    with empty_db.transaction() as session:
        assert SQLITE.new_ids(session, column, 3) == [1, 2, 3]
        session.add(Device(id=7, name="mine"))
        session.flush()
        assert SQLITE.new_ids(session, column, 2) == [8, 9]
        assert SQLITE.new_ids(session, column, 0) == []
