"""New databases: they appear whole, in their own name, and never in the place of another."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bloxdb
from bloxdb.db import access, creation
from bloxdb.writing import is_workspace
from tests.db.programs import start, wait_for_line, whole


def command(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bloxdb", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_of_two_commands_that_create_one_database_at_once_one_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "blox.db"
    both = [command("init", "--db", path) for _ in range(2)]
    told = [process.communicate(timeout=100) for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    (error,) = (errors for _, errors in told if errors)
    assert "exists already" in error or "was made by another process meanwhile" in error
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    assert whole(path) == "delete"


@pytest.mark.slow
def test_of_two_imports_into_one_new_file_both_come_in(tmp_path: Path, golden: Path) -> None:
    path = tmp_path / "blox.db"
    both = [command("import", golden / "release-tiny", "--db", path) for _ in range(2)]
    told = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("created" in errors for _, errors in told) == 1
    for line in "".join(errors for _, errors in told).splitlines():
        assert line in (f"created {path}", f"{path} was made by another process meanwhile; importing into it")
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    with bloxdb.open(path) as db:
        assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
    assert whole(path) == "delete"


def test_a_file_that_appears_while_another_is_made_stays(tmp_path: Path, tiny_file: Path) -> None:
    path = tmp_path / "blox.db"

    def fill() -> None:
        with creation.open_or_create(path) as (db, is_new):
            assert is_new
            assert not path.exists()
            assert db.name == str(path)
            shutil.copy(tiny_file, path)

    with pytest.raises(bloxdb.DatabaseExistsError, match="was made by another process meanwhile"):
        fill()
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    with bloxdb.open(path) as db:
        assert db.rows("SELECT count(*) AS n FROM runs") == [{"n": 40}]


FILL = """
import sys
from bloxdb.db import access, creation
with creation.open_or_create(sys.argv[1]) as (db, is_new):
    print("filling", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_what_a_killed_one_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "blox.db"
    with start(FILL, path) as process:
        wait_for_line(process, "filling")
        process.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert is_workspace(left)
    bloxdb.create(path).close()
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]


@pytest.mark.parametrize("suffix", ["-journal", "-wal"])
def test_what_is_left_of_another_database_is_not_taken_for_a_part_of_the_new_one(
    tmp_path: Path, suffix: str
) -> None:
    left = tmp_path / f"blox.db{suffix}"
    left.write_bytes(b"pages of another")
    with pytest.raises(bloxdb.DatabaseError, match=f"blox.db{suffix} was left by another database"):
        bloxdb.create(tmp_path / "blox.db")
    assert left.read_bytes() == b"pages of another"
    assert list(tmp_path.iterdir()) == [left]


def test_a_link_to_nothing_leads_to_the_place_of_the_new_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link.db", tmp_path / "disk" / "blox.db"
    link.symlink_to(target)
    bloxdb.create(link).close()
    assert link.is_symlink()
    assert whole(target) == "delete"


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_new_files_and_folders_have_the_users_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "folder" / "blox.db"
    before = os.umask(umask)
    try:
        bloxdb.create(path).close()
        with bloxdb.open(path) as db, db.transaction() as session:
            session.add(bloxdb.Device(name="a"))
            session.flush()
            modes = {found.name: found.stat().st_mode & 0o777 for found in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o777 & ~umask
    assert modes == dict.fromkeys(("blox.db", "blox.db-wal", "blox.db-shm"), 0o666 & ~umask)


def _add_device(db: bloxdb.Database) -> None:
    with db.transaction() as session:
        session.add(bloxdb.Device(name="a"))


def test_a_connection_never_makes_a_file(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    with bloxdb.open(path) as db:
        db.disconnect()
        path.unlink()
        with pytest.raises(bloxdb.DatabaseError, match="it was removed or renamed since it was opened"):
            db.rows("SELECT 1")
        with pytest.raises(bloxdb.DatabaseError, match="it was removed or renamed since it was opened"):
            _add_device(db)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("moment", [0.1, 0.3])
def test_a_signal_ends_an_import_and_leaves_nothing(
    tmp_path: Path, golden: Path, number: signal.Signals, moment: float
) -> None:
    path = tmp_path / "folder" / "blox.db"
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from bloxdb.cli import main; main()"
    words = ("import", golden / "release-small", "--db", path)
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stderr=subprocess.PIPE, text=True
    ) as process:
        while not path.parent.exists() or not list(path.parent.iterdir()):
            time.sleep(0.01)
        time.sleep(moment)
        process.send_signal(number)
        _, errors = process.communicate(timeout=100)
    assert list(tmp_path.rglob("*")) == [], errors
    assert "Traceback" not in errors, errors
    assert process.returncode == (1 if number == signal.SIGINT else -number)


@pytest.mark.slow
def test_under_nohup_a_hangup_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "blox.db"
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += "from bloxdb.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", code, "init", "--db", str(path)]) as process:
        while not list(tmp_path.iterdir()):
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        assert process.wait(100) == 0
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]


@pytest.mark.slow
def test_folders_of_a_new_file_that_was_not_made_are_gone(tmp_path: Path) -> None:
    with command("import", tmp_path / "nothere.blox", "--db", tmp_path / "a" / "b" / "c.db") as process:
        _, errors = process.communicate()
    assert process.returncode == 1, errors
    assert list(tmp_path.iterdir()) == []


PART_NAMES = ["x.db-journal", "x.db-wal", "x.db-shm", "x.db-WAL", "other.sqlite-Journal", "-shm"]
MAKERS = {
    "create": lambda path, db: bloxdb.create(path, current=False),
    "open_or_create": lambda path, db: creation.open_or_create(path).__enter__(),
    "backup": lambda path, db: bloxdb.backup(path, db),
    "compact backup": lambda path, db: bloxdb.backup(path, db, compact=True),
    "repair": lambda path, db: bloxdb.repair(db, copy=path),
}


@pytest.mark.parametrize("name", PART_NAMES)
@pytest.mark.parametrize("maker", MAKERS)
def test_no_new_file_has_a_name_that_sqlite_gives_a_part_of_another(
    maker: str, name: str, tiny_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    refused = pytest.raises(bloxdb.DatabaseError, match=r"named as SQLite names a part of .* such as ")
    with bloxdb.open(tiny_file, read_only=True, current=False) as db, refused as info:
        MAKERS[maker](folder / name, db)
    assert not isinstance(info.value, bloxdb.DatabaseExistsError)
    assert list(folder.iterdir()) == []
    told = str(info.value).rpartition(" ")[2]
    assert told not in PART_NAMES
    with access.new_file(folder / told) as place:
        place.touch()


@pytest.mark.parametrize("name", ["x.db.journal", "wal", "journal.db", "x-walnut.db", "x.db-shm.db"])
def test_a_name_that_is_only_like_that_is_taken(name: str, tmp_path: Path) -> None:
    with access.new_file(tmp_path / name) as place:
        place.touch()
    assert (tmp_path / name).exists()


def test_a_link_to_such_a_name_is_refused_as_well(tmp_path: Path) -> None:
    (tmp_path / "plain.db").symlink_to(tmp_path / "x.db-wal")
    with pytest.raises(bloxdb.DatabaseError, match=r"does not end in -wal"):
        bloxdb.create(tmp_path / "plain.db", current=False)
