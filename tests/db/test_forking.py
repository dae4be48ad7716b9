"""A database that was open before a fork: it works in the child, and nothing of the parent's is lost.

A test that forks is a program of its own, since a fork copies whatever the process of the tests holds.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.db import forking
from bloxdb.db.access import in_one_state
from bloxdb.db.waiting import at_once

BEFORE = """
import gc, os, sqlite3, subprocess, sys, threading
import bloxdb
from bloxdb.db import database
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

def add(name):
    with db.transaction() as session:
        session.add(bloxdb.Device(name=name))

def names():
    return [row["name"] for row in db.rows("SELECT name FROM devices ORDER BY name")]

def by_another(sql):
    program = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]); "
        "print(connection.execute(sys.argv[2]).fetchall()); connection.commit(); connection.close()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(db.path), sql], capture_output=True, check=True)
    return done.stdout.decode().strip()

def in_a_thread(function):
    # Run a function in a thread that goes on until the end.
    ready, end = threading.Event(), threading.Event()
    def run():
        function()
        ready.set()
        end.wait()
    threading.Thread(target=run, daemon=True).start()
    ready.wait()

class Signal:
    def __init__(self):
        self.ends = os.pipe()
    def give(self):
        os.write(self.ends[1], b"x")
    def wait(self):
        os.read(self.ends[0], 1)

first, second = Signal(), Signal()
db = bloxdb.open(sys.argv[1])
arch = bloxdb.Arch.get(7)
"""


def run(program: str, path: Path | None) -> None:
    """Run a program that says nothing if all is well, in its own process and those that it forks."""
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + program, str(path)], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def names(db: Database) -> list[str]:
    assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    return [row["name"] for row in db.rows("SELECT name FROM devices ORDER BY name")]


@pytest.mark.slow
@pytest.mark.parametrize("thread", [False, True], ids=["alone", "beside a thread that has asked, too"])
def test_rows_of_a_child_stay_when_its_parent_closes_first(thread: bool, empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
if {thread}:
    in_a_thread(lambda: bloxdb.Arch.get(8))
child = os.fork()
if not child:
    assert names() == []
    first.give()
    second.wait()
    assert names() == ["parent"]
    add("child")
    assert names() == ["child", "parent"]
    os._exit(0)
first.wait()
add("parent")
db.close()
gc.collect()
by_another("SELECT count(*) FROM runs")  # it removes the WAL if it sees nobody
second.give()
assert os.waitpid(child, 0)[1] == 0
"""
    run(program.format(thread=thread), empty_db.path)
    assert names(empty_db) == ["child", "parent"]


