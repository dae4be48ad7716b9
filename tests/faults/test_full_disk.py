"""A full disk: one sentence, nothing half-written, and the same command succeeds when there is room."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from tests.db.test_grafting import many, write
from tests.faults.cases import CASES, COMMAND, Case, Seeds, leftovers, state

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOMENTS = int(os.environ.get("BLOXDB_FAULTS", "1"))
_SIZE = 128 << 20  # bytes of the disk; a database has 17 MB, and quickstart makes five
_TRAIN = (
    "--dataset",
    "digits",
    "--epochs",
    "2",
    "--batch",
    "256",
    "--gpus",
    "none",
    "--checkpoint-every",
    "1",
)


def _empty(folder: Path, seeds: Seeds) -> None:
    shutil.copy(seeds.empty, folder / "blox.db")


WRITING = {
    **CASES,
    "train": Case([*COMMAND, "train", "--db", "blox.db", "--arch", "405", *_TRAIN], _empty),
    "train into a new database": Case([*COMMAND, "train", "--db", "blox.db", "--arch", "405", *_TRAIN]),
    **({"quickstart": Case([*COMMAND, "quickstart", "first"])} if MOMENTS > 1 else {}),  # most of a minute
    "bench": Case(
        [*COMMAND, "bench", "--db", "blox.db", "--device-name", "a", "--arch", "405", "--runs", "2"], _empty
    ),
}
ROOMS = [0, 100_000, 1_000_000, 3_000_000] if MOMENTS > 1 else [100_000]
_TRAINING = ("train", "train into a new database", "quickstart")  # of which the same command goes on


@pytest.fixture(scope="module")
def seeds(golden: Path, empty_file: Path, tiny_file: Path) -> Seeds:
    return Seeds(golden, empty_file, tiny_file)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of one's own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    try:
        (place / "work").mkdir()
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(disk: Path, room: int) -> None:
    """Leave so many bytes."""
    found = os.statvfs(disk)
    assert found.f_blocks * found.f_frsize <= _SIZE, "somebody has unmounted the small disk"
    with (disk / "filler").open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, found.f_bavail * found.f_bsize - room))


def run(case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        case.words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_told_in_a_sentence_and_leaves_all_as_it_was(
    name: str, room: int, disk: Path, seeds: Seeds
) -> None:
    case, folder = WRITING[name], disk / "work"
    case.prepare(folder, seeds)
    before = state(folder)
    fill(disk, room)
    done = run(case, folder)
    (disk / "filler").unlink()
    assert "Traceback" not in done.stderr or name == "upgrade"  # which is no command there
    assert leftovers(folder) == []
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "Error: " in line][-1]
        assert "No space left on device" in told or "disk is full" in told or "disk I/O error" in told
        if name not in _TRAINING:
            assert state(folder) == before
        done = run(case, folder)
        assert done.returncode == 0, done.stderr
    assert leftovers(folder) == []
    if name in _TRAINING:
        path = next(folder.rglob("blox.db"))
        with closing(sqlite3.connect(path)) as connection:
            assert {row[0] for row in connection.execute("SELECT status FROM runs")} == {"finished"}


@pytest.mark.parametrize("wal", [False, True], ids=["in rest", "with a WAL that was left"])
def test_a_full_disk_keeps_no_reader_out(wal: bool, disk: Path, seeds: Seeds) -> None:
    path = disk / "work" / "blox.db"
    shutil.copy(seeds.tiny, path)
    if wal:
        code = (
            "import bloxdb, os, sys; db = bloxdb.open(sys.argv[1])\n"
            "with db.transaction() as session: session.add(bloxdb.Device(name='last'))\n"
            "os._exit(0)"
        )
        subprocess.run([COMMAND[0], "-c", code, str(path)], check=True, cwd=ROOT)
        path.with_name("blox.db-shm").unlink()
    fill(disk, 0)
    for words in (["top"], ["status"], ["sql", "SELECT count(*) FROM devices"]):
        done = run(Case([*COMMAND, *words, "--db", str(path)]), disk)
        assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == ("3" if wal else "2")
    with bloxdb.open(path) as db:
        assert len(bloxdb.top(3, db)) == 3


def test_a_disk_that_is_full_for_epochs_beside_sqlite_is_told(disk: Path) -> None:
    fill(disk, 200_000)
    path = disk / "work" / "new.db"
    full = f"{path}: epochs cannot be written there: No space left on device"
    with pytest.raises(bloxdb.DatabaseError, match=re.escape(full)):
        write(path, many(), 4096)
