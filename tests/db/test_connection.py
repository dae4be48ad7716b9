"""Where a database is, and connecting to it without ending the locks of a connection that is open."""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import bloxdb
from bloxdb import Database
from bloxdb.db import access
from bloxdb.db.connection import file_url, locate, make_engine, path_of

# another process is the last to close the file, if it sees no lock of ours, and then removes WAL and index
OTHER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM runs').fetchall(); c.close()"


def test_a_second_open_leaves_the_first_its_locks(empty_db: Database) -> None:
    path = empty_db.path
    assert path is not None
    with empty_db.transaction() as session:  # who writes switches the WAL on
        session.add(bloxdb.Device(name="zeroth"))
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
    with bloxdb.open(path) as second:
        subprocess.run([sys.executable, "-c", OTHER, str(path)], check=True)
        assert path.with_name(f"{path.name}-wal").exists()
        with second.transaction() as session:
            session.add(bloxdb.Device(name="first"))
    assert empty_db.rows("SELECT name FROM devices") == [{"name": "zeroth"}, {"name": "first"}]
    with sqlite3.connect(Path(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_the_place_comes_from_the_environment_or_the_data_folder(
    empty_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOXDB_URL", f"sqlite:///{empty_file}")
    with bloxdb.open(read_only=True) as db:
        assert db.path == empty_file
    monkeypatch.delenv("BLOXDB_URL")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert locate(None).database == str(tmp_path / "bloxdb" / "blox.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://h/d", "'mysql' databases are not supported; write a path, sqlite:///PATH or postgresql://"),
        ("file:///a/x.db", "'file' databases are not supported; write a path"),
        ("nonsense://", "'nonsense' databases are not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://x.db", "write sqlite:///x.db, with three slashes"),
        ("sqlite://some/where/x.db", "write sqlite:///some/where/x.db"),
        ("sqlite://~/x.db", "write sqlite:///~/x.db"),
        ("sqlite:x.db", "write sqlite:///x.db"),
        ("sqlite:/a/x.db", "write sqlite:////a/x.db"),
        ("postgresql:/h/d", "write postgresql://h/d"),
        ("postgres:h/d", "write postgres://h/d"),
        ("sqlite:///x.db?mode=ro", "none is taken; write sqlite:///x.db"),
        ("sqlite+aiosqlite:///x.db", "'aiosqlite'; leave it out: sqlite:///x.db"),
        ("sqlite+pysqlcipher:////a/x.db", "'pysqlcipher'; leave it out: sqlite:////a/x.db"),
        ("postgresql+asyncpg://h/d", "'asyncpg'; leave it out: postgresql://h/d"),
        ("postgres+psycopg2://h/d", "'psycopg2'; leave it out: postgres://h/d"),
        ("postgresql://h:abc/d", "a port that is no number; write a path, .* or postgresql://USER@HOST:PORT"),
        ("postgresql://h:/d", "a port that is no number"),
        ("postgresql://h:0/d", "the port 0, and ports go from 1 to 65535"),
        ("postgresql://h:65536/d", "the port 65536"),
    ],
)
def test_urls_that_cannot_be_are_refused_with_the_right_form(url: str, message: str) -> None:
    for take in (bloxdb.open, bloxdb.create, bloxdb.upgrade):
        with pytest.raises(bloxdb.DatabaseNotFoundError, match=message):
            take(url)


@pytest.mark.parametrize("url", ["postgresql://u:se/cr@et@h:x/d", "postgresql+asyncpg://u:se/cr@et@h/d"])
def test_no_message_has_a_password(url: str) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError) as info:
        locate(url)
    assert "cr@et" not in str(info.value)
    assert "u:***@h" in str(info.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRES"])
def test_a_server_has_one_url_however_it_is_written(scheme: str) -> None:
    url = locate(f"{scheme}://me:secret@host:5433/name")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://me:secret@host:5433/name"


BLANKS = ["", " ", "  \t", "\n"]


@pytest.mark.parametrize("unset", [*BLANKS, None])
@pytest.mark.parametrize("variable", BLANKS)
def test_a_blank_text_and_a_blank_environment_are_as_none(
    variable: str, unset: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("BLOXDB_URL", variable)
    assert locate(unset).database == str(tmp_path / "bloxdb" / "blox.db")
    monkeypatch.setenv("BLOXDB_URL", str(tmp_path / "mine.db"))
    assert locate(unset).database == str(tmp_path / "mine.db")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_home_folder_is_one_in_paths_and_urls(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(form.format("~/some/x.db")).database == str(tmp_path / "some" / "x.db")
    monkeypatch.setenv("BLOXDB_URL", form.format("~/x.db"))
    assert locate(None).database == str(tmp_path / "x.db")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_folder_is_no_database(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "..", str(tmp_path), f"{tmp_path}/"):
        for take in (bloxdb.open, bloxdb.create, bloxdb.upgrade):
            with pytest.raises(bloxdb.NotADatabaseError, match="is a folder; name a file, such as .*blox.db"):
                take(form.format(place))


@pytest.mark.parametrize("take", [bloxdb.open, bloxdb.create, bloxdb.upgrade, bloxdb.check])
def test_what_no_name_can_be_is_told(take: Any, tmp_path: Path) -> None:
    (tmp_path / "loop.db").symlink_to("loop.db")
    with pytest.raises(bloxdb.NotADatabaseError, match=r"loop.db is a link that leads back to itself"):
        take(tmp_path / "loop.db")
    with pytest.raises(bloxdb.NotADatabaseError, match=r"bad\\udcff.db' is no name for a database: .* UTF-8"):
        take(os.fsdecode(bytes(tmp_path) + b"/bad\xff.db"))


def test_a_database_within_a_file_is_told(tmp_path: Path, empty_file: Path) -> None:
    with pytest.raises(
        bloxdb.DatabaseError, match=f"{empty_file} is no folder, so that .*new.db cannot be made"
    ):
        bloxdb.create(empty_file / "new.db")


READ = """
import bloxdb, sys
with bloxdb.open(sys.argv[1], read_only=True) as db:
    print(len(bloxdb.top(3)), db.rows("SELECT count(*) AS n FROM runs")[0]["n"], len(bloxdb.Arch.get(1).vec))
"""


def without_power() -> None:
    """What root may write is a matter of permissions again, after the next `exec`."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def python(code: str, path: Path, *, code_of_exit: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, check=False, preexec_fn=without_power, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == code_of_exit, done.stderr
    return done


@pytest.fixture(params=["file", "folder", "both"])
def not_writable(request: pytest.FixtureRequest, tmp_path: Path, tiny_file: Path) -> Iterator[Path]:
    """A database where a file or its folder, or both, may only be read."""
    folder = tmp_path / "medium"
    folder.mkdir()
    path = Path(shutil.copy(tiny_file, folder / "blox.db"))
    if request.param != "folder":
        path.chmod(0o444)
    if request.param != "file":
        folder.chmod(0o555)
    yield path
    folder.chmod(0o755)


def test_what_cannot_be_written_is_read_and_nothing_stays(not_writable: Path) -> None:
    assert python(READ, not_writable).stdout == "3 40 3\n"
    assert [path.name for path in not_writable.parent.iterdir()] == ["blox.db"]


@pytest.mark.parametrize("path_of", [str, lambda path: f"sqlite:///{path}"], ids=["path", "URL"])
def test_opening_what_cannot_be_written_says_how_to_read_it(not_writable: Path, path_of: Any) -> None:
    code = "import bloxdb, sys; bloxdb.open(sys.argv[1])"
    done = python(code, path_of(not_writable), code_of_exit=1)
    assert f"DatabaseError: nothing can be written to {not_writable}" in done.stderr
    assert "read_only=True" in done.stderr.splitlines()[-1]
    assert [path.name for path in not_writable.parent.iterdir()] == ["blox.db"]


CHANGES = {
    "upgrade": "bloxdb.upgrade(sys.argv[1])",
    "create beside it": "bloxdb.create(sys.argv[1] + '.new')",
    "create in a folder beside it": "bloxdb.create(sys.argv[1] + '.folder/new.db')",
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_what_would_write_there_says_that_nothing_can_be_written(not_writable: Path, change: str) -> None:
    takes_files = not_writable.parent.stat().st_mode & 0o200
    if change != "upgrade" and takes_files:
        python(f"import bloxdb, sys; {CHANGES[change]}.close()", not_writable)
        return
    done = python(f"import bloxdb, sys; {CHANGES[change]}", not_writable, code_of_exit=1)
    assert "DatabaseError: nothing can be written to" in done.stderr.splitlines()[-1]
    assert [path.name for path in not_writable.parent.iterdir()] == ["blox.db"]


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("how", ["with", "close", "exit", "current", "thread"])
def test_reading_leaves_nothing_beside_the_file(
    tmp_path: Path, tiny_file: Path, read_only: bool, how: str
) -> None:
    path = shutil.copy(tiny_file, tmp_path / "blox.db")
    before = path.read_bytes()
    reads = "bloxdb.top(3), db.rows('SELECT count(*) FROM runs'), bloxdb.Arch.get(1).runs"
    code = {
        "with": f"with db: {reads}",
        "close": f"{reads}; db.close()",
        "exit": reads,
        "current": f"{reads}; next(iter(bloxdb.from_database())); bloxdb.runs.gaps('cifar100-10', 0)",
        "thread": f"t = threading.Thread(target=lambda: ({reads})); t.start(); t.join()",
    }[how]
    opening = f"import bloxdb, sys, threading; db = bloxdb.open(sys.argv[1], read_only={read_only})\n"
    python(opening + code, path)
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    assert path.read_bytes() == before


def test_a_link_to_a_file_is_the_file(not_writable: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(not_writable)
    assert python(READ, link).stdout == "3 40 3\n"
    assert sorted(path.name for path in (*tmp_path.iterdir(), *not_writable.parent.iterdir())) == [
        *("blox.db", "link.db", "medium")
    ]


KILLED = """
import bloxdb, os, sys
db = bloxdb.open(sys.argv[1])
with db.transaction() as session:
    session.add(bloxdb.Device(name="late"))
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("index", [True, False])
def test_what_was_written_last_is_never_left_out(index: bool, tmp_path: Path, tiny_file: Path) -> None:
    folder = tmp_path / "medium"
    folder.mkdir()
    path = Path(shutil.copy(tiny_file, folder / "blox.db"))
    python(KILLED, path)
    if not index:
        path.with_name("blox.db-shm").unlink()
    folder.chmod(0o555)
    ask = "import bloxdb, sys\nwith bloxdb.open(sys.argv[1], read_only=True) as db: print(db.rows('SELECT max(name) AS n FROM devices'))"
    done = python(ask, path, code_of_exit=0 if index else 1)
    folder.chmod(0o755)
    if index:
        assert done.stdout == "[{'n': 'late'}]\n"
    else:
        assert "is in blox.db-wal, which needs a folder that can be written; copy both" in done.stderr


def test_readers_see_what_a_writer_that_was_killed_had_committed(tmp_path: Path, tiny_file: Path) -> None:
    path = shutil.copy(tiny_file, tmp_path / "blox.db")
    python(KILLED, path)
    assert path.with_name("blox.db-wal").stat().st_size > 0
    with bloxdb.open(path, read_only=True) as db:
        assert db.rows("SELECT name FROM devices WHERE name = 'late'") == [{"name": "late"}]
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def held(path: Path | None) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file to itself, until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


PRAGMAS = ("foreign_keys", "synchronous", "query_only", "journal_size_limit", "cache_size", "busy_timeout")
ON_THE_DISK, OFF = 3, 0  # https://www.sqlite.org/pragma.html#pragma_synchronous
LASTING = (1, ON_THE_DISK, 0, 16 << 20, -65_536, 200)


@pytest.mark.parametrize(
    ("read_only", "is_new", "expected", "mode"),
    [
        (False, False, LASTING, "delete"),
        (True, False, (1, ON_THE_DISK, 1, 16 << 20, -65_536, 200), "delete"),
        (False, True, (1, OFF, 0, -1, -16_384, 200), "memory"),
    ],
)
def test_each_connection_is_set_up_as_what_it_is_for(
    read_only: bool, is_new: bool, expected: tuple[int, ...], mode: str, empty_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "blox.db"))
    engine = make_engine(file_url(path), read_only=read_only, is_new=is_new)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        assert tuple(driver.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS) == expected
        assert driver.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert (driver.path, driver.is_new, driver.takes_wal) == (path, is_new, True)
    engine.dispose()


def test_who_writes_has_what_is_committed_on_the_disk_and_a_wal_that_stays_small(tiny_db: Database) -> None:
    with tiny_db.transaction() as session:
        assert tuple(session.scalar(text(f"PRAGMA {name}")) for name in PRAGMAS) == LASTING
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"


@pytest.mark.parametrize("is_new", [False, True])
def test_a_file_is_made_only_where_it_is_new_and_as_the_umask_says(is_new: bool, tmp_path: Path) -> None:
    path = tmp_path / "blox.db"
    engine = make_engine(file_url(path), read_only=False, is_new=is_new)
    before = os.umask(0o027)
    try:
        if is_new:
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
        else:
            with pytest.raises(OperationalError, match="unable to open database file"):
                engine.connect()
            assert not path.exists()
    finally:
        os.umask(before)
        engine.dispose()


@pytest.mark.parametrize(
    "number",
    [
        np.int8(-7), np.int16(7), np.int32(7), np.int64(7), np.uint8(7), np.uint16(7), np.uint32(7), np.uint64(7),
        np.float16(0.5), np.float32(0.5), np.float64(0.5), np.longdouble(0.5), np.bool_(True), np.bool_(False),
    ],
)  # fmt: skip
def test_the_driver_itself_takes_numbers_of_numpy_for_what_they_are(number: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        found, kind = connection.execute("SELECT ?1, typeof(?1)", (number,)).fetchone()
    assert found == number.item()
    assert kind == ("real" if isinstance(number, np.floating) else "integer")


@pytest.mark.slow
def test_to_close_waits_for_nobody(tiny_db: Database) -> None:
    assert tiny_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
    with held(tiny_db.path) as holder:
        watchdog = threading.Timer(15, holder.kill)  # of 30 seconds that others are waited for
        watchdog.start()
        tiny_db.close()
        watchdog.cancel()
        assert holder.poll() is None


ASKING = """
import sys, threading, time, bloxdb
from sqlalchemy import select
said = set()
for _ in range(10):
    db = bloxdb.open(sys.argv[1], current=False)
    ends = threading.Event()
    def ask():
        while not ends.is_set():
            try:
                db.reader.scalars(select(bloxdb.Arch).limit(500)).all()
                db.rows("SELECT * FROM epochs")
            except bloxdb.DatabaseError as error:
                said.add(str(error).partition(" was ")[2])
                ends.wait(0.001)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    db.close()
    time.sleep(0.05)
    ends.set()
    for thread in threads:
        thread.join()
print(said)
"""


@pytest.mark.slow
def test_closing_while_threads_ask_ends_them_with_a_sentence(tiny_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    done = python(ASKING, path)
    assert done.stdout == "{'closed; open it again with bloxdb.open'}\n"
    assert done.stderr == ""


def test_what_threads_have_open_that_live_on_is_closed_too(tiny_db: Database) -> None:
    path = tiny_db.path
    assert path is not None

    def write() -> None:
        with tiny_db.transaction() as session:
            session.add(bloxdb.Device(name="of a thread"))

    with ThreadPoolExecutor(3) as threads:
        threads.submit(write).result()
        for _ in range(9):
            assert len(threads.submit(bloxdb.top, 2, tiny_db).result()) == 2
        assert access.has_wal(path)
        tiny_db.close()
        assert not access.has_wal(path)
        with pytest.raises(bloxdb.DatabaseError, match="was closed"):
            threads.submit(bloxdb.top, 2, tiny_db).result()


def test_a_file_has_one_name_from_wherever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    for named in ("../a.db", "sqlite:///../a.db", tmp_path / "sub" / ".." / "a.db", tmp_path / "a.db"):
        assert path_of(locate(named)) == tmp_path / "a.db"
        with pytest.raises(bloxdb.DatabaseNotFoundError, match=f"no database at {tmp_path}/a.db;"):
            bloxdb.open(named)
