"""A run written as it happens, by the worker that has it and nobody else."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from bloxdb import Database, Run
from bloxdb.db.dialects import utc_now
from bloxdb.errors import RunLostError
from bloxdb.runs.results import EpochResult, RunResult
from tests.runs.helpers import INTERVALS, RESULT, claim, finish, queue_of


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
