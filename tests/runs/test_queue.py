"""Claims: each run to one worker, and none lost when workers die."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import update

import bloxdb
from bloxdb import Database, Run, runs, space
from bloxdb.db.dialects import utc_now
from bloxdb.db.references import environment_id
from bloxdb.runs.heartbeat import Heartbeat, Intervals
from bloxdb.runs.processes import shown, worker_name
from bloxdb.runs.queue import RunQueue
from tests.runs.helpers import RECIPE, claim, finish, queue_of


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


def test_architectures_that_are_named_twice_are_trained_once(empty_db: Database) -> None:
    queue = queue_of(empty_db, [9, 2, 9, 2, 7, 9])
    claimed = [claim(queue, f"elsewhere:{i}") for i in range(4)]
    assert [record and record.arch_id for record in claimed] == [9, 2, 7, None]
    assert queue.left() == 3
    assert len(empty_db.rows("SELECT id FROM runs")) == 3


def test_whatever_names_an_architecture_can_be_queued(empty_db: Database) -> None:
    vec = space.arch_vec(9)
    flat = [number for cell in vec for part in cell for number in part]
    arch = bloxdb.Arch.get(9, empty_db)
    spellings = [
        9,
        np.int32(9),
        "9",
        vec,
        flat,
        np.array(flat),
        space.vec_text(vec),
        space.model_hash(9),
        arch,
    ]
    queue = queue_of(empty_db, [405, *spellings])
    assert [record.arch_id for record in (claim(queue), claim(queue, "elsewhere:2")) if record] == [405, 9]
    assert claim(queue) is None
    with pytest.raises(bloxdb.InvalidArchError, match="91125"):
        queue_of(empty_db, [3, space.NUM_ARCHS])
    assert len(empty_db.rows("SELECT id FROM runs")) == 2


def test_runs_of_another_recipe_or_seed_are_other_runs(empty_db: Database) -> None:
    queues = [
        RunQueue(empty_db, [5], RECIPE, 0),
        RunQueue(empty_db, [5], RECIPE, np.int64(1)),
        RunQueue(empty_db, [5], replace(RECIPE, name="other-2"), 0),
    ]
    for queue in queues:
        queue.fill()
    records = [claim(queue) for queue in queues]
    assert len({record.run_id for record in records if record}) == 3
    assert [queue.left() for queue in queues] == [1, 1, 1]
    for record in records[:2]:
        assert record is not None
        finish(record)
    assert [queue.left() for queue in queues] == [0, 0, 1]
    found = empty_db.rows(
        "SELECT name, seed, status FROM runs JOIN recipes ON recipes.id = recipe_id ORDER BY 1, 2"
    )
    assert [tuple(row.values()) for row in found] == [
        ("mine-2", 0, "finished"),
        ("mine-2", 1, "finished"),
        ("other-2", 0, "running"),
    ]


def test_a_claim_names_its_worker_environment_and_beginning_and_what_was_said_of_the_run(
    empty_db: Database,
) -> None:
    env_id = environment_id({"gpu": "abacus"}, empty_db)
    queue = queue_of(empty_db, [5])
    with empty_db.transaction() as session:
        session.execute(update(Run).values(message="old", started_at=utc_now(3600)))
    (before,) = empty_db.rows("SELECT started_at FROM runs")
    record = queue.claim(env_id=env_id)
    assert record is not None
    assert (record.arch_id, shown(record.worker)) == (5, shown(worker_name()))
    (row,) = empty_db.rows("SELECT id, worker, env_id, message, started_at, heartbeat_at FROM runs")
    assert (row["id"], row["worker"], row["env_id"]) == (record.run_id, record.worker, env_id)
    assert (row["message"], record.earlier, row["started_at"]) == ("old", "old", before["started_at"])
    assert row["heartbeat_at"] > row["started_at"]


@pytest.mark.slow
def test_more_runs_than_are_asked_for_at_once_are_all_claimed(empty_db: Database) -> None:
    archs = list(range(1200))
    queue, other = queue_of(empty_db, archs), queue_of(empty_db, archs)
    seen = []
    while (record := claim(queue if len(seen) % 2 else other)) is not None:
        seen.append(record.arch_id)
        record.fail("no")
    assert sorted(seen) == archs


def hammer(path: Path, log: Path) -> None:
    """A worker without training: it claims, writes and finishes as fast as it can."""
    try:
        with bloxdb.open(path) as db:
            queue = RunQueue(db, range(RUNS), RECIPE, 0)
            while queue.left():
                record = queue.claim(worker=worker_name(), intervals=HAMMER)
                if record is None:
                    time.sleep(0.05)
                    continue
                with Heartbeat(record, intervals=HAMMER):
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


def test_a_queue_finds_runs_that_were_brought_back_after_all_had_ended(empty_db: Database) -> None:
    archs = list(range(1_200))  # of several chunks
    queue = queue_of(empty_db, archs)
    with empty_db.transaction() as session:
        session.execute(update(Run).values(status="finished"))
        session.execute(update(Run).where(Run.arch_id.in_([3, 700])).values(status="failed"))
    assert (queue.claim(), queue.left(), queue.fill().added) == (None, 0, 0)
    runs.retry(["failed"], empty_db)
    assert queue.left() == 2
    found = [claim(queue) for _ in range(3)]
    assert [record and record.arch_id for record in found] == [3, 700, None]
    found[1].release()
    again = claim(queue)
    assert again is not None
    assert again.arch_id == 700


def test_runs_that_are_brought_back_are_found_while_others_are_still_trained(empty_db: Database) -> None:
    queue = queue_of(empty_db, list(range(501)))  # of two chunks
    with empty_db.transaction() as session:
        session.execute(update(Run).where(Run.arch_id < 500).values(status="failed"))
    other = claim(queue, "elsewhere:1")
    assert other is not None
    assert other.arch_id == 500
    assert claim(queue, "elsewhere:2") is None
    assert runs.retry(["failed"], empty_db).runs == 500
    again = claim(queue, "elsewhere:2")
    assert again is not None
    assert again.arch_id == 0


def test_runs_of_others_are_not_left_in_a_queue(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1, 2])
    queue_of(empty_db, [3])
    RunQueue(empty_db, [1, 4], RECIPE, 1).fill()
    assert queue.left() == 2
    assert repr(queue) == f"<RunQueue: 2 architectures, seed 0, {empty_db.name}>"


@pytest.mark.slow
def test_a_record_that_went_to_another_process_is_held_as_long_as_it_shows_life(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1, 2])
    sent = [pickle.dumps(queue.claim()) for _ in range(2)]
    gc.collect()  # nobody here has a record any more
    assert queue.claim() is None
    there = pickle.loads(sent[0])
    assert there.arch_id == 1
    finish(there)
    with empty_db.transaction() as session:
        session.execute(update(Run).where(Run.arch_id == 2).values(heartbeat_at=utc_now(3600)))
    again = queue.claim()  # whoever got it showed no life
    assert again is not None
    assert again.arch_id == 2
    del again
    gc.collect()
    assert queue.claim() is not None  # its own claim was not sent anywhere


POOL = """
import multiprocessing, sys
import bloxdb
from bloxdb.runs import EpochResult, Metrics, RecipeFacts, RunQueue, RunResult

def train(run):
    metrics = Metrics(50.0, 90.0, 1.5)
    run.begin()
    epoch = EpochResult(1, metrics, metrics)
    run.epoch(epoch)
    run.finish(RunResult(False, epoch, metrics, 1.0))

if __name__ == "__main__":
    db = bloxdb.open(sys.argv[1])
    queue = RunQueue(db, [1, 2, 3, 4], RecipeFacts("pool-1", "digits", 1), 0)
    queue.fill()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sent = []
        while (run := queue.claim()) is not None:
            sent.append(pool.apply_async(train, (run,)))
            del run
        for one in sent:
            one.get(timeout=120)
    print(len(sent), db.rows("SELECT DISTINCT status FROM runs"))
"""


@pytest.mark.slow
def test_a_pool_of_ones_own_trains_each_run_once(empty_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(empty_file, tmp_path / "pool.db")
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.stdout, done.stderr) == ("4 [{'status': 'finished'}]\n", "")
