"""What SQLite and PostgreSQL say differently: done on SQLite, compiled for both."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, column, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import file_url
from bloxdb.db.dialects import APPLICATION_ID, begins_to_read, engines_of, for_psycopg, utc_now
from bloxdb.db.waiting import at_most

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}
SQLITE, SERVER = (engines_of(dialect) for dialect in DIALECTS.values())


def compiled(element: object, name: str) -> str:
    options = {"literal_binds": True}
    return str(element.compile(dialect=DIALECTS[name], compile_kwargs=options))  # type: ignore[attr-defined]


def test_a_url_and_a_dialect_name_the_same_ways() -> None:
    assert engines_of(make_url("sqlite:///a.db")) is SQLITE
    assert engines_of(make_url("postgresql+psycopg://h/d")) is SERVER
    assert (SQLITE.RECREATES, SERVER.RECREATES) == (True, False)


def test_the_time_is_that_of_each_database() -> None:
    assert compiled(utc_now(90), "sqlite") == "strftime('%Y-%m-%d %H:%M:%f000', 'now', -90.0 || ' seconds')"
    assert compiled(utc_now(90), "postgresql") == (
        "(clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => -90.0))"
    )


def test_values_of_a_group_are_listed_as_each_database_does() -> None:
    assert compiled(SQLITE.listed(column("x")), "sqlite") == "group_concat(coalesce(x, ''))"
    assert (
        compiled(SERVER.listed(column("x")), "postgresql") == "string_agg(coalesce(CAST(x AS TEXT), ''), ',')"
    )


def test_null_is_nothing_between_two_commas(empty_db: Database) -> None:
    values = select(SQLITE.listed(column("x")).label("all")).select_from(
        text("(SELECT 1 AS x UNION ALL SELECT NULL UNION ALL SELECT 3)")
    )
    assert empty_db.rows_of(values) == [{"all": "1,,3"}]


def test_seconds_ago_are_before_now(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        now, then = connection.execute(select(utc_now(), utc_now(60))).one()
    assert isinstance(now, datetime)
    assert 59.9 < (now - then).total_seconds() < 60.1


def test_the_driver_is_asked_with_question_marks(empty_db: Database) -> None:
    with empty_db.autocommit() as connection:
        driver = connection.connection.driver_connection
        found = SQLITE.fetch(driver, "SELECT id FROM blocks WHERE id IN (?, ?) ORDER BY id", (3, 7))
    assert found == [(3,), (7,)]


def test_the_version_changes_when_another_writes_and_only_then(empty_db: Database) -> None:
    with empty_db.autocommit() as watcher:
        before = SQLITE.version(watcher)
        watcher.execute(text("INSERT INTO devices (name) VALUES ('own')"))
        assert SQLITE.version(watcher) == before
        with empty_db.transaction() as session:
            session.add(bloxdb.Device(name="another"))
        assert SQLITE.version(watcher) != before
        assert SERVER.version(watcher) is None


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


def test_each_engine_knows_its_own_refusals() -> None:
    refused, odd = (
        sqlite3.OperationalError("no"),
        sqlite3.OperationalError("not authorized to use function: f"),
    )
    refused.sqlite_errorcode = sqlite3.SQLITE_AUTH  # type: ignore[misc]
    assert SQLITE.is_refusal(refused)
    assert SQLITE.is_refusal(odd)  # has no code of its own
    assert not SQLITE.is_refusal(sqlite3.OperationalError("no such table: t"))
    assert not SQLITE.is_refusal(None)
    server = Exception("cannot execute DELETE in a read-only transaction")
    server.sqlstate = "25006"  # type: ignore[attr-defined]
    assert SERVER.is_refusal(server)
    assert not SERVER.is_refusal(Exception("anything else"))


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


LONG = 100_000
BANNERS = {
    "dashes": "-" * LONG,
    "dashes in lines": "--\n" * LONG,
    "dashes with spaces": "-- " * LONG,
    "comments in comments": "/*" * LONG,
    "comments": "/* */" * LONG,
    "a comment that is not closed": "/* -- " * LONG,
    "ends of comments": "*/" * LONG,
    "brackets": "( " * LONG,
    "spaces": " \n" * LONG,
    "quotes": "'" * (LONG + 1),
    "quotes with E": "e'\\'" * LONG,
    "double quotes": '"' * (LONG + 1),
    "tags": "".join(f"$a{n}$ " for n in range(LONG // 5)),
    "dollars": "$" * LONG,
    "colons": ":" * LONG,
    "backslashes": "e'" + "\\" * LONG,
    "words": "a" * LONG,
}


@pytest.mark.parametrize("name", BANNERS)
@pytest.mark.parametrize("before", ["", "SELECT "])
@pytest.mark.parametrize("after", ["", "\nDELETE FROM runs"])
def test_a_statement_is_gone_over_once_whatever_is_in_it(name: str, before: str, after: str) -> None:
    sql = before + BANNERS[name] + after
    start = time.process_time()
    assert begins_to_read(sql) == (before != "")
    for_psycopg(sql)
    assert time.process_time() - start < 2  # twice as many characters took twice as many twice over


@pytest.mark.parametrize(
    ("before", "is_read"),
    [
        ("", True), ("-- a\n", True), ("-- SELECT", False), ("--\n--\n ( (", True), ("/* a */", True),
        ("/* /* */ */ -- a\n/**/", True), ("/* /* */", False), ("/*/ */", True), ("--/*\n", True),
        ("/* -- */", True), ("*/", False), ("DELETE; ", False), ("x", False), ("/*", False), ("-- /* \n */", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "word", ["SELECT 1", "with x AS (SELECT 1) SELECT 2", "VALUES (1)", "TABLE runs", "show all"]
)
def test_the_first_word_counts_after_brackets_and_comments(before: str, is_read: bool, word: str) -> None:
    assert begins_to_read(before + word) is is_read


@pytest.mark.parametrize(
    "word", ["", "SELECTED", "COPY runs TO 'a'", "SET x = 1", "DELETE FROM runs", "/* SELECT"]
)
def test_any_other_word_is_no_query(word: str) -> None:
    assert not begins_to_read(word)
    assert not begins_to_read(f"/* of /* all */ SELECT */ {word}")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :b_1", "SELECT %(a)s, %(b_1)s"),
        ("SELECT ':a' || \":a\" || E'\\':a' || :a", "SELECT ':a' || \":a\" || E'\\':a' || %(a)s"),
        ("SELECT $$:a$$, $x$:a $y$ $x$, :a", "SELECT $$:a$$, $x$:a $y$ $x$, %(a)s"),
        ("SELECT a$b$ , :a , c$b$", "SELECT a$b$ , %(a)s , c$b$"),  # names, which may have dollars
        ("SELECT 1::int % :a -- :a %", "SELECT 1::int %% %(a)s -- :a %%"),
        ("SELECT /* :a */ :a, '%", "SELECT /* :a */ %(a)s, '%%"),
    ],
)
def test_values_are_named_as_psycopg_has_them_and_texts_stay(sql: str, expected: str) -> None:
    assert for_psycopg(sql) == expected
