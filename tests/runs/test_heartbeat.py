"""Signs of life, and who is not waited for."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

import bloxdb
from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.errors import RunLostError
from bloxdb.runs.heartbeat import Heartbeat, Heartbeats, Intervals
from tests.runs.helpers import INTERVALS, claim, queue_of

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_heartbeat_keeps_a_run_and_notices_when_it_is_lost(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    record = claim(queue)
    assert record is not None
    with Heartbeat(record, intervals=INTERVALS) as heartbeat:
        time.sleep(2 * INTERVALS.dead_after)
        assert claim(queue, "elsewhere:2", INTERVALS) is None
        with empty_db.transaction() as session:
            session.execute(update(Run).values(worker="elsewhere:2"))
        time.sleep(5 * INTERVALS.every)
        assert heartbeat.lost


def test_a_heartbeat_goes_on_while_the_block_lasts_and_not_after(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(3600)))
    fresh = select(Run.id).where(Run.heartbeat_at > utc_now(60))
    with Heartbeat(record, intervals=INTERVALS) as heartbeat:
        time.sleep(5 * INTERVALS.every)
    assert not heartbeat.lost
    with empty_db.transaction() as session:
        assert session.scalar(fresh) == record.run_id
        session.execute(update(Run).values(heartbeat_at=utc_now(3600)))
    time.sleep(3 * INTERVALS.every)
    with empty_db.transaction() as session:
        assert session.scalar(fresh) is None


@pytest.mark.slow
def test_one_thread_keeps_many_runs_and_notices_which_are_lost(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1, 2, 3])
    records = [record for record in (claim(queue), claim(queue), claim(queue)) if record is not None]
    lost, kept, dropped = records
    with Heartbeats(intervals=INTERVALS) as beats:
        for record in records:
            beats.add(record)
        beats.drop(dropped)
        with empty_db.transaction() as session:
            session.execute(update(Run).where(Run.id == lost.run_id).values(worker="elsewhere:2"))
            session.execute(update(Run).where(Run.id != lost.run_id).values(heartbeat_at=utc_now(3600)))
        time.sleep(5 * INTERVALS.every)
        assert [beats.has_lost(record) for record in records] == [True, False, False]
        beats.check(kept)
        with pytest.raises(RunLostError, match="architecture 1 was taken over by another worker"):
            beats.check(lost)
    with empty_db.transaction() as session:
        fresh = session.scalars(select(Run.id).where(Run.heartbeat_at > utc_now(60), Run.id != lost.run_id))
        assert list(fresh) == [kept.run_id]


@pytest.mark.parametrize("seconds", [0, -1, -0.5])
@pytest.mark.parametrize("name", ["every", "dead_after"])
def test_intervals_last(name: str, seconds: float) -> None:
    with pytest.raises(
        bloxdb.QueryError, match=f"{name} in seconds is more than 0 and at most .* a year, not {seconds}"
    ):
        Intervals(**{name: seconds})


def test_a_database_that_was_closed_is_the_end_of_a_heartbeat_and_said(
    empty_file: Path, tmp_path: Path
) -> None:
    db = bloxdb.open(shutil.copy(empty_file, tmp_path / "closed.db"), current=False)
    record = claim(queue_of(db, [1]))
    assert record is not None
    with Heartbeat(record, intervals=INTERVALS) as heartbeat:
        db.close()
        end = time.monotonic() + 60
        while not heartbeat.lost and time.monotonic() < end:
            time.sleep(INTERVALS.every)
        with pytest.raises(
            RunLostError, match=r"closed\.db was closed; .*nobody sees that this run is trained"
        ):
            heartbeat.check()


def test_a_heartbeat_is_of_one_block(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    heartbeat = Heartbeat(record, intervals=INTERVALS)
    assert repr(heartbeat) == f"<Heartbeat of {record!r}: not begun>"
    with heartbeat:
        assert repr(heartbeat).endswith("every 0.1 s>")
        with pytest.raises(bloxdb.QueryError, match="has begun already"), heartbeat:
            pass
    with pytest.raises(bloxdb.QueryError, match="make one for each block"), heartbeat:
        pass


@pytest.mark.parametrize("folder", ["bloxdb", "trainer", "docs", "examples", "benchmarks"])
def test_a_sign_of_life_is_called_heartbeat_and_nothing_shorter(folder: str) -> None:
    short = re.compile("(?<![a-z])(beat|heart)(?![a-z])", re.IGNORECASE)
    texts = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md")]
    assert texts
    assert [path.name for path in texts if short.search(path.read_text())] == []
