"""`init`, `upgrade`, `status`, `retry` and `merge` as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import statistics
from pathlib import Path

import pytest

from bloxdb.cli.manage import ranges
from tests.cli.helpers import bloxdb


def test_status_counts_runs_and_gaps(tiny_file: Path, empty_file: Path) -> None:
    done = bloxdb("status", "--db", tiny_file)
    assert "91,125 archs, 40 runs, 400 epochs" in done.stdout
    assert re.search(r"gaps of cifar100-10, seed 3: 0-\d+, .* \(41 ranges\)|\(\d+ ranges\)", done.stdout)
    data = json.loads(bloxdb("status", "--db", tiny_file, "--json").stdout)
    assert data["runs"][0]["missing"] == 91_085
    assert "no runs yet" in bloxdb("status", "--db", empty_file).stderr


def test_status_shows_workers_failures_and_the_middle_and_retry_lets_them_go_on(
    tiny_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "a.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET status = 'failed', message = 'out of memory' WHERE id = 1")
        connection.execute("UPDATE runs SET status = 'diverged' WHERE id = 2")
        connection.execute(
            "UPDATE runs SET status = 'running', worker = 'elsewhere:7', heartbeat_at = datetime('now', '-90 seconds') "
            "WHERE id = 3"
        )
        left = [row[0] for row in connection.execute("SELECT test_top1 FROM runs WHERE status = 'finished'")]
    connection.close()
    found = json.loads(bloxdb("status", "--db", path, "--json").stdout)
    (row,) = found["runs"]
    counts = {name: row[name] for name in ("finished", "failed", "diverged", "running", "pending")}
    assert counts == {"finished": 37, "failed": 1, "diverged": 1, "running": 1, "pending": 0}
    assert row["median"] == pytest.approx(statistics.median(left), abs=1e-3)
    assert (row["best"], row["worst"]) == (max(left), min(left))
    (worker,) = found["workers"]
    assert (worker["worker"], worker["epoch"], worker["epochs"]) == ("elsewhere:7", 10, 10)
    assert 89 < worker["last_heartbeat_s"] < 120
    assert [failure["message"] for failure in found["failures"]] == ["out of memory", None]
    shown = bloxdb("status", "--db", path).stdout
    assert "failed: out of memory" in shown
    assert "elsewhere:7" in shown
    assert "1 run waits" in bloxdb("retry", "--failed", "--seed", 3, "--db", path).stdout
    assert "1 run waits" in bloxdb("retry", "--diverged", "--failed", "--db", path).stdout
    (row,) = json.loads(bloxdb("status", "--db", path, "--json").stdout)["runs"]
    assert (row["pending"], row["failed"], row["diverged"]) == (2, 0, 0)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM epochs WHERE run_id < 3").fetchone() == (0,)
    connection.close()


def test_merge_brings_databases_together(tiny_file: Path, empty_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(empty_file, tmp_path / "a.db")
    done = bloxdb("merge", tiny_file, tiny_file, "--db", path)
    assert done.stdout.startswith(
        "new: 40 architectures, 40 runs, 400 epochs, 80 latencies; there already and equal: 40 runs, 80 latencies\n"
    )
    assert "gaps of cifar100-10, seed 3: 0-" in done.stdout
    found = json.loads(bloxdb("merge", tiny_file, "--db", path, "--json").stdout)
    assert (found["agreed"], found["same"]["runs"], found["notes"]) == (120, 40, [])
    assert (found["gaps"][0]["recipe"], found["gaps"][0]["gaps"][0][0]) == ("cifar100-10", 0)


def test_upgrade_of_a_current_database_does_nothing(tiny_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_file, tmp_path / "a.db")
    assert "nothing to do" in bloxdb("upgrade", "--db", path).stderr
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], "none"),
        ([(3, 3)], "3"),
        ([(0, 2), (4, 4)], "0-2, 4"),
        ([(n, n) for n in range(0, 16, 2)], "0, 2, 4, 6, 8, 10, 12, 14"),
        ([(n, n) for n in range(0, 18, 2)], "0, 2, 4, 6, 8, 10, 12, 14, … (9 ranges)"),
    ],
)
def test_ranges_are_as_a_person_reads_them(found: list[tuple[int, int]], text: str) -> None:
    assert ranges(found) == text
