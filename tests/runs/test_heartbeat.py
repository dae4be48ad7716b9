"""Signs of life, and who is not waited for."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select, update

import bloxdb
from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.runs.heartbeat import Heartbeat, Intervals
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


@pytest.mark.parametrize("seconds", [0, -1, -0.5])
@pytest.mark.parametrize("name", ["every", "dead_after"])
def test_intervals_last(name: str, seconds: float) -> None:
    with pytest.raises(bloxdb.QueryError, match=f"{name} in seconds is more than 0, not {seconds}"):
        Intervals(**{name: seconds})