def test_a_child_goes_on_after_the_end_of_its_parent(empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
in_a_thread(lambda: bloxdb.Arch.get(8))
middle = os.fork()
if not middle:  # the parent of the child, which ends before it
    if os.fork():
        os._exit(0)
    second.wait()
    assert by_another("INSERT INTO devices (name) VALUES ('other')") == "[]"
    assert names() == ["other"]
    add("child")
    assert names() == ["child", "other"]
    assert by_another("SELECT name FROM devices ORDER BY name") == "[('child',), ('other',)]"
    first.give()
    os._exit(0)
assert os.waitpid(middle, 0)[1] == 0
db.close()
gc.collect()
second.give()
first.wait()
"""
    run(program, empty_db.path)
    assert names(empty_db) == ["child", "other"]


def test_a_transaction_of_the_parent_is_whole_whatever_the_child_does(empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
with db.transaction() as session:
    session.execute(text("PRAGMA cache_size = 10"))  # so that pages reach the WAL before the end
    session.add_all(bloxdb.Device(name=f"early-{number:04}") for number in range(3000))
    session.flush()
    child = os.fork()
    if not child:
        assert names() == []
        try:
            session.add(bloxdb.Device(name="child"))
            session.flush()
        except OperationalError as error:
            assert "only its parent can go on with it" in str(error)
            sys.exit(0)  # this leaves the block, which would undo what the parent wrote
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    session.add(bloxdb.Device(name="late"))
assert len(names()) == 3001
child = os.fork()
if not child:
    add("later")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    run(program, empty_db.path)
    assert names(empty_db) == [*(f"early-{number:04}" for number in range(3000)), "late", "later"]


def test_a_child_cannot_commit_for_its_parent(empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
try:
    with db.transaction() as session:
        session.add(bloxdb.Device(name="parent"))
        session.flush()
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
except bloxdb.DatabaseError as error:
    assert not child
    assert "only its parent can go on with it" in str(error)
    os._exit(0)
assert child
assert names() == ["parent"]
"""
    run(program, empty_db.path)
    assert names(empty_db) == ["parent"]


@pytest.mark.slow
def test_a_child_that_ends_as_programs_do_leaves_the_parent_alone(empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
in_a_thread(lambda: bloxdb.Arch.get(8))
for name in "abc":
    child = os.fork()
    if not child:
        add(name)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
assert names() == ["a", "b", "c"]
add("d")
"""
    run(program, empty_db.path)
    assert names(empty_db) == ["a", "b", "c", "d"]


def test_what_was_loaded_or_made_before_goes_on_in_the_child(tiny_db: Database) -> None:
    program = """
readable = bloxdb.open(db.path, read_only=True, current=False)
assert readable.rows("SELECT 1 AS one") == [{"one": 1}]
ask = bloxdb.from_database(db)
problem = bloxdb.Problem(db)
(key,) = (row["arch_id"] for row in db.rows("SELECT arch_id FROM runs ORDER BY id LIMIT 1"))
loaded = bloxdb.Arch.get(key)
elsewhere = []
in_a_thread(lambda: elsewhere.append(bloxdb.Arch.get(key)))
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
assert len(loaded.epochs) == len(elsewhere[0].epochs) == 10
assert bloxdb.Arch.get(key) is loaded
assert arch.flops > 0
assert ask.val_acc(key) == max(epoch.val_top1 for epoch in loaded.epochs)
assert problem(key) == loaded.epochs[-1].val_top1
assert readable.rows("SELECT count(*) AS n FROM blocks") == [{"n": 45}]
with db.snapshots(3) as sessions:
    assert len(sessions) == 3
"""
    tiny_db.close()
    run(program, tiny_db.path)


def test_many_children_read_and_write_at_once(empty_db: Database) -> None:
    empty_db.disconnect()
    program = """
children = []
for number in range(6):
    child = os.fork()
    if not child:
        for turn in range(10):
            add(f"{number}-{turn}")
            assert f"{number}-{turn}" in names()
        os._exit(0)
    children.append(child)
for turn in range(10):
    add(f"parent-{turn}")
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
assert len(names()) == 70
"""
    run(program, empty_db.path)


def test_grandchildren_children_that_never_ask_and_locks_that_a_thread_holds_are_no_trouble(
    empty_db: Database,
) -> None:
    program = """
in_a_thread(lambda: bloxdb.Arch.get(8))
in_a_thread(database._currents._lock.acquire)
child = os.fork()
if not child:
    assert database.current() is db
    child = os.fork()
    if not child:
        add("grandchild")
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert names() == ["grandchild"]
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
idle = os.fork()
if not idle:
    sys.exit(0)
assert os.waitpid(idle, 0)[1] == 0
assert names() == ["grandchild"]
"""
    empty_db.disconnect()
    run(program, empty_db.path)


def test_a_process_that_never_forks_keeps_no_connection_alive(empty_file: Path) -> None:
    program = """
from bloxdb.db import forking
before = len(forking._watched)
for _ in range(20):
    with bloxdb.open(db.path, read_only=True) as more:
        bloxdb.Arch.get(7, more)
    del more
gc.collect()
assert len(forking._watched) == before
"""
    run(program, empty_file)


def test_the_bytes_that_a_reader_locks_are_those_of_sqlite() -> None:
    assert forking._SHARED == (0x4000_0000 + 2, 510)
    assert forking._DEAD_MAN_SWITCH == (128, 1)


def test_a_connection_that_was_ended_for_its_thread_can_still_be_given_back(tiny_db: Database) -> None:
    with tiny_db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver.thread == threading.get_ident()
        driver.end()
        assert driver.is_ended
        driver.rollback()  # as the pool does
        driver.end()
    for other in forking.connections_to(driver.path):
        assert other.thread in (None, threading.get_ident())


def test_a_connection_that_writes_or_asks_is_not_ended(tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE devices SET name = name"))
        driver: Any = session.connection().connection.driver_connection
        driver.end()
        assert not driver.is_ended
    with tiny_db.engine.connect() as connection:
        driver = connection.connection.driver_connection
        with driver.in_use, ThreadPoolExecutor(1) as thread:
            thread.submit(driver.end).result()
        assert not driver.is_ended
        assert connection.scalar(text("SELECT count(*) FROM devices")) == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what is locked")
def test_whether_a_file_is_locked_is_asked_without_keeping_it_open(tiny_db: Database) -> None:
    path = tiny_db.path
    assert path is not None
    tiny_db.disconnect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert not forking._is_locked(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert forking._is_locked(path)
        holder.communicate("")
    assert not forking._is_locked(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_new_connection_takes_a_wal_until_the_disk_says_otherwise() -> None:
    connection = forking.Connection(":memory:")
    told = (
        connection.takes_wal,
        connection.is_new,
        connection.is_inherited,
        connection.is_ended,
        connection.thread,
    )
    assert told == (True, False, False, False, None)
    connection.close()


@pytest.mark.parametrize(
    ("code", "again"),
    [
        (sqlite3.SQLITE_READONLY_RECOVERY, True),
        (sqlite3.SQLITE_READONLY_CANTINIT, True),
        (sqlite3.SQLITE_READONLY, False),
        (sqlite3.SQLITE_BUSY, False),
        (None, False),
    ],
)
def test_who_may_only_read_tries_again_just_where_a_writer_comes_or_goes(
    code: int | None, again: bool
) -> None:
    error = sqlite3.OperationalError("told")
    if code is not None:
        error.sqlite_errorcode = code
    assert forking._is_between_writers(error) is again


def test_a_child_of_a_handler_amid_a_statement_does_not_hang(empty_file: Path) -> None:
    program = """
import signal
children = []
def fork(*_):
    child = os.fork()
    if not child:
        assert names() == []
        os._exit(7)
    children.append(child)
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.2)
query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT count(*) AS n FROM n"
assert db.rows(query) == [{"n": 5000000}]
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [7]
assert names() == []
"""
    run(program, empty_file)


def test_a_connection_that_is_closed_takes_its_cursors_with_it(empty_file: Path, tmp_path: Path) -> None:
    """SQLite keeps a connection as long as it has a cursor: the WAL of a file would stay, and its locks."""
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    with bloxdb.open(path, current=False) as db, db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA journal_mode = WAL")
        cursor = driver.execute("SELECT id FROM archs ORDER BY id")
        assert cursor.fetchone() == (0,)
        driver.close()
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            cursor.fetchone()
    assert [file.name for file in tmp_path.iterdir()] == ["blox.db"]
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_waiting_for_nobody_ends_well_on_a_connection_that_was_closed_in_it(empty_file: Path) -> None:
    with closing(in_one_state(empty_file)) as driver:
        patience = driver.patience

        def stopped() -> None:
            with at_once(driver):
                driver.close()
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert driver.patience == patience
