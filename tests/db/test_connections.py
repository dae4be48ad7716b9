"""What a database has open: a session for each thread, which ends with the database."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

import bloxdb
from bloxdb import Database
from bloxdb.db import forking

ARCHS = select(bloxdb.Arch).limit(2)


def test_each_thread_has_a_session_of_its_own_until_the_database_is_disconnected(tiny_db: Database) -> None:
    with ThreadPoolExecutor(1) as thread:
        ours, theirs = tiny_db.reader, thread.submit(lambda: tiny_db.reader).result()
        assert ours is not theirs
        for _ in range(2):
            assert tiny_db.reader is ours
            assert thread.submit(lambda: tiny_db.reader).result() is theirs
        tiny_db.disconnect()
        assert tiny_db.reader is not ours
        assert thread.submit(lambda: tiny_db.reader).result() is not theirs
        assert len(thread.submit(lambda: tiny_db.reader.scalars(ARCHS).all()).result()) == 2


@pytest.mark.parametrize("end", ["close", "disconnect"])
def test_nothing_stays_open(end: str, tiny_db: Database) -> None:
    path = tiny_db.path
    assert path is not None

    def ask() -> int:
        return len(tiny_db.reader.scalars(ARCHS).all())

    with ThreadPoolExecutor(2) as threads:
        assert [ask(), *threads.map(lambda _: ask(), range(8))] == [2] * 9
        assert tiny_db.rows("SELECT 1 AS one") == [{"one": 1}]
        assert any(is_open(connection) for connection in forking.connections_to(path))
        getattr(tiny_db, end)()
        assert not any(is_open(connection) for connection in forking.connections_to(path))


def is_open(connection: forking.Connection) -> bool:
    try:
        connection.in_transaction  # noqa: B018
        connection.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize(
    ("end", "sentence"), [("close", "was closed; open it again"), ("disconnect", "ask again")]
)
def test_a_session_that_another_thread_has_closed_says_so(end: str, sentence: str, tiny_db: Database) -> None:
    with ThreadPoolExecutor(1) as thread:
        session = thread.submit(lambda: tiny_db.reader).result()
        assert len(thread.submit(lambda: session.scalars(ARCHS).all()).result()) == 2
        getattr(tiny_db, end)()
        with pytest.raises(bloxdb.DatabaseError, match=sentence):
            thread.submit(lambda: session.scalars(ARCHS).all()).result()


def test_closing_twice_and_after_disconnecting_is_no_error(tiny_db: Database) -> None:
    for end in (tiny_db.disconnect, tiny_db.disconnect, tiny_db.close, tiny_db.close, tiny_db.disconnect):
        end()
    with pytest.raises(bloxdb.DatabaseError, match="was closed"):
        _ = tiny_db.reader
