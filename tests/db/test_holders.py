"""Who has a lock: told where the system tells it, and never guessed."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from bloxdb.db import holders
from bloxdb.db.access import refusal
from bloxdb.db.holders import by_whom, holder, writers
from bloxdb.db.names import beside

LINES = """1: POSIX  ADVISORY  WRITE 4711 08:01:99 1073741824 1073742335
1: -> POSIX  ADVISORY  READ 4713 08:01:99 0 EOF
2: POSIX  ADVISORY  READ  4712 08:01:99 1073741826 1073742335
3: FLOCK  ADVISORY  WRITE 4714 08:01:99 0 EOF
4: OFDLCK ADVISORY  WRITE -1 08:01:99 0 EOF
5: POSIX  ADVISORY  WRITE 4715 08:01:98 120 120
6: POSIX  MANDATORY WRITE 4716 08:01:97 0 EOF
nothing of the kind
"""


@pytest.mark.parametrize(
    ("inodes", "expected"),
    [
        ({99: range(0x4000_0000, 0x4000_0200)}, [4711]),
        ({98: range(120, 121)}, [4715]),
        ({98: range(121, 122)}, []),
        ({97: range(5, 6), 98: range(120, 121)}, [4715, 4716]),
        ({98: range(110, 120)}, []),
        ({98: range(110, 121), 99: range(0x4000_0000 - 9, 0x4000_0000)}, [4715]),
        ({99: range(0x4000_0000 + 511, 0x4000_0000 + 900)}, [4711]),
        ({99: range(0x4000_0000 + 512, 0x4000_0000 + 900)}, []),
        ({1: range(100)}, []),
        ({}, []),
    ],
)
def test_who_has_bytes_locked_for_writing_is_read_from_the_table(
    inodes: dict[int, range], expected: list[int]
) -> None:
    assert writers(LINES, inodes) == expected


def test_the_bytes_that_a_writer_locks_are_those_of_sqlite() -> None:
    assert {name: (places[0], places[-1]) for name, places in holders._WRITER.items()} == {
        "": (0x4000_0000, 0x4000_01FF),  # pending, reserved and 510 shared ones
        "-shm": (120, 120),
    }


def test_where_nobody_is_known_to_write_it_is_said_how_to_find_out(
    empty_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (
        "another process, as by an import, an upgrade or a long export",
        f" (`fuser {empty_file}` says which it is)",
    )
    assert by_whom(empty_file) == told
    monkeypatch.setattr(holders, "LOCKS", empty_file / "none")
    assert by_whom(empty_file) == told


HOLD = """
import sys, bloxdb
from sqlalchemy import text
with bloxdb.open(sys.argv[1], current=False) as db, getattr(db, sys.argv[2])() as session:
    session.execute(text("INSERT INTO devices (name) VALUES ('a')"))
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who has a lock")
@pytest.mark.parametrize("way", ["transaction", "bulk_transaction"])
def test_a_lock_that_is_waited_for_in_vain_names_who_has_it(
    empty_file: Path, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "blox.db"
    path.write_bytes(empty_file.read_bytes())
    words = [sys.executable, "-c", HOLD, str(path), way]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            closing(sqlite3.connect(path, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError) as caught,
        ):
            other.execute("DELETE FROM devices")
        found, said = holder(path), refusal(caught.value, path)
        process.communicate("\n")
    if found is None:
        pytest.skip("the system does not tell who has a lock here")
    assert found.startswith(f"{platform.node()}:{process.pid} (")
    assert said == f"{path} was locked for 30 s by {found}; wait until that has ended, and try again"
    assert holder(path) is None


def test_our_own_locks_are_told_as_ours(empty_db: bloxdb.Database) -> None:
    assert empty_db.path is not None
    with empty_db.transaction() as session:
        session.add(bloxdb.Device(name="a"))
        session.flush()
        assert holder(empty_db.path) == "another transaction of this process"
    assert holder(empty_db.path) is None
    assert holder(empty_db.path.with_name("none.db")) is None


def test_a_wal_that_a_held_snapshot_let_grow_is_small_again(empty_db: bloxdb.Database) -> None:
    path = empty_db.path
    assert path is not None
    wal = beside(path, "-wal")
    with empty_db.snapshot() as session:
        assert session.query(bloxdb.Device).count() == 0
        for _ in range(3):  # 24 MB
            with empty_db.transaction() as writer:
                writer.add_all(bloxdb.Device(name=f"{os.urandom(4).hex()}{'x' * 4000}") for _ in range(2000))
        assert wal.stat().st_size > 20 << 20
    for number in range(3):
        with empty_db.transaction() as writer:
            writer.add(bloxdb.Device(name=str(number)))
    assert wal.stat().st_size <= 16 << 20
    empty_db.close()
    assert not wal.exists()
