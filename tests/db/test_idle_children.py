"""A child that was forked and never asks the database keeps nobody out, whatever its parent did just then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bloxdb import Database
from tests.db.test_forking import BEFORE, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process is forked there")

IDLE = """
import contextlib, multiprocessing, signal, time
from pathlib import Path
from bloxdb.writing import left_in, workspace

ready = Signal()  # what a child does about what it inherited is done before it comes to this

def idle():
    ready.give()
    signal.pause()

def fork():
    child = os.fork()
    if not child:
        idle()
    ready.wait()
    return child

def by_multiprocessing():
    child = multiprocessing.get_context("fork").Process(target=idle, daemon=True)
    child.start()
    ready.wait()
    return child.pid

def reading():
    # A thread that is in the midst of a query until it is told to end.
    begun, end = threading.Event(), threading.Event()
    def read():
        with db.engine.connect() as connection:
            driver = connection.connection.driver_connection
            cursor = driver.execute("SELECT id FROM archs")
            cursor.fetchone()
            begun.set()
            end.wait()
            cursor.close()
    thread = threading.Thread(target=read)
    thread.start()
    begun.wait()
    return end, thread

def ended(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

at_once = 3.0  # seconds; an idle child would keep it waiting for ever
"""


def without_database(program: str) -> None:
    before = BEFORE.partition("db = ")[0]
    done = subprocess.run(
        [sys.executable, "-c", before + IDLE + program], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FORKS = ["fork", "by_multiprocessing"]


@pytest.mark.parametrize("how", FORKS)
@pytest.mark.parametrize("wal", [False, True], ids=["in rest", "with a WAL"])
def test_who_writes_goes_on_at_once(how: str, wal: bool, empty_db: Database) -> None:
    program = f"""
if {wal}:
    db.share()
end, thread = reading()
assert Path(f"{{db.path}}-shm").exists() is {wal}
child = {how}()
end.set()
thread.join()
start = time.monotonic()
add("parent")
with db.bulk_transaction() as session:
    session.add(bloxdb.Device(name="parent in bulk"))
assert time.monotonic() - start < at_once
db.close()
by_another("INSERT INTO devices (name) VALUES ('other')")
assert time.monotonic() - start < 2 * at_once
ended(child)
"""
    empty_db.disconnect()
    run(IDLE + program, empty_db.path)
    assert [row["name"] for row in empty_db.rows("SELECT name FROM devices ORDER BY name")] == [
        "other",
        "parent",
        "parent in bulk",
    ]


@pytest.mark.parametrize("how", FORKS)
def test_others_write_at_once_after_the_parent_was_killed(how: str, empty_db: Database) -> None:
    program = f"""
middle = os.fork()
if not middle:
    for _ in range(3):
        reading()
    child = {how}()
    os.write(first.ends[1], str(child).encode().ljust(20))
    signal.pause()
child = int(os.read(first.ends[0], 20))
ended(middle)
start = time.monotonic()
by_another("INSERT INTO devices (name) VALUES ('other')")
add("grandparent")
assert time.monotonic() - start < at_once
assert names() == ["grandparent", "other"]
os.kill(child, signal.SIGKILL)
"""
    empty_db.disconnect()
    run(IDLE + program, empty_db.path)


def test_a_child_that_asks_after_all_has_the_lock_that_sqlite_believes_in(empty_db: Database) -> None:
    program = """
end, thread = reading()
child = os.fork()
if not child:
    ready.give()
    second.wait()
    assert names() == ["before"]  # this takes the lock when no writer has the file
    first.give()
    second.wait()
    os._exit(0)
ready.wait()
end.set()
thread.join()
add("before")
db.disconnect()
held = sqlite3.connect(db.path, isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
second.give()
time.sleep(1)
held.execute("COMMIT")
first.wait()
held.execute("PRAGMA busy_timeout = 100")
try:
    held.execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    assert "locked" in str(error)
else:
    raise AssertionError("the child reads without a lock")
held.close()
second.give()
assert os.waitpid(child, 0)[1] == 0
"""
    empty_db.disconnect()
    run(IDLE + program, empty_db.path)


@pytest.mark.parametrize("how", FORKS)
def test_the_workspace_of_a_killed_parent_is_told_as_left_whatever_its_children_do(
    how: str, tmp_path: Path
) -> None:
    program = f"""
folder = Path({str(tmp_path)!r})
middle = os.fork()
if not middle:
    with workspace(folder):
        child = {how}()
        os.write(first.ends[1], str(child).encode().ljust(20))
        signal.pause()
child = int(os.read(first.ends[0], 20))
assert [is_left for path, is_left in left_in(folder)] == []
ended(middle)
assert [is_left for path, is_left in left_in(folder)] == [True]
os.kill(child, signal.SIGKILL)
with workspace(folder) as place:
    assert list(folder.iterdir()) == [place]
"""
    without_database(program)


def test_a_child_that_leaves_the_block_of_its_parent_leaves_the_folder_alone(tmp_path: Path) -> None:
    program = f"""
folder = Path({str(tmp_path)!r})
with contextlib.suppress(SystemExit), workspace(folder) as place:
    child = os.fork()
    if not child:
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert place.is_dir()
    assert left_in(folder) == []
if not child:
    os._exit(0)
assert list(folder.iterdir()) == []
"""
    without_database(program)
