"""The databases of a process that are open: which one is asked, and that all are closed at its end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import make_url

import bloxdb
from bloxdb.db import database
from bloxdb.db.opened import Currents, close_all, no_database


class Named:
    """What can be made current."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("blox.db", "not the path 'blox.db': write db=bloxdb.open(…)"),
        (b"blox.db", "not the path b'blox.db': write"),
        (Path("a/blox.db"), "not the path 'a/blox.db': write"),
        ("sqlite:///blox.db", "not a URL: write"),
        ("postgresql://me:secret@host/blox", "not a URL: write"),
        (make_url("postgresql://me:secret@host/blox"), "not a URL: write"),
        (None, "not None"),
        (7, "not an object of type int"),
    ],
)
def test_what_is_no_database_is_said_without_its_password(given: object, said: str) -> None:
    error = no_database(given)
    assert isinstance(error, bloxdb.QueryError)
    assert str(error).startswith(f"db is a database that bloxdb.open gives, {said}")
    assert "secret" not in str(error)


def test_the_latest_that_is_open_is_asked() -> None:
    currents: Currents[Named] = Currents()
    assert currents.latest() is None
    first, second = Named("first"), Named("second")
    currents.add(first)
    currents.add(second)
    assert currents.latest() is second
    currents.remove(second)
    currents.remove(second)
    assert currents.latest() is first
    currents.remove(first)
    with pytest.raises(bloxdb.DatabaseError, match="first was closed, and no other database is current"):
        currents.latest()


def test_one_that_was_never_current_is_not_named_when_it_is_closed() -> None:
    currents: Currents[Named] = Currents()
    currents.remove(Named("aside"))
    assert currents.latest() is None


def test_a_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held(empty_file: Path) -> None:
    currents: Currents[Named] = Currents()
    currents.add(Named("mine"))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with currents._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        threading.Timer(20, os._exit, (1,)).start()  # a child that waits ends without an answer
        latest = currents.latest()
        os._exit(0 if latest is not None and latest.name == "mine" else 2)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_all_that_is_open_is_closed_together(empty_file: Path) -> None:
    with bloxdb.open(empty_file, read_only=True, current=False) as db:
        assert db.rows("SELECT count(*) AS n FROM archs") == [{"n": 91_125}]
        assert db.engine.pool.checkedin() + db.engine.pool.checkedout() > 0
        close_all()
        assert db.engine.pool.checkedin() + db.engine.pool.checkedout() == 0


def test_a_script_that_closes_nothing_leaves_no_wal(empty_file: Path, tmp_path: Path) -> None:
    program = (
        "import sys, bloxdb\n"
        "db = bloxdb.open(sys.argv[1])\n"
        "with db.transaction() as session:\n"
        "    session.add(bloxdb.Device(name='d'))\n"
    )
    path = tmp_path / "blox.db"
    path.write_bytes(empty_file.read_bytes())
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert [file.name for file in tmp_path.iterdir()] == ["blox.db"]


def test_closing_makes_the_one_before_current_again(empty_file: Path, tiny_file: Path) -> None:
    first, second = bloxdb.open(empty_file, read_only=True), bloxdb.open(tiny_file, read_only=True)
    assert database.current() is second
    second.close()
    assert database.current() is first
    first.close()


def test_databases_may_be_closed_in_any_order(empty_file: Path, tiny_file: Path) -> None:
    first, second, third = (bloxdb.open(path, read_only=True) for path in (empty_file, tiny_file, empty_file))
    second.close()
    assert database.current() is third
    second.close()  # once more is no error
    third.close()
    assert database.current() is first
    first.close()


def test_one_opened_aside_is_not_asked(empty_file: Path, tiny_file: Path) -> None:
    with bloxdb.open(empty_file, read_only=True) as first:
        with bloxdb.open(tiny_file, read_only=True, current=False) as aside:
            assert database.current() is first
            assert aside.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
        assert database.current() is first


def test_a_closed_one_is_named_and_no_other_is_opened_in_its_place(
    empty_file: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOXDB_URL", str(tiny_file))
    monkeypatch.setattr(database, "_currents", Currents())  # tests before may have left one open
    bloxdb.open(empty_file, read_only=True).close()
    for ask in (database.current, lambda: bloxdb.top(1), lambda: bloxdb.Arch.get(0)):
        with pytest.raises(
            bloxdb.DatabaseError, match=rf"{empty_file} was closed, and no other database is current"
        ):
            ask()
