"""Several processes on one file: writers wait for each other, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys

from bloxdb import Database

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
