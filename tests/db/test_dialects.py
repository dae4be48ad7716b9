"""What SQLite and PostgreSQL say differently: done on SQLite, compiled for both."""

from __future__ import annotations

import ast
import re
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import column, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import locate
from bloxdb.db.dialects import ENGINES, engines_of, utc_now

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


def test_the_version_changes_when_another_writes_and_only_then(empty_db: Database) -> None:
    with empty_db.autocommit() as watcher:
        before = SQLITE.version(watcher)
        watcher.execute(text("INSERT INTO devices (name) VALUES ('own')"))
        assert SQLITE.version(watcher) == before
        with empty_db.transaction() as session:
            session.add(bloxdb.Device(name="another"))
        assert SQLITE.version(watcher) != before
        assert SERVER.version(watcher) is None


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


ADVICE = ("pg_dump", "PGPASS", "pgpass", "PGHOST", "PostgreSQL's", "psycopg", "default_transaction_read_only")
OF_POSTGRESQL = {"postgresql.py", "libpq.py"}


@pytest.mark.slow
@pytest.mark.parametrize("words", ADVICE)
def test_what_only_postgresql_has_is_said_by_its_own_class_alone(words: str) -> None:
    """A second kind of server would be told to use the tools of the first."""
    files = sorted(Path(bloxdb.__file__).parent.rglob("*.py"))
    assert {path.name for path in files} >= OF_POSTGRESQL
    found = {}
    for path in files:
        texts = [
            node.value
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        docstrings = _docstrings(path)
        if any(words in text and text not in docstrings for text in texts):
            found[path.name] = path
    assert set(found) <= OF_POSTGRESQL, found


@pytest.mark.parametrize("words", ["typeof", "json_valid", "integrity_check", "sqlite_temp_master"])
def test_what_only_sqlite_has_is_said_by_its_own_class_alone(words: str) -> None:
    ours = {"sqlite.py", "reading.py", "repairing.py"}  # what queries may ask, and what opens a damaged file
    files = Path(bloxdb.__file__).parent.rglob("*.py")
    assert {path.name for path in files if words in path.read_text()} <= ours


def _docstrings(path: Path) -> set[str]:
    """All texts that stand for themselves."""
    return {
        node.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_who_wants_a_copy_of_a_server_is_told_what_its_engine_says(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/blox"
    shown = "postgresql+psycopg://me:***@127.0.0.1:1/blox"
    target = tmp_path / "copy.db"
    with Database(make_url(url)) as db, pytest.raises(bloxdb.DatabaseError) as told:
        bloxdb.backup(target, db)
    plain = "postgresql://me@127.0.0.1:1/blox"
    assert str(told.value) == SERVER.BACKUP.format(name=shown, target=target, url=plain)
    with pytest.raises(bloxdb.DatabaseError) as told:
        bloxdb.repair(url)
    assert str(told.value) == SERVER.REPAIR


def test_each_engine_says_what_its_urls_look_like() -> None:
    for name, engines in ENGINES.items():
        assert locate(engines.FORM.replace("PORT", "1")).drivername in (name, f"{name}+{engines.DRIVER}")
        with pytest.raises(bloxdb.DatabaseNotFoundError, match=re.escape(engines.FORM)):
            locate("mysql://host/name")
