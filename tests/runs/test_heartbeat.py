"""Signs of life, and who is not waited for."""

from __future__ import annotations

import multiprocessing
import os
import time

from sqlalchemy import select, update

from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.runs.heartbeat import Heartbeat, may_live, worker_name
from tests.runs.helpers import INTERVALS, claim, queue_of


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


def test_a_heart_beats_while_the_block_lasts_and_not_after(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(3600)))
    fresh = select(Run.id).where(Run.heartbeat_at > utc_now(60))
    with Heartbeat(record, INTERVALS) as heart:
        time.sleep(5 * INTERVALS.every)
    assert not heart.lost
    with empty_db.transaction() as session:
        assert session.scalar(fresh) == record.run_id
        session.execute(update(Run).values(heartbeat_at=utc_now(3600)))
    time.sleep(3 * INTERVALS.every)
    with empty_db.transaction() as session:
        assert session.scalar(fresh) is None


def test_a_worker_without_a_number_or_of_our_own_process_is_judged_by_its_name() -> None:
    node = worker_name().rpartition(":")[0]
    assert may_live(f"{node}:abc")
    assert may_live("")
    assert may_live(f"{node}:1")  # a process of somebody else
    assert not may_live(worker_name())  # it was a process before us that had our number
