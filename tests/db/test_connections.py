"""What a database has open: a session for each thread, which ends with the database."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

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


def _in_a_transaction(db: Database) -> None:
    with db.transaction() as session:
        session.scalar(select(func.count()).select_from(bloxdb.Run))


def _in_a_snapshot(db: Database) -> None:
    with db.snapshot() as session:
        session.scalar(select(func.count()).select_from(bloxdb.Run))


ASKED: dict[str, Callable[[Database], Any]] = {
    "reader": lambda db: db.reader.scalar(select(func.count()).select_from(bloxdb.Run)),
    "rows": lambda db: db.rows("SELECT count(*) FROM runs"),
    "transaction": _in_a_transaction,
    "snapshot": _in_a_snapshot,
    "top": lambda db: bloxdb.top(3, db),
}


@pytest.mark.parametrize("way", ASKED)
@pytest.mark.parametrize("is_disconnected", [False, True])
@pytest.mark.parametrize("is_removed_first", [False, True])
def test_another_file_of_its_name_is_never_asked_in_its_place(
    way: str, is_disconnected: bool, is_removed_first: bool, tiny_file: Path, empty_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    other = shutil.copy(empty_file, tmp_path / "other.db")
    with bloxdb.open(path) as db:
        ASKED[way](db)
        if is_disconnected:
            db.disconnect()
        if is_removed_first:
            path.unlink()
            with pytest.raises(bloxdb.DatabaseError, match="removed or renamed since it was opened; open it"):
                ASKED[way](db)
        Path(other).replace(path)
        with pytest.raises(bloxdb.DatabaseError, match="another file was put in its place since it was op"):
            ASKED[way](db)
    with bloxdb.open(path) as db:
        assert db.rows("SELECT count(*) AS runs FROM runs") == [{"runs": 0}]


@pytest.mark.parametrize("has_written", [False, True])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_committed_into_a_file_that_is_gone_and_a_wal_that_is_left_is_told(
    is_replaced: bool, has_written: bool, tiny_db: Database, empty_file: Path, tmp_path: Path
) -> None:
    path = tiny_db.path
    assert path is not None
    other = Path(shutil.copy(empty_file, tmp_path / "other.db"))

    if has_written:
        with tiny_db.transaction() as session:
            session.add(bloxdb.Device(name="before"))

    def write() -> None:
        with tiny_db.transaction() as session:
            session.add(bloxdb.Device(name="mine"))
            session.flush()
            path.rename(tmp_path / "moved.db")
            if is_replaced:
                other.rename(path)

    told = "another file was put in its place" if is_replaced else "it was removed or renamed"
    advice = r"\. What was written last is in tiny\.db-wal, which" if has_written else "; open it again"
    with pytest.raises(bloxdb.DatabaseError, match=f"{told} since it was opened{advice}"):
        write()
    tiny_db.close()
    with closing(sqlite3.connect(tmp_path / "moved.db")) as connection:
        assert connection.execute("SELECT count(*) FROM devices WHERE name = 'mine'").fetchone() == (0,)


def test_closing_leaves_another_file_of_its_name_as_it_is(
    tiny_file: Path, empty_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    other = Path(shutil.copy(empty_file, tmp_path / "other.db"))
    db = bloxdb.open(path, current=False)
    with db.transaction() as session:
        session.add(bloxdb.Device(name="mine"))
    before = other.read_bytes()
    other.replace(path)
    db.close()
    assert path.read_bytes() == before
