"""Passwords are never shown; which of them stay out of pickles is in `test_libpq`."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, make_url

import bloxdb
from bloxdb.db.connection import locate
from bloxdb.db.database import Database
from bloxdb.db.passwords import for_a_pickle, hidden, hidden_in


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
