"""What SQLite's errors say, and those that are none of SQLite's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from bloxdb.db.codes import code_of, kind_of


def test_a_code_has_a_kind_and_what_the_driver_finds_has_none() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError) as twice:
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError) as odd:
            connection.execute("SELECT CAST(x'ff' AS TEXT)").fetchone()
    assert code_of(twice.value) == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
    assert kind_of(twice.value) == sqlite3.SQLITE_CONSTRAINT
    for none in (odd.value, ValueError(), None):
        assert (code_of(none), kind_of(none)) == (0, 0)


def test_codes_are_asked_for_in_one_place() -> None:
    """Others would forget the errors that have none, or the part of a code that is the kind."""
    files = Path(bloxdb.__file__).parent.rglob("*.py")
    assert [path.name for path in files if "sqlite_errorcode" in path.read_text()] == ["codes.py"]
