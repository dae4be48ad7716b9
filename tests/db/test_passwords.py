"""Passwords are never shown; which of them stay out of pickles is in `test_libpq`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

import bloxdb
from bloxdb.db.connection import locate
from bloxdb.db.database import Database
from bloxdb.db.passwords import for_a_pickle, for_tools, hidden, hidden_in


def test_nothing_is_said_where_there_is_no_password() -> None:
    for url in (
        make_url("postgresql+psycopg://me@db.example/blox"),
        URL.create("sqlite", database="/tmp/blox.db"),
    ):
        assert for_a_pickle(url, "it") is url


SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@db.example/blox",
        f"postgresql://me@db.example/blox?password={SECRET}",
        f"postgresql://db.example/blox?user=me&password={SECRET}&port=5433",
        f"postgresql://me@db.example/blox?sslkey=k&sslpassword={SECRET}",
        f"postgresql://me:{SECRET}@db.example/blox?password={SECRET}",
        f"postgresql://me:{SECRET}@/blox?host=a,b",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    found = locate(url)
    db = Database(found, read_only=True)
    for text in (hidden(found), hidden_in(url), db.name, repr(db)):
        assert SECRET not in text
        assert "***" in text
        assert "me" in text
    with pytest.warns(UserWarning, match="is in the pickle") as told:
        for_a_pickle(found, db.name)
    assert SECRET not in str(told[0].message)
    db.close()


@pytest.mark.parametrize(
    "wrong",
    [
        f"sqlite://me:{SECRET}@host/x.db",
        f"sqlite:///x.db?password={SECRET}",
        f"postgresql:me:{SECRET}@host/x",
        f"postgresql:/me:{SECRET}@host/x",
        f"postgresql://me:{SECRET}@host:port/x",
        f"postgresql://me:{SECRET}@host:99999/x",
        f"postgresql+asyncpg://me:{SECRET}@host/x?password={SECRET}",
    ],
)
def test_a_wrong_url_is_told_without_its_password(wrong: str) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError) as told:
        locate(wrong)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql+psycopg://me:secret@h:1/blox",
            {"user": "me", "host": "h", "port": "1", "dbname": "blox"},
        ),
        ("postgresql://h/blox", {"host": "h", "dbname": "blox"}),
        (
            "postgresql://me@/blox?host=/tmp/s&port=5",
            {"user": "me", "host": "/tmp/s", "port": "5", "dbname": "blox"},
        ),
        ("postgresql:///blox?password=secret&sslmode=require", {"dbname": "blox", "sslmode": "require"}),
        (
            "postgresql://me@h/b?sslkey=k&sslpassword=secret",
            {"user": "me", "host": "h", "dbname": "b", "sslkey": "k"},
        ),
        (
            "postgresql://me:secret@/blox?host=one:1&host=two:2",
            {"user": "me", "host": "one,two", "port": "1,2", "dbname": "blox"},
        ),
        (
            "postgresql://me:secret@/blox?host=a:5433",
            {"user": "me", "host": "a", "port": "5433", "dbname": "blox"},
        ),
        (
            "postgresql://me:secret@/blox?host=10.0.0.1:&sslmode=require",
            {"user": "me", "host": "10.0.0.1", "dbname": "blox", "sslmode": "require"},
        ),
        ("postgresql:///blox?host=::1", {"host": "::1", "dbname": "blox"}),
        ("postgresql:///blox?host=/tmp/a:5", {"host": "/tmp/a:5", "dbname": "blox"}),
        ("postgresql:///blox?host=a,b&port=1,2", {"host": "a,b", "port": "1,2", "dbname": "blox"}),
        ("postgresql://a%20b:secret@[::1]/c'd%2Fe", {"user": "a b", "host": "::1", "dbname": "c'd/e"}),
    ],
)
def test_what_the_tools_of_a_server_are_told_is_what_libpq_takes(
    url: str, expected: dict[str, str], tmp_path: Path
) -> None:
    conninfo = pytest.importorskip("psycopg.conninfo")
    assert conninfo.conninfo_to_dict(for_tools(locate(url))) == expected
    with bloxdb.Database(locate(url)) as db, pytest.raises(bloxdb.DatabaseError) as told:
        bloxdb.backup(tmp_path / "a copy", db)
    *_, target, given = shlex.split(str(told.value).partition(": ")[2])
    assert conninfo.conninfo_to_dict(given) == expected
    assert target == str(tmp_path / "a copy")
    assert "secret" not in str(told.value)
