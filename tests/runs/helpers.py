"""What tests of runs share: a queue, and training without a network."""

from __future__ import annotations

from bloxdb import Database
from bloxdb.db.references import RecipeFacts
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.record import RunRecord
from bloxdb.runs.results import EpochResult, Metrics, RunResult

RECIPE = RecipeFacts("mine-2", "digits", 2)

INTERVALS = Intervals(every=0.1, dead_after=1.0)
PATIENT = Intervals(every=0.1, dead_after=600)  # on a busy machine a second passes between two claims

RESULT = Metrics(50.0, 90.0, 1.5)


def queue_of(db: Database, archs: list[int]) -> RunQueue:
    queue = RunQueue(db, archs, RECIPE, 0)
    queue.fill()
    return queue


def claim(queue: RunQueue, worker: str = "elsewhere:1", intervals: Intervals = PATIENT) -> RunRecord | None:
    return queue.claim(worker=worker, intervals=intervals)


def finish(record: RunRecord) -> None:
    best = EpochResult(1, RESULT, RESULT)
    record.begin(0)
    for epoch in (1, 2):
        record.epoch(EpochResult(epoch, RESULT, RESULT))
    record.finish(RunResult(False, best, RESULT, 1.0))
