"""`bench` as a user runs it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.cli.helpers import bloxdb


@pytest.mark.slow
def test_bench_measures_and_stores_latencies(empty_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "a.db"))
    options = ("--device-name", "this-cpu", "--db", path, "--runs", 3, "--warmup", 1, "--threads", 1)
    lines = bloxdb("bench", "--range", 403, 405, *options).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["403", "404"]
    again = bloxdb("bench", "--range", 403, 406, "--missing", *options).stdout.splitlines()
    assert [line.split("\t")[0] for line in again] == ["405"]
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT arch_id, latency_ms, spread_ms FROM latencies ORDER BY 1"
        ).fetchall()
        assert connection.execute("SELECT name FROM devices").fetchall() == [("this-cpu",)]
    connection.close()
    assert [row[0] for row in rows] == [403, 404, 405]
    assert all(0.5 < latency < 1000 and 0 <= spread < latency for _, latency, spread in rows)
    shown = float(lines[0].split("\t")[1].removesuffix(" ms"))
    assert shown == pytest.approx(rows[0][1], abs=1e-3)
