"""Backups: a whole state of the database, whoever writes meanwhile, in a new file or none."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text, update

import bloxdb
from bloxdb import Database, Run
from bloxdb.db.names import beside
from tests.db.programs import whole

BOTH = pytest.mark.parametrize("compact", [False, True])
SUM = "SELECT count(*) AS n, sum(epoch) AS e, sum(val_loss_micro) AS l FROM epochs"


@BOTH
@pytest.mark.parametrize("read_only", [False, True])
def test_a_backup_has_what_the_database_has(
    tiny_db: Database, tmp_path: Path, compact: bool, read_only: bool
) -> None:
    with tiny_db.transaction() as session:
        session.execute(update(Run).values(message="remember"))
    path = tmp_path / "new" / "copy.db"
    told: list[tuple[int, int, str]] = []
    with bloxdb.open(tiny_db.path, read_only=read_only, current=False) as db:
        report = bloxdb.backup(path, db, compact=compact, progress=lambda *args: told.append(args))
        assert report.path == path
        assert report.bytes == path.stat().st_size
        assert repr(report) == f"<BackupReport: {path} has a copy of {report.bytes:,} bytes>"
        if read_only:
            with pytest.raises(bloxdb.DatabaseError, match="read only"), db.transaction():
                pass
            with db.autocommit() as connection, pytest.raises(Exception, match="readonly"):
                connection.execute(text("UPDATE runs SET message = ''"))
    assert told
    assert all(0 <= done <= total for done, total, _ in told)
    assert whole(path) == "delete"
    with bloxdb.open(path, current=False) as db:
        assert db.rows(SUM) == tiny_db.rows(SUM)
        assert db.rows("SELECT DISTINCT message FROM runs") == [{"message": "remember"}]
    assert not [left for left in path.parent.iterdir() if left != path]


def test_what_a_plain_copy_lacks_is_in_a_backup(empty_db: Database, tmp_path: Path) -> None:
    assert empty_db.path is not None
    with empty_db.transaction() as session:
        session.execute(text("INSERT INTO devices (name) VALUES ('new')"))
    plain = shutil.copy(empty_db.path, tmp_path / "plain.db")
    path = bloxdb.backup(tmp_path / "copy.db", empty_db).path
    count = "SELECT count(*) FROM devices"
    for copy, expected in ((plain, 0), (path, 1)):
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute(count).fetchone() == (expected,)


@pytest.mark.slow
@BOTH
def test_a_backup_is_one_state_though_others_write_all_the_time(
    empty_db: Database, tmp_path: Path, compact: bool
) -> None:
    """Each transaction adds two devices, whose numbers sum to zero in `settings`."""
    assert empty_db.path is not None
    done, waited = threading.Event(), []

    def write() -> None:
        with bloxdb.open(empty_db.path, current=False) as db:
            number = 0
            while not done.is_set():
                number += 1
                with db.transaction() as session:
                    for sign in (1, -1):
                        session.execute(
                            text("INSERT INTO devices (name, settings) VALUES (:name, :value)"),
                            {"name": f"{number * sign}", "value": str(number * sign)},
                        )
            waited.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    counts = []
    try:
        for number in range(3):
            path = bloxdb.backup(tmp_path / f"{number}.db", empty_db, compact=compact).path
            assert whole(path) == "delete"
            with closing(sqlite3.connect(path)) as connection:
                query = "SELECT count(*), coalesce(sum(CAST(settings AS INTEGER)), 0) FROM devices"
                count, total = connection.execute(query).fetchone()
            assert (count % 2, total) == (0, 0)
            counts.append(count)
    finally:
        done.set()
        thread.join()
    assert counts == sorted(counts)
    assert counts[-1] > counts[0], "nobody wrote meanwhile"


def test_a_compact_backup_has_no_room_of_what_was_removed(tiny_db: Database, tmp_path: Path) -> None:
    with tiny_db.transaction() as session:
        session.execute(
            text("CREATE TABLE bulk AS SELECT randomblob(4000) AS x FROM blocks, devices, blocks b")
        )
    with tiny_db.transaction() as session:
        session.execute(text("DROP TABLE bulk"))
    full = bloxdb.backup(tmp_path / "full.db", tiny_db)
    small = bloxdb.backup(tmp_path / "small.db", tiny_db, compact=True)
    assert small.bytes < full.bytes


@BOTH
@pytest.mark.parametrize("name", ["taken.db", "link.db", "orphan.db"])
def test_nothing_is_ever_replaced(empty_db: Database, tmp_path: Path, compact: bool, name: str) -> None:
    (tmp_path / "taken.db").write_text("mine")
    (tmp_path / "link.db").symlink_to("taken.db")
    beside(tmp_path / "orphan.db", "-wal").write_text("x")
    error = bloxdb.DatabaseError if name == "orphan.db" else bloxdb.DatabaseExistsError
    with pytest.raises(error, match=r"exists already|was left by another database"):
        bloxdb.backup(tmp_path / name, empty_db, compact=compact)
    assert (tmp_path / "taken.db").read_text() == "mine"
    with pytest.raises(bloxdb.DatabaseExistsError):
        bloxdb.backup(empty_db.path, empty_db)  # type: ignore[arg-type]


@BOTH
def test_nobody_else_may_read_a_backup_than_the_database(
    empty_db: Database, tmp_path: Path, compact: bool
) -> None:
    assert empty_db.path is not None
    for mode, umask, expected in ((0o600, 0o022, 0o600), (0o666, 0o022, 0o644), (0o444, 0o002, 0o644)):
        empty_db.path.chmod(mode)
        before = os.umask(umask)
        try:
            path = bloxdb.backup(tmp_path / f"{mode:o}{compact}.db", empty_db, compact=compact).path
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == expected


@pytest.mark.slow
@BOTH
def test_a_disk_that_is_full_leaves_nothing(empty_db: Database, tmp_path: Path, compact: bool) -> None:
    """Simulated by the largest size of a file that a process may write."""
    target = tmp_path / "small" / "copy.db"
    code = (
        "import resource, signal, sys, bloxdb; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, {resource.RLIM_INFINITY}));"
        f"bloxdb.backup({str(target)!r}, bloxdb.open({str(empty_db.path)!r}, read_only=True), compact={compact})"
    )
    empty_db.close()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "DatabaseError" in last, done.stderr
    assert not target.parent.exists()
    bloxdb.backup(target, bloxdb.open(empty_db.path, current=False), compact=compact)
    assert whole(target) == "delete"


@pytest.mark.parametrize("target", ["", "  ", None, 5, "postgresql://host/name", "sqlite://"])
def test_a_backup_that_is_no_file_is_refused(empty_db: Database, target: object) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError):
        bloxdb.backup(target, empty_db)  # type: ignore[arg-type]


def test_a_folder_is_no_place_for_a_backup(empty_db: Database, tmp_path: Path) -> None:
    with pytest.raises(bloxdb.NotADatabaseError, match="is a folder; name a file, such as"):
        bloxdb.backup(tmp_path, empty_db)


def test_a_closed_database_is_not_copied(empty_db: Database, tmp_path: Path) -> None:
    empty_db.close()
    for compact in (False, True):
        with pytest.raises(bloxdb.DatabaseError, match="was closed"):
            bloxdb.backup(tmp_path / "copy.db", empty_db, compact=compact)
    assert not (tmp_path / "copy.db").exists()


def test_a_damaged_database_is_named(tiny_db: Database, tmp_path: Path) -> None:
    path = tiny_db.path
    assert path is not None
    tiny_db.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096  # pages of rows; the schema is at the beginning
    data[middle : middle + 40960] = b"\xff" * 40960
    path.write_bytes(data)
    with bloxdb.open(path, current=False) as db, pytest.raises(bloxdb.DatabaseError, match=str(path)):
        bloxdb.backup(tmp_path / "copy.db", db, compact=True)
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.slow
@BOTH
def test_the_command_backs_up_and_tells(tiny_file: Path, tmp_path: Path, compact: bool) -> None:
    words = [sys.executable, "-m", "bloxdb", "backup", "--db", tiny_file, *(["--compact"] if compact else [])]
    done = subprocess.run([*words, tmp_path / "a.db"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'a.db'} has a copy of ")
    done = subprocess.run([*words, tmp_path / "b.db", "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told == {
        "database": str(tiny_file),
        "backup": str(tmp_path / "b.db"),
        "bytes": (tmp_path / "b.db").stat().st_size,
        "compact": compact,
    }
    done = subprocess.run([*words, tmp_path / "a.db"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "exists already" in done.stderr
