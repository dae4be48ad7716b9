"""A worker and a reader of a soak, each a process: ``python -m tests.faults.soak worker|reader URL LOG STOP``.

A worker does what `bloxdb train` does to a database, without a network: round after round it fills a queue of
one seed, claims runs, writes epochs and results, until there is a file STOP and the round is done. A reader
asks for snapshots, and whether what it sees of a finished run is whole.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
from pathlib import Path

from sqlalchemy import func, select

import bloxdb
from bloxdb.db.database import Database
from bloxdb.db.schema import Epoch, Recipe, Run
from bloxdb.runs import (
    EpochResult,
    Heartbeat,
    Intervals,
    Metrics,
    RecipeFacts,
    RunLostError,
    RunQueue,
    RunRecord,
    RunResult,
)

EPOCHS = 3
RUNS = 120  # of a round
RECIPE = RecipeFacts("soak-3", "digits", EPOCHS)
INTERVALS = Intervals(every=0.5, dead_after=30)  # who is killed here is known to be gone


def train(record: RunRecord, log: Path) -> None:
    """A run, whose numbers say which it is."""
    last = None
    with Heartbeat(record, intervals=INTERVALS) as heartbeat:
        record.begin()
        for number in range(1, EPOCHS + 1):
            time.sleep(random.uniform(0.0, 0.02))
            heartbeat.check()
            share = (record.arch_id * 7 + number) % 100_000 / 1000
            last = EpochResult(number, Metrics(share, share, 1.0), Metrics(10.0 + number, 50.0, 2.0))
            record.epoch(last)
        record.finish(RunResult(False, last, Metrics(50.0, 90.0, 1.5), 1.0))
    with log.open("a") as stream:
        stream.write(f"{record.run_id}\n")


def work(db: Database, log: Path, stop: Path) -> None:
    """Rounds until it is to stop; all of the last one are done at the end."""
    seed = 0
    while seed == 0 or not stop.exists():
        queue = RunQueue(db, range(RUNS), RECIPE, seed)
        queue.fill()
        log.touch()  # it is at work
        while queue.left():
            record = queue.claim(intervals=INTERVALS)
            if record is None:
                time.sleep(0.05)
                continue
            try:
                train(record, log)
            except RunLostError:
                with log.with_suffix(".lost").open("a") as stream:
                    stream.write(f"{record.run_id}\n")
        seed += 1


def read(db: Database, log: Path, stop: Path) -> None:
    """Snapshots: finished runs have all their epochs, and nothing changes while one is held."""
    count = 0
    of_ours = select(Run.id).join(Recipe).where(Recipe.name == RECIPE.name, Run.status == "finished")
    while count == 0 or not stop.exists():
        with db.snapshot() as session:
            seen = []
            for _ in range(2):
                runs = session.scalar(select(func.count()).select_from(of_ours.subquery()))
                epochs = session.scalar(select(func.count()).where(Epoch.run_id.in_(of_ours)))
                seen.append((runs, epochs))
                time.sleep(0.05)
        if seen[0] != seen[1] or seen[0][1] != EPOCHS * (seen[0][0] or 0):
            raise AssertionError(f"a snapshot that changes, or is not whole: {seen}")
        bloxdb.top(5, db=db, recipe="*")
        count += 1
    log.write_text(f"{count}\n")


def main() -> None:
    """The process that a test starts."""
    what, url, log, stop = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    try:
        with bloxdb.open(url, read_only=what == "reader") as db:
            {"worker": work, "reader": read}[what](db, log, stop)
    except BaseException:
        log.with_suffix(".error").write_text(traceback.format_exc())
        raise


if __name__ == "__main__":
    main()
