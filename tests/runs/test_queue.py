"""Claims: each run to one worker, and none lost when workers die."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import bloxdb
from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.db.references import RecipeFacts
from bloxdb.errors import RunLostError
from bloxdb.runs.heartbeat import Heartbeat, Intervals, may_live, worker_name
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.record import RunRecord
from bloxdb.runs.results import EpochResult, Metrics, RunResult

RECIPE = RecipeFacts("mine-2", "digits", 2)
INTERVALS = Intervals(every=0.1, dead_after=1.0)
RESULT = Metrics(50.0, 90.0, 1.5)


def queue_of(db: Database, archs: list[int]) -> RunQueue:
    queue = RunQueue(db, archs, RECIPE, 0)
    queue.fill()
    return queue


def claim(queue: RunQueue, worker: str = "elsewhere:1") -> RunRecord | None:
    return queue.claim(worker, None, INTERVALS)


def finish(record: RunRecord) -> None:
    best = EpochResult(1, RESULT, RESULT)
    record.begin(0)
    for epoch in (1, 2):
        record.epoch(EpochResult(epoch, RESULT, RESULT))
    record.finish(RunResult(False, best, RESULT, 1.0))


def test_filling_twice_adds_each_run_once_and_leaves_what_is_there(empty_db: Database) -> None:
    queue = queue_of(empty_db, [5, 3])
    record = claim(queue)
    assert record is not None
    finish(record)
    queue.fill()
    queue_of(empty_db, [3, 4, 5])
    rows = empty_db.rows("SELECT arch_id, status FROM runs ORDER BY arch_id")
    assert [(row["arch_id"], row["status"]) for row in rows] == [
        (3, "pending"),
        (4, "pending"),
        (5, "finished"),
    ]


def test_runs_are_claimed_in_the_order_of_the_job_and_only_once(empty_db: Database) -> None:
    queue = queue_of(empty_db, [9, 2, 7])
    records = [claim(queue, f"elsewhere:{i}") for i in range(4)]
    assert [record and record.arch_id for record in records] == [9, 2, 7, None]
    assert queue.left() == 3
    for record in records[:3]:
        assert record is not None
        finish(record)
    assert queue.left() == 0
    assert claim(queue) is None


def test_more_runs_than_are_asked_for_at_once_are_all_claimed(empty_db: Database) -> None:
    archs = list(range(1200))
    queue, other = queue_of(empty_db, archs), queue_of(empty_db, archs)
    seen = []
    while (record := claim(queue if len(seen) % 2 else other)) is not None:
        seen.append(record.arch_id)
        record.fail("no")
    assert sorted(seen) == archs


def test_a_run_whose_heart_stopped_is_taken_over_and_its_worker_finds_out(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    old = claim(queue, "elsewhere:1")
    assert old is not None
    assert claim(queue, "elsewhere:2") is None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(INTERVALS.dead_after + 1)))
    new = claim(queue, "elsewhere:2")
    assert new is not None
    for write in (
        old.heartbeat,
        old.release,
        lambda: old.begin(0),
        lambda: old.fail("no"),
        lambda: old.epoch(EpochResult(1, RESULT, RESULT)),
        lambda: old.finish(RunResult(True, None, None, 1.0)),
    ):
        with pytest.raises(RunLostError, match="taken over"):
            write()
    finish(new)
    assert empty_db.rows("SELECT status, worker FROM runs") == [
        {"status": "finished", "worker": "elsewhere:2"}
    ]


def test_a_heart_keeps_a_run_and_notices_when_it_is_lost(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    record = claim(queue)
    assert record is not None
    with Heartbeat(record, INTERVALS) as heart:
        time.sleep(2 * INTERVALS.dead_after)
        assert claim(queue, "elsewhere:2") is None
        with empty_db.transaction() as session:
            session.execute(update(Run).values(worker="elsewhere:2"))
        time.sleep(5 * INTERVALS.every)
        assert heart.lost


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(empty_db: Database) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=lambda: None)
    process.start()
    process.join()
    node = worker_name().rpartition(":")[0]
    assert not may_live(f"{node}:{process.pid}")
    assert may_live(f"{node}:{os.getppid()}")
    assert may_live("elsewhere:1")
    queue = queue_of(empty_db, [1])
    assert claim(queue, f"{node}:{process.pid}") is not None
    assert claim(queue, "elsewhere:2") is not None


def hammer(path: Path, log: Path) -> None:
    """A worker without training: it claims, writes and finishes as fast as it can."""
    try:
        with bloxdb.open(path) as db:
            queue = RunQueue(db, range(RUNS), RECIPE, 0)
            while queue.left():
                record = queue.claim(worker_name(), None, HAMMER)
                if record is None:
                    time.sleep(0.05)
                    continue
                with Heartbeat(record, HAMMER):
                    finish(record)
                with log.open("a") as stream:
                    stream.write(f"{record.arch_id}\n")
    except BaseException:
        log.with_suffix(".error").write_text(traceback.format_exc())
        raise


RUNS = 600
HAMMER = Intervals(every=0.1, dead_after=30)  # a lock may be waited for; who is killed is known to be gone


@pytest.mark.slow
def test_eight_workers_that_are_killed_at_random_do_every_run_exactly_once(
    empty_db: Database, tmp_path: Path
) -> None:
    path = empty_db.path
    assert path is not None
    queue_of(empty_db, list(range(RUNS)))
    empty_db.close()
    context = multiprocessing.get_context("fork")
    draw = random.Random(0)
    workers: list[Any] = []
    started = killed = 0

    def start() -> None:
        nonlocal started
        process = context.Process(target=hammer, args=(path, tmp_path / f"{started}.log"))
        process.start()
        workers.append(process)
        started += 1

    for _ in range(8):
        start()
    while any(worker.is_alive() for worker in workers):
        time.sleep(0.15)
        alive = [worker for worker in workers if worker.is_alive()]
        if alive and killed < 12:
            victim = draw.choice(alive)
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            killed += victim.exitcode == -signal.SIGKILL
            start()
    errors = [file.read_text() for file in tmp_path.glob("*.error")]
    assert not errors, errors[0]
    assert {worker.exitcode for worker in workers} == {0, -signal.SIGKILL}
    assert killed == 12
    finished = [int(line) for file in tmp_path.glob("*.log") for line in file.read_text().split()]
    assert len(finished) == len(set(finished))
    assert RUNS - killed <= len(finished) <= RUNS  # a worker may die between the result and its log
    with bloxdb.open(path) as db:
        assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        rows = db.rows(
            "SELECT status, count(*) AS n, sum((SELECT count(*) FROM epochs WHERE run_id = runs.id)) AS epochs "
            "FROM runs GROUP BY status"
        )
        assert rows == [{"status": "finished", "n": RUNS, "epochs": 2 * RUNS}]
