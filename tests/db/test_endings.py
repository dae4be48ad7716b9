"""However a process ends that has a database open: the next opens it, and finds all or nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bloxdb
from tests.db.programs import IMPORT, killed, needs_two_users, run, shared_folder, start, wait_for_line, whole

pytestmark = pytest.mark.slow

__all__ = ["shared_folder"]

WRITE = """
import bloxdb, copy, os, pickle, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
db = bloxdb.open(sys.argv[1])
with db.transaction() as session:
    session.add(bloxdb.Device(name="whole"))
def aside(use):
    use(bloxdb.open(sys.argv[1], current=False))
def write(db):
    with db.transaction() as session:
        session.add(bloxdb.Device(name="of somebody"))
"""

ENDINGS = {
    "close": "db.close()",
    "end": "",
    "error": "raise RuntimeError",
    "forgotten": "db = None",
    "forgotten aside": "db.close(); aside(write)",
    "a copy": "copy.copy(db).rows('SELECT 1'); db.close()",
    "a pickle's copy": "pickle.loads(pickle.dumps(db)).rows('SELECT 1'); db.close()",
    "a snapshot aside": "db.close(); aside(lambda db: bloxdb.to_arrow('runs', db))",
    "threads that live on": """
threads = ThreadPoolExecutor(2)
threads.submit(bloxdb.top, 2, db).result()
db.close()
""",
    "os._exit": "os._exit(1)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "in a transaction": """
with db.transaction() as session:
    session.add(bloxdb.Device(name="half"))
    session.flush()
    os.kill(os.getpid(), signal.SIGKILL)
""",
    "in an import": IMPORT.partition("db = bloxdb.open(sys.argv[1])")[2],
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("read_only", [False, True])
def test_the_next_open_recovers_and_leaves_one_file_in_one_mode(
    tmp_path: Path, tiny_file: Path, ending: str, read_only: bool
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    code = WRITE + ("from sqlalchemy import text\n" if "import" in ending else "") + ENDINGS[ending]
    with start(code, path) as process:
        process.communicate(timeout=100)
    with bloxdb.open(path, read_only=read_only) as db:
        assert db.rows("SELECT name FROM devices WHERE name IN ('whole', 'half')") == [{"name": "whole"}]
        assert len(bloxdb.top(3)) == 3
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    assert whole(path) == "delete"


@pytest.mark.parametrize("command", [["status"], ["top"], ["sql", "SELECT 1"], ["upgrade"], ["export"]])
def test_every_command_opens_what_a_killed_import_left(
    tmp_path: Path, tiny_file: Path, command: list[str]
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    killed(IMPORT, path)
    assert path.with_name("blox.db-journal").stat().st_size > 0
    out = ["--out", str(tmp_path / "release")] if command == ["export"] else []
    subprocess.run(
        [sys.executable, "-m", "bloxdb", *command, "--db", str(path), *out], check=True, capture_output=True
    )
    assert not path.with_name("blox.db-journal").exists()
    assert whole(path) == "delete"
    with bloxdb.open(path) as db:
        assert db.rows("SELECT * FROM devices WHERE name = 'half'") == []


READ = """
import bloxdb, sys
with bloxdb.open(sys.argv[1], read_only=True) as db:
    print(db.rows("SELECT sum(flops) AS n FROM static_info"))
"""


@needs_two_users
def test_who_may_not_recover_is_told_who_can_and_never_shown_a_half(
    shared_folder: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, shared_folder / "blox.db"))
    before = run(READ, path, another=True)
    killed(IMPORT, path)
    _, errors = run(READ, path, another=True, ends=1)
    said = errors.splitlines()[-1]
    assert "a process was killed while it wrote" in said
    assert f"have root run `bloxdb status --db {path}`, and keep blox.db-journal" in said
    assert path.with_name("blox.db-journal").exists()
    run(READ, path)
    assert run(READ, path, another=True) == before


@needs_two_users
def test_a_reader_that_is_open_is_told_too(shared_folder: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, shared_folder / "blox.db"))
    code = READ.replace(
        "    print", "    db.rows('SELECT 1')\n    print('open', flush=True)\n    sys.stdin.read()\n    print"
    )
    with start(code, path, another=True) as reader:
        wait_for_line(reader, "open")
        killed(IMPORT, path)
        _, errors = reader.communicate("", timeout=100)
    assert "a process was killed while it wrote" in errors.splitlines()[-1]
