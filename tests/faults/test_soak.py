"""Eight workers and four readers of one database, one of the workers killed again and again, for a while.

`make soak MINUTES=10` does so for long, on SQLite and, where ``BLOXDB_TEST_POSTGRESQL`` names a server, on
PostgreSQL; here it is some seconds each. The figures are printed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import bloxdb
from tests.conftest import POSTGRESQL
from tests.faults.soak import EPOCHS, RECIPE, RUNS
from tests.servers import empty_on_server

pytestmark = pytest.mark.slow

SECONDS = 60 * float(os.environ.get("BLOXDB_SOAK_MINUTES", "0.1"))
WORKERS, READERS = 8, 4
ROOT = Path(__file__).parents[2]
KINDS = ["sqlite", *(["postgresql"] if POSTGRESQL else [])]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path, empty_file: Path) -> Iterator[str]:
    """A database that is empty."""
    if request.param == "sqlite":
        yield str(shutil.copy(empty_file, tmp_path / "blox.db"))
        return
    with empty_on_server("soak") as url:
        bloxdb.create(url, current=False).close()
        yield url


class Soak:
    """The processes of a soak, and what they did."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.stop = url, folder, folder / "stop"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.readers: list[subprocess.Popen[bytes]] = []
        self.started = self.killed = 0

    def start(self, what: str) -> None:
        log = self.folder / f"{what}{self.started}.log"
        words = [sys.executable, "-m", "tests.faults.soak", what, self.url, str(log), str(self.stop)]
        process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
        (self.workers if what == "worker" else self.readers).append(process)
        self.started += 1

    def kill(self, draw: random.Random) -> None:
        """Kill a worker that has work, and start another."""
        alive = [process for process in self.workers if process.poll() is None]
        if alive:
            victim = draw.choice(alive)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            self.killed += victim.returncode == -signal.SIGKILL
            self.start("worker")

    def wait(self) -> None:
        """Until all workers are at work."""
        deadline = time.monotonic() + 120
        while len(list(self.folder.glob("worker*.log"))) < WORKERS:
            errors = [path.read_text() for path in self.folder.glob("*.error")]
            assert not errors, errors[0]
            assert time.monotonic() < deadline, "the workers do not start"
            time.sleep(0.1)

    def end(self) -> None:
        self.stop.touch()
        for process in (*self.workers, *self.readers):
            process.wait(timeout=SECONDS + 200)

    def numbers(self, pattern: str) -> list[int]:
        return [int(line) for path in self.folder.glob(pattern) for line in path.read_text().split()]


def is_snapshot(folder: Path) -> bool:
    """Whether finished runs of an export have all their epochs, and no epoch is of a run that is not there."""
    runs = pq.read_table(folder / "runs.parquet").to_pylist()
    epochs = Counter(pq.read_table(folder / "epochs.parquet")["run_id"].to_pylist())
    known = {row["id"] for row in runs}
    names = {row["id"]: row["name"] for row in pq.read_table(folder / "recipes.parquet").to_pylist()}
    ours = [
        row["id"] for row in runs if row["status"] == "finished" and names[row["recipe_id"]] == RECIPE.name
    ]
    return set(epochs) <= known and all(epochs[number] == EPOCHS for number in ours)


@pytest.mark.timeout(600 + 2 * SECONDS)
def test_workers_that_are_killed_readers_imports_and_exports_share_a_database(
    place: str, tmp_path: Path, golden: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    draw, soak = random.Random(0), Soak(place, logs)
    imports = exports = 0
    slept = max(1.0, min(4.0, SECONDS / 5))
    try:
        for what, count in (("worker", WORKERS), ("reader", READERS)):
            for _ in range(count):
                soak.start(what)
        with bloxdb.open(place, current=False) as db:
            soak.wait()
            begun = time.monotonic()
            while time.monotonic() < begun + SECONDS:
                soak.kill(draw)
                report = bloxdb.import_release(golden / "release-tiny", db)
                assert bool(report.added) == (imports == 0)
                imports += 1
                out = tmp_path / f"export{exports}"
                bloxdb.export_parquet(out, db)
                assert is_snapshot(out)
                shutil.rmtree(out)
                exports += 1
                time.sleep(draw.uniform(0.5, 1) * slept)
        soak.end()
    finally:
        for process in (*soak.workers, *soak.readers):
            process.kill()
            process.wait()
    errors = [path.read_text() for path in logs.glob("*.error")]
    assert not errors, errors[0]
    assert {process.returncode for process in soak.workers} <= {0, -signal.SIGKILL}
    assert {process.returncode for process in soak.readers} == {0}
    done = soak.numbers("worker*.log")
    assert len(done) == len(set(done)), "a run was done twice"
    assert soak.numbers("worker*.lost") == [], "a run was taken from a worker that lives"
    with bloxdb.open(place, read_only=True, current=False) as db:
        query = (
            "SELECT status, count(*) AS n, count(DISTINCT seed) AS rounds FROM runs JOIN recipes ON "
            "recipes.id = recipe_id WHERE name = 'soak-3' GROUP BY status"
        )
        ((status, total, rounds),) = [tuple(row.values()) for row in db.rows(query)]
    assert (status, total) == ("finished", rounds * RUNS)
    assert total - soak.killed <= len(done) <= total  # one may die between its result and its log
    assert bloxdb.check(place).findings == []
    if not place.startswith("postgresql"):
        assert not [path for path in tmp_path.iterdir() if path.name not in ("blox.db", "logs")]
    snapshots = sum(soak.numbers("reader*.log"))
    with capsys.disabled():
        kind = place.partition(":")[0] if "://" in place else "sqlite"
        print(
            f"\n{kind}: {time.monotonic() - begun:.0f} s, {total} runs in {rounds} rounds, "
            f"{soak.killed} workers killed, {snapshots} snapshots read, {imports} imports, {exports} exports"
        )
