"""Several processes on one file: writers wait for each other, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bloxdb import Database

pytestmark = pytest.mark.slow

WRITER = """
import sys
import bloxdb
from bloxdb import Device, Latency
name = sys.argv[2]
with bloxdb.open(sys.argv[1]) as db:
    with db.transaction() as session:
        session.add(Device(name=name))
    for index in range(60):
        with db.transaction() as session:
            device = session.query(Device).filter_by(name=name).one()
            session.add(Latency(arch_id=index, device_id=device.id, latency_ms=float(index)))
        assert db.rows("SELECT count(*) AS n FROM latencies")[0]["n"] > index
"""


def test_four_writers_lose_nothing_and_are_never_locked_out(empty_db: Database) -> None:
    command = [sys.executable, "-c", WRITER, str(empty_db.path)]
    writers = [subprocess.Popen([*command, f"device-{i}"], stderr=subprocess.PIPE) for i in range(4)]
    errors = [writer.communicate()[1] for writer in writers]
    assert errors == [b""] * 4
    assert empty_db.rows("SELECT count(*) AS n, sum(latency_ms) AS ms FROM latencies") == [
        {"n": 240, "ms": 7080.0}
    ]
    assert empty_db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


COMING_AND_GOING = """
import sys, time
import bloxdb
from sqlalchemy import text
path, kind = sys.argv[1:]
count, told, end = text("SELECT count(*) FROM devices"), 0, time.monotonic() + 4
while time.monotonic() < end:
    with bloxdb.open(path, read_only=kind == "rows") as db:
        for _ in range(told % 3 + 1):
            if kind == "rows":
                db.rows("SELECT count(*) AS n FROM devices")
            elif kind == "snapshot":
                with db.snapshot() as session:
                    first = session.scalar(count)
                    time.sleep(0.05)
                    assert session.scalar(count) == first
            else:
                with getattr(db, kind)() as session:
                    session.execute(text("INSERT INTO devices (name) VALUES (:n)"), {"n": f"{kind} {told}"})
            told += 1
print(told)
"""


def test_processes_that_come_and_go_all_the_time_see_a_whole_file(empty_db: Database) -> None:
    """Whoever goes last switches the WAL off, and who writes first switches it on, while others open the file."""
    empty_db.disconnect()
    writers, readers = ("transaction", "bulk_transaction"), ("rows", "rows", "snapshot")
    command = [sys.executable, "-c", COMING_AND_GOING, str(empty_db.path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen([*command, kind], **pipes) for kind in (*writers, *readers)]  # type: ignore[call-overload]
    told = [process.communicate() for process in running]
    assert [errors for _, errors in told] == [""] * len(running)
    counts = [int(out) for out, _ in told]
    assert min(counts) > 3
    assert empty_db.rows("SELECT count(*) AS n FROM devices") == [{"n": sum(counts[: len(writers)])}]
    assert empty_db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
