"""The life of a run, row by row of the table that the package's docstring draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from bloxdb import Database, Run, runs
from bloxdb.db.dialects import utc_now
from bloxdb.db.statuses import STATUSES
from bloxdb.runs import EpochResult, RunLostError, RunQueue, RunRecord, RunResult
from tests.runs.helpers import PATIENT, RESULT, claim, finish, queue_of

ARCH = 7
NONE = "(none)"
EPOCH = EpochResult(1, RESULT, RESULT)
DIVERGED = RunResult(True, EPOCH, None, 1.0)


def reach(db: Database, status: str) -> tuple[RunQueue, RunRecord]:
    """A run in a status, with the queue that it is in and the record of the worker that had it."""
    queue = queue_of(db, [ARCH])
    record = claim(queue)
    assert record is not None
    ways: dict[str, Callable[[], object]] = {
        "pending": record.release,
        "running": lambda: record.epoch(EPOCH),
        "finished": lambda: finish(record),
        "failed": lambda: record.fail("no memory"),
        "diverged": lambda: (record.epoch(EPOCH), record.finish(DIVERGED)),
    }
    ways[status]()
    assert state(db) == status
    return queue, record


def state(db: Database) -> str:
    """The status of the only run, or that there is none."""
    rows = db.rows("SELECT status FROM runs")
    assert len(rows) <= 1
    return str(rows[0]["status"]) if rows else NONE


def everything(db: Database) -> list[Any]:
    return [db.rows("SELECT * FROM runs"), db.rows("SELECT * FROM epochs")]


def let_its_worker_vanish(db: Database) -> None:
    with db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(PATIENT.dead_after + 1)))


def claim_after_its_worker_is_gone(db: Database, queue: RunQueue, record: RunRecord) -> None:
    let_its_worker_vanish(db)
    assert claim(queue, "elsewhere:2") is not None


WAYS: dict[tuple[str, str], Callable[[Database, RunQueue, RunRecord], object]] = {
    ("pending", "`RunQueue.claim`"): lambda db, queue, record: claim(queue),
    ("running", "`RunQueue.claim`, where its worker is gone"): claim_after_its_worker_is_gone,
    ("running", "`RunRecord.release`"): lambda db, queue, record: record.release(),
    ("running", "`RunRecord.finish`"): lambda db, queue, record: finish(record),
    ("running", "`RunRecord.finish`, of a result that says so"): lambda db, queue, record: record.finish(
        DIVERGED
    ),
    ("running", "`RunRecord.fail`"): lambda db, queue, record: record.fail("no memory"),
    ("running", "`RunRecord.fail`, where once more may go better"): lambda db, queue, record: record.fail(
        "no memory", once_more=True
    ),
    ("failed", "`retry`"): lambda db, queue, record: runs.retry(["failed"], db),
    ("diverged", "`retry`"): lambda db, queue, record: runs.retry(["diverged"], db),
}


def rows_of_the_table() -> list[tuple[str, str, str]]:
    """(from, by, to) of each row in the docstring of `bloxdb.runs`."""
    table = re.split(r"^=[= ]+$", runs.__doc__ or "", flags=re.MULTILINE)[2]
    rows = [re.split(r" {2,}", line.strip()) for line in table.strip().splitlines()]
    return [(before.strip("`"), by, after.strip("`")) for before, by, after in rows]


def test_the_table_has_every_way_that_is_tried_here() -> None:
    assert [row[:2] for row in rows_of_the_table()] == [(NONE, "`RunQueue.fill`"), *WAYS]


@pytest.mark.parametrize(("before", "by", "after"), rows_of_the_table())
def test_a_run_goes_from_one_status_to_the_other(
    empty_db: Database, before: str, by: str, after: str
) -> None:
    if before == NONE:
        assert state(empty_db) == NONE
        queue_of(empty_db, [ARCH])
    else:
        queue, record = reach(empty_db, before)
        WAYS[before, by](empty_db, queue, record)
    assert state(empty_db) == after


@pytest.mark.parametrize("status", STATUSES)
def test_filling_again_changes_no_run(empty_db: Database, status: str) -> None:
    queue, _ = reach(empty_db, status)
    before = everything(empty_db)
    queue.fill()
    assert everything(empty_db) == before


@pytest.mark.parametrize("status", ["finished", "failed", "diverged"])
def test_a_run_that_has_ended_is_claimed_by_nobody_however_old_its_heartbeat(
    empty_db: Database, status: str
) -> None:
    queue, _ = reach(empty_db, status)
    let_its_worker_vanish(empty_db)
    assert claim(queue) is None
    assert queue.left() == 0


@pytest.mark.parametrize("status", ["pending", "running", "finished"])
def test_only_runs_without_success_are_tried_again(empty_db: Database, status: str) -> None:
    reach(empty_db, status)
    before = everything(empty_db)
    assert runs.retry(db=empty_db).runs == 0
    assert everything(empty_db) == before


WRITES: dict[str, Callable[[RunRecord], object]] = {
    "begin": lambda record: record.begin(0),
    "epoch": lambda record: record.epoch(EpochResult(2, RESULT, RESULT)),
    "finish": lambda record: record.finish(RunResult(False, EPOCH, RESULT, 1.0)),
    "fail": lambda record: record.fail("no"),
    "heartbeat": lambda record: record.heartbeat(),
    "release": lambda record: record.release(),
}


def test_every_method_of_a_record_is_tried() -> None:
    methods = {name for name in vars(RunRecord) if not name.startswith("_")}
    assert methods - {"row"} == set(WRITES)  # which only reads


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("status", ["pending", "finished", "failed", "diverged"])
def test_a_record_refuses_to_write_to_a_run_that_is_not_running(
    empty_db: Database, status: str, method: str
) -> None:
    _, record = reach(empty_db, status)
    before = everything(empty_db)
    with pytest.raises(RunLostError, match=f"architecture {ARCH} was (ended|given back) by this record"):
        WRITES[method](record)
    assert everything(empty_db) == before


@pytest.mark.parametrize("method", WRITES)
def test_a_record_refuses_to_write_to_a_run_of_another_worker(empty_db: Database, method: str) -> None:
    queue, record = reach(empty_db, "running")
    claim_after_its_worker_is_gone(empty_db, queue, record)
    before = everything(empty_db)
    with pytest.raises(RunLostError, match=f"architecture {ARCH} was taken over"):
        WRITES[method](record)
    assert everything(empty_db) == before
