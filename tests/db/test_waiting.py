"""A lock that another process holds for long: who writes waits for it and says so, who reads is told."""

from __future__ import annotations

import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb.db import forking, waiting
from bloxdb.runs import Heartbeat, Intervals, RecipeFacts, RunQueue
from tests.db.programs import start, wait_for_line

HOLD = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as other:
    other.execute(sys.argv[2])
    print("locked", flush=True)
    sys.stdin.readline()
"""

HURRIED = """
import sys
import threading
from bloxdb.db import access, forking, waiting
waiting._TELL_AFTER = waiting._TELL_AGAIN = 0.6
forking.PATIENCE = access.PATIENCE = forking.Connection.patience = 1.0
sys.argv[0] = "bloxdb"
from bloxdb.cli import main
main()
"""
"""The command, for which seconds are minutes."""


@pytest.fixture
def path(tmp_path: Path, tiny_file: Path) -> Path:
    return Path(shutil.copy(tiny_file, tmp_path / "blox.db"))


def command(path: Path, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HURRIED, *map(str, words), "--db", str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


TRAIN = ("train", "--dataset", "digits", "--arch", 405, "--epochs", 1, "--batch", 256, "--gpus", "none")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lock", "ending"),
    [
        ("import", "BEGIN EXCLUSIVE", "end"),
        ("merge", "BEGIN IMMEDIATE", "end"),
        ("retry", "BEGIN IMMEDIATE", "SIGKILL"),
        ("train", "BEGIN EXCLUSIVE", "SIGKILL"),
        ("train", "BEGIN IMMEDIATE", "end"),
    ],
)
def test_a_command_that_writes_waits_as_long_as_somebody_has_the_lock_and_says_so(
    name: str, lock: str, ending: str, path: Path, golden: Path, tmp_path: Path, tiny_file: Path
) -> None:
    words = {
        "import": ("import", golden / "release-tiny"),
        "merge": ("merge", shutil.copy(tiny_file, tmp_path / "other.db"), "--prefer", "first"),
        "retry": ("retry", "--failed"),
        "train": TRAIN,
    }[name]
    with start(HOLD, path, lock) as holder:
        wait_for_line(holder, "locked")
        process = command(path, *words)
        assert process.stderr is not None
        told = [process.stderr.readline() for _ in range(2)]
        for line in told:
            assert line.startswith(f"{path} has been locked for ")
            assert f"s by {platform.node()}:{holder.pid} (" in line
            assert line.endswith("; waiting until that ends\n")
        assert process.poll() is None
        holder.send_signal(signal.SIGKILL) if ending == "SIGKILL" else holder.communicate("\n")
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors


@pytest.mark.slow
def test_a_command_that_reads_ends_after_a_while_with_a_sentence(path: Path) -> None:
    with start(HOLD, path, "BEGIN EXCLUSIVE") as holder:
        wait_for_line(holder, "locked")
        process = command(path, "top")
        _, errors = process.communicate(timeout=100)
        holder.communicate("\n")
    assert process.returncode == 1
    assert "was locked for 1 s by" in errors
    assert "wait until that has ended" in errors


@pytest.mark.slow
def test_who_waits_can_be_interrupted(path: Path) -> None:
    with start(HOLD, path, "BEGIN EXCLUSIVE") as holder:
        wait_for_line(holder, "locked")
        process = command(path, "retry", "--failed")
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
        holder.communicate("\n")
    assert process.returncode == -signal.SIGTERM
    assert "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "words", [("top",), ("status",), ("export", "--out", "out"), ("check",), ("sql", "SELECT 1")]
)
def test_who_waits_to_read_can_be_interrupted(
    words: tuple[str, ...], number: signal.Signals, path: Path
) -> None:
    patient = [sys.executable, "-c", "from bloxdb.cli import main; main()", *words, "--db", path]
    with start(HOLD, path, "BEGIN EXCLUSIVE") as holder:
        wait_for_line(holder, "locked")
        process = subprocess.Popen(
            patient, cwd=path.parent, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=4)
        asked = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=25)
        assert time.monotonic() - asked < 10  # it would wait for thirty seconds
        holder.communicate("\n")
    assert process.returncode == (1 if number == signal.SIGINT else -number)
    assert b"Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_transaction_waits_no_longer_than_it_is_told(lock: str, path: Path) -> None:
    with bloxdb.open(path) as db, start(HOLD, path, lock) as holder:
        wait_for_line(holder, "locked")
        db.engine.dispose()  # so that it needs a new connection
        with pytest.raises(bloxdb.DatabaseError, match="locked"), db.transaction(wait=0.5) as session:
            session.execute(text("SELECT 1"))
        assert holder.poll() is None
        holder.communicate("\n")
        with db.transaction(wait=0.5) as session:
            session.add(bloxdb.Device(name="later"))


@pytest.mark.parametrize("wait", [0, 2, 0.5, np.float32(0.5), np.int64(1)])
def test_how_long_to_wait_is_any_number(wait: Any, path: Path) -> None:
    with bloxdb.open(path) as db:
        with db.transaction(wait=wait) as session:
            session.add(bloxdb.Device(name="d"))
        for wrong in ("soon", True, float("nan")):
            with pytest.raises(bloxdb.QueryError, match="wait, in seconds, is a"), db.transaction(wait=wrong):
                pass


@pytest.mark.parametrize("name", ["blox.db", "link.db"])
def test_a_thread_does_not_wait_for_itself(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking.Connection, "patience", 0.3)
    path.with_name("link.db").symlink_to(path)
    with bloxdb.open(path) as db, bloxdb.open(path.with_name(name), current=False) as again:
        with db.transaction() as session:
            session.add(bloxdb.Device(name="mine"))
            session.flush()
            with pytest.raises(bloxdb.DatabaseError, match="locked"), again.transaction() as other:
                other.execute(text("SELECT 1"))
        with again.transaction() as session:
            assert session.query(bloxdb.Device).filter_by(name="mine").one()


@pytest.mark.slow
def test_workers_that_a_long_import_kept_from_signs_of_life_do_not_count_as_dead(path: Path) -> None:
    intervals = Intervals(every=0.2, dead_after=0.9)
    with bloxdb.open(path) as db, bloxdb.open(path, current=False) as another:
        queue = RunQueue(db, [405], RecipeFacts("mine-1", "digits", 1), 0)
        queue.fill()
        run = queue.claim(worker="elsewhere:1", intervals=intervals)
        assert run is not None
        others = RunQueue(another, [405], RecipeFacts("mine-1", "digits", 1), 0)
        with Heartbeat(run, intervals=intervals) as heartbeat:
            with another.bulk_transaction() as session:
                session.execute(text("INSERT INTO devices (name) VALUES ('long')"))
                time.sleep(2)
            assert others.claim(worker="another:2", intervals=intervals) is None
            assert not heartbeat.lost
            time.sleep(0.5)
            assert not heartbeat.lost
        run.release()


@pytest.mark.parametrize(("held", "most"), [(0.1, 0), (0.9, 4)])
def test_who_waits_for_long_is_told_now_and_then(
    held: float, most: int, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(waiting, "_TELL_AFTER", 0.3)
    monkeypatch.setattr(waiting, "_TELL_AGAIN", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(held, lambda: other.execute("ROLLBACK")).start()
        start = time.monotonic()
        with bloxdb.open(path) as db, db.transaction() as session:
            assert session.scalar(text("SELECT 1")) == 1
        assert time.monotonic() - start >= held * 0.9
    told = [record.getMessage() for record in caplog.records]
    assert min(most, 1) <= len(told) <= most
    assert all(f"{path} has been locked for " in line and "waiting until that ends" in line for line in told)


@pytest.mark.parametrize("most", [0, 0.2])
def test_a_bound_on_waiting_is_kept(most: float, path: Path) -> None:
    with bloxdb.open(path) as db, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(bloxdb.DatabaseError, match="locked"), db.transaction(wait=most) as session:
            session.execute(text("SELECT 1"))
        assert most <= time.monotonic() - start < most + 5
        other.execute("ROLLBACK")
        with db.transaction(wait=most) as session:  # and the connection is as before
            driver = session.connection().connection.driver_connection
            assert isinstance(driver, forking.Connection)
            assert driver.patience == forking.PATIENCE == 30


INSERT = "INSERT INTO devices (name) VALUES (?)"


def ask(driver: forking.Connection, name: str, texts: str) -> None:
    """Store devices in one way or another, in autocommit."""
    if name == "executemany":
        driver.cursor().executemany(INSERT, [(text,) for text in texts])
    elif name == "commit":
        driver.execute("BEGIN")
        driver.execute(INSERT, (texts[0],))
        driver.commit()
    else:
        driver.execute(INSERT, (texts[0],))


@pytest.mark.parametrize(("name", "stored"), [("execute", "A"), ("executemany", "ABC"), ("commit", "A")])
def test_whatever_needs_a_lock_waits_for_it(
    name: str, stored: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a WAL, where a commit waits for readers."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(other), bloxdb.open(path) as db, db.autocommit() as connection:
        driver: Any = connection.connection.driver_connection
        for patience, texts in ((forking.PATIENCE, "ABC"), (0.1, "DEF")):
            monkeypatch.setattr(driver, "patience", patience)
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM devices").fetchall()
            timer = threading.Timer(1, lambda: other.execute("ROLLBACK"))
            timer.start()
            start = time.monotonic()
            if texts == "ABC":
                ask(driver, name, texts)
                assert time.monotonic() - start > 0.5
            else:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    ask(driver, name, texts)
                driver.rollback()
            timer.join()
        query = "SELECT name FROM devices WHERE length(name) = 1 ORDER BY name"
        assert [row[0] for row in driver.execute(query)] == list(stored)
        assert driver.execute("PRAGMA busy_timeout").fetchone() == (100 if name == "executemany" else 200,)


def test_a_lock_that_sqlite_itself_does_not_wait_for_is_asked_for_now_and_then(path: Path) -> None:
    asked: list[str] = []
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        bloxdb.open(path, current=False) as db,
        db.engine.connect() as connection,
    ):
        other.execute("BEGIN IMMEDIATE")
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(asked.append)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            waiting.patiently(driver, "PRAGMA journal_mode = wal", 0.5)
    assert 1 < len(asked) <= 0.5 / forking.SHORT_PAUSE + 2
