"""Readers who may not write: they see what is there, nothing half, and lock nobody out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

import bloxdb
from bloxdb.db import access
from bloxdb.db.access import refusal
from tests.db.programs import needs_two_users, run, shared_folder, start, wait_for_line, whole

__all__ = ["shared_folder"]

COUNT = """
import bloxdb, sys
from sqlalchemy import text
with bloxdb.open(sys.argv[1], read_only=True) as db:
    print("open", flush=True)
    seen = set()
    while sys.argv[2] not in seen:
        seen.add(str(db.rows("SELECT count(*) AS n FROM {table}")[0]["n"]))
        seen.add(str(db.reader.scalar(text("SELECT count(*) FROM {table}"))))
    print(*sorted(seen, key=int))
"""


@pytest.mark.slow
@needs_two_users
@pytest.mark.parametrize("way", ["transaction", "bulk_transaction"])
def test_a_reader_of_another_user_sees_every_change_and_nothing_half(
    shared_folder: Path, tiny_file: Path, way: str
) -> None:
    path = Path(shutil.copy(tiny_file, shared_folder / "blox.db"))
    with start(COUNT.format(table="devices"), path, 2 + 2000, another=True) as reader:
        wait_for_line(reader, "open")
        with bloxdb.open(path) as db:
            before = db.rows("SELECT count(*) AS n FROM devices")[0]["n"]
            for number in range(4):
                with getattr(db, way)() as session:
                    session.add_all(bloxdb.Device(name=f"d{number}-{i:0600}") for i in range(500))
        out, errors = reader.communicate(timeout=100)
    assert errors == ""
    seen = list(map(int, out.split()))
    assert seen[-1] == before + 2000
    assert all((count - before) % 500 == 0 for count in seen)
    bloxdb.open(path).close()  # the reader may have been the last, and could not switch the WAL off
    assert [found.name for found in shared_folder.iterdir()] == ["blox.db"]
    assert whole(path) == "delete"


HOLD = """
import bloxdb, sys
db = bloxdb.open(sys.argv[1], read_only=True)
with db.snapshot() as session:
    print(session.query(bloxdb.Device).count(), flush=True)
    sys.stdin.read()
