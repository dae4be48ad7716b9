"""What tests of runs share: a queue, and training without a network."""

from __future__ import annotations

from sqlalchemy import func, insert, select

from bloxdb import Database
from bloxdb.db.recipes import RecipeFacts
from bloxdb.db.schema import Epoch
from bloxdb.measures import EPOCH
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.record import RunRecord
from bloxdb.runs.results import EpochResult, Metrics, RunResult

RECIPE = RecipeFacts("mine-2", "digits", 2)

INTERVALS = Intervals(every=0.1, dead_after=1.0)
PATIENT = Intervals(every=0.1, dead_after=600)  # on a busy machine a second passes between two claims

RESULT = Metrics(50.0, 90.0, 1.5)


def queue_of(db: Database, archs: list[int], recipe: RecipeFacts = RECIPE) -> RunQueue:
    queue = RunQueue(db, archs, recipe, 0)
    queue.fill()
    return queue


def claim(queue: RunQueue, worker: str = "elsewhere:1", intervals: Intervals = PATIENT) -> RunRecord | None:
    return queue.claim(worker=worker, intervals=intervals)


def finish(record: RunRecord) -> None:
    record.begin(0)
    write_epochs(record, RECIPE.epochs)
    record.finish(RunResult(False, EpochResult(1, RESULT, RESULT), RESULT, 1.0))


def write_epochs(record: RunRecord, last: int, *, is_measured: bool = True) -> None:
    """All epochs up to one that are not written yet, in one transaction: each on its own takes long."""
    measured = EpochResult(1, RESULT, RESULT).measures() if is_measured else {}
    metrics = {name: EPOCH[name].rounded(value) for name, value in measured.items()}
    row = {EPOCH[name].column: value for name, value in metrics.items()} | {"run_id": record.run_id}
    with record.db.transaction() as session:
        of_run = Epoch.run_id == record.run_id
        first = 1 + (session.scalar(select(func.max(Epoch.epoch)).where(of_run)) or 0)
        rows = [{**row, "epoch": epoch} for epoch in range(first, last + 1)]
        if rows:
            session.execute(insert(Epoch), rows)
