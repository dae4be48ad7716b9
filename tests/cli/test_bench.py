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


CHOICE = ("--range", 403, 405, "--device-name", "this-cpu", "--threads", 1, "--runs", 2, "--warmup", 0)


@pytest.fixture(scope="module")
def measured(empty_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with latencies of two architectures; nothing is missing of them."""
    path = Path(shutil.copy(empty_file, tmp_path_factory.mktemp("measured") / "a.db"))
    bloxdb("bench", *CHOICE, "--db", path)
    return path


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        ((), 0, "nothing is missing"),
        (("--random", 3), 0, "nothing is missing"),
        (("--batch", 2), 1, "latencies of this-cpu were measured otherwise (batch 1 there, 2 here)"),
        (("--precision", "bf16"), 1, "measured otherwise (precision fp32 there, bf16 here)"),
    ],
)
def test_where_nothing_is_missing_one_thing_is_said_and_nothing_done(
    measured: Path, options: tuple[object, ...], code: int, told: str
) -> None:
    before = contents(measured)
    done = bloxdb("bench", *CHOICE, "--missing", "--db", measured, *options, code=code)
    assert done.stdout == ""
    assert told in done.stderr
    assert ("nothing is missing" in done.stderr) == (code == 0)
    assert contents(measured) == before


def contents(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM devices").fetchall()
        rows = connection.execute("SELECT * FROM latencies").fetchall()
    connection.close()
    return [*names, *rows]