db.close()
"""


@pytest.mark.slow
@needs_two_users
@pytest.mark.parametrize("wal", [False, True], ids=["in rest", "with a WAL in use"])
@pytest.mark.parametrize("mode", [0o644, 0o666], ids=["reader", "one who may write"])
@pytest.mark.parametrize("ending", ["end", "SIGKILL"])
def test_a_reader_of_another_user_never_locks_the_owner_out(
    shared_folder: Path, tiny_file: Path, wal: bool, mode: int, ending: str
) -> None:
    path = Path(shutil.copy(tiny_file, shared_folder / "blox.db"))
    path.chmod(mode)
    owner, code = (
        65_533,
        "import bloxdb, sys\nwith bloxdb.open(sys.argv[1]) as db, db.transaction() as s: s.add(bloxdb.Device(name='mine'))",
    )
    os.chown(path, owner, owner)
    writer = start(HOLD if wal else "", path)
    if wal:
        assert writer.stdout is not None
        writer.stdout.readline()
    with start(HOLD, path, another=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "2\n"
        if ending == "SIGKILL":
            reader.send_signal(signal.SIGKILL)
        reader.communicate("")
    writer.communicate("")
    command = [
        "setpriv",
        f"--reuid={owner}",
        f"--regid={owner}",
        "--clear-groups",
        sys.executable,
        "-c",
        code,
    ]
    done = subprocess.run(
        [*command, str(path)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert whole(path) == "delete"
    assert [found.name for found in shared_folder.iterdir()] == ["blox.db"]


@pytest.mark.slow
@needs_two_users
def test_a_wal_that_was_left_on_is_said_with_who_can_switch_it_off(
    shared_folder: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, shared_folder / "blox.db"))
    with closing(sqlite3.connect(path)) as other:  # by another program
        other.execute("PRAGMA journal_mode = WAL")
    code = "import bloxdb, sys; bloxdb.open(sys.argv[1], read_only=True)"
    _, errors = run(code, path, another=True, ends=1)
    assert f"{path}: it was left with its WAL switched on" in errors.splitlines()[-1]
    assert f"have root run `bloxdb status --db {path}`" in errors.splitlines()[-1]
    assert [found.name for found in shared_folder.iterdir()] == ["blox.db"]
    run(code, path)
    run(code, path, another=True)


@pytest.fixture(params=["delete", "wal"])
def medium(request: pytest.FixtureRequest, tmp_path: Path, tiny_file: Path) -> Iterator[Path]:
    """A database on a medium that nobody can write, in either mode of the journal."""
    place = tmp_path / "medium"
    place.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True).returncode
    ):
        pytest.skip("only root can mount")
    try:
        path = Path(shutil.copy(tiny_file, place / "blox.db"))
        with closing(sqlite3.connect(path)) as other:
            other.execute(f"PRAGMA journal_mode = {request.param}")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield path
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.slow
def test_on_a_medium_that_nobody_can_write_everything_that_reads_works(medium: Path, tmp_path: Path) -> None:
    with bloxdb.open(medium) as db:
        assert db.read_only
        assert len(bloxdb.top(3)) == 3
        with pytest.raises(bloxdb.DatabaseError, match="is where nothing can be written"), db.transaction():
            pass
    for command in (["status"], ["top"], ["export", "--out", str(tmp_path / "release")]):
        done = subprocess.run(
            [sys.executable, "-m", "bloxdb", *command, "--db", str(medium)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_a_lock_that_is_waited_for_in_vain_says_what_to_do(empty_db: bloxdb.Database) -> None:
    assert empty_db.path is not None
    with empty_db.bulk_transaction() as session, closing(sqlite3.connect(empty_db.path, timeout=0)) as other:
        session.add(bloxdb.Device(name="a"))
        session.flush()
        with pytest.raises(sqlite3.OperationalError) as caught:
            other.execute("DELETE FROM devices")
    said = refusal(caught.value, empty_db.path)
    assert said is not None
    assert "was locked for 30 s by another process" in said
    assert f"fuser {empty_db.path}" in said
    assert refusal(caught.value, None) is None


def test_a_long_reading_of_the_owner_keeps_nobody_from_writing(empty_db: bloxdb.Database) -> None:
    assert empty_db.path is not None
    with start(HOLD, empty_db.path) as reader:
        wait_for_line(reader, "0")
        for way in (empty_db.transaction, empty_db.bulk_transaction):
            with way() as session:
                session.add(bloxdb.Device(name=way.__name__))
        reader.communicate("")
    empty_db.close()
    assert whole(empty_db.path) == "delete"


def test_a_wal_that_a_long_reading_let_grow_does_not_stay_large(empty_db: bloxdb.Database) -> None:
    assert empty_db.path is not None
    wal = empty_db.path.with_name("blox.db-wal")

    def write() -> None:
        with empty_db.transaction() as session:
            session.add_all(bloxdb.Device(name=f"{os.urandom(4).hex()}{i:010000}") for i in range(500))

    with start(HOLD, empty_db.path) as reader:
        wait_for_line(reader, "0")
        for _ in range(8):
            write()
        assert wal.stat().st_size > 40 << 20
        reader.communicate("")
    write()
    write()
    assert wal.stat().st_size <= 17 << 20
    empty_db.close()
    assert not wal.exists()


def test_a_database_in_another_encoding_is_told_at_open(tmp_path: Path, tiny_file: Path) -> None:
    path = tmp_path / "utf16.db"
    with closing(sqlite3.connect(tiny_file)) as old, closing(sqlite3.connect(path)) as new:
        new.execute("PRAGMA encoding = 'UTF-16'")
        new.execute(f"PRAGMA application_id = {old.execute('PRAGMA application_id').fetchone()[0]}")
        new.executescript("\n".join(old.iterdump()))
    for read_only in (False, True):
        with pytest.raises(
            bloxdb.DatabaseError, match="its texts are in UTF-16le, and bloxdb works with UTF-8"
        ):
            bloxdb.open(path, read_only=read_only)
    assert list(tmp_path.iterdir()) == [path]


ASKED = {
    "rows": lambda db: db.rows("SELECT 1"),
    "ask": lambda db: db.ask("SELECT 1"),
    "rows_of": lambda db: db.rows_of(select(bloxdb.Arch)),
    "reader": lambda db: db.reader,
    "transaction": lambda db: db.transaction().__enter__(),
    "bulk_transaction": lambda db: db.bulk_transaction().__enter__(),
    "autocommit": lambda db: db.autocommit().__enter__(),
    "snapshot": lambda db: db.snapshot().__enter__(),
    "snapshots": lambda db: db.snapshots(2).__enter__(),
    "scratch": lambda db: db.scratch().__enter__(),
    "top": lambda db: bloxdb.top(3, db=db),
    "Arch.get": lambda db: bloxdb.Arch.get(1, db),
}


@pytest.mark.parametrize("what", ASKED)
def test_a_closed_database_says_that_it_is_closed(empty_db: bloxdb.Database, what: str) -> None:
    empty_db.close()
    empty_db.close()
    with pytest.raises(bloxdb.DatabaseError, match=r"blox\.db was closed; open it again with bloxdb\.open"):
        ASKED[what](empty_db)


MANY = 64


def _all_at_once(ask: Callable[[int], object]) -> list[object]:
    """What as many threads get that all live until the last has its answer."""
    barrier = threading.Barrier(MANY)

    def work(number: int) -> object:
        found = ask(number)
        barrier.wait(60)
        return found

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(work, range(MANY)))


@pytest.mark.parametrize("read_only", [False, True])
def test_many_threads_read_at_once(tiny_file: Path, read_only: bool) -> None:
    with bloxdb.open(tiny_file, read_only=read_only) as db:
        assert _all_at_once(lambda number: bloxdb.Arch.get(number, db).id) == list(range(MANY))
        assert _all_at_once(lambda number: db.rows("SELECT :n AS n", n=number)[0]["n"]) == list(range(MANY))


def test_many_threads_write_at_once(empty_db: bloxdb.Database) -> None:
    def write(number: int) -> None:
        with empty_db.transaction() as session:
            session.add(bloxdb.Device(name=f"device {number}"))
        bloxdb.Arch.get(number, empty_db)

    _all_at_once(write)
    assert empty_db.rows("SELECT count(*) AS n FROM devices") == [{"n": MANY}]


def test_a_program_of_asyncio_works(tiny_db: bloxdb.Database) -> None:
    async def ask(number: int) -> int:
        arch = await asyncio.to_thread(bloxdb.Arch.get, number, tiny_db)
        rows = await asyncio.to_thread(tiny_db.rows, "SELECT count(*) AS n FROM runs")
        return int(arch.id) + int(rows[0]["n"])

    async def main() -> list[int]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MANY))
        return list(await asyncio.gather(*map(ask, range(3 * MANY))))

    assert asyncio.run(main()) == [number + 40 for number in range(3 * MANY)]


GROW = """
import sqlite3, sys, time
with sqlite3.connect(sys.argv[1], isolation_level=None) as connection:
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = EXTRA")
    print("ready", flush=True)
    for _ in range(200):
        connection.execute("INSERT INTO grown VALUES (zeroblob(200000))")
        time.sleep(0.005)
"""


def test_a_file_that_another_process_lets_grow_is_never_said_to_be_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "grown.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE grown (x)")
    writer = subprocess.Popen(
        [sys.executable, "-c", GROW, str(path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen = set()
        while writer.poll() is None:
            pages = access.pages_of(path)
            assert pages is not None
            assert not pages.is_cut_off, str(pages)
            seen.add(pages.due)
        assert len(seen) > 3
    finally:
        writer.kill()
        writer.communicate()
