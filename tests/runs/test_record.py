"""A run written as it happens, by the worker that has it and nobody else."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import delete, select, update

import bloxdb
from bloxdb import Database, Epoch, Run
from bloxdb.db.dialects import utc_now
from bloxdb.db.recipes import RecipeFacts
from bloxdb.db.references import environment_id
from bloxdb.errors import QueryError, RunLostError
from bloxdb.measures import EPOCH
from bloxdb.runs.processes import shown, worker_name
from bloxdb.runs.record import RunRecord, is_held
from bloxdb.runs.results import EpochResult, Metrics, RunResult
from bloxdb.runs.status import retry
from tests.runs.helpers import PATIENT, RESULT, claim, finish, queue_of, write_epochs


def test_a_run_whose_heart_stopped_is_taken_over_and_its_worker_finds_out(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    old = claim(queue, "elsewhere:1")
    assert old is not None
    assert claim(queue, "elsewhere:2") is None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(PATIENT.dead_after + 1)))
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
    assert empty_db.rows("SELECT status, worker FROM runs") == [{"status": "finished", "worker": new.worker}]


LONGER = RecipeFacts("mine-4", "digits", 4)


def begun(db: Database) -> RunRecord:
    """A run with three of its four epochs."""
    record = claim(queue_of(db, [1], LONGER))
    assert record is not None
    for epoch in (1, 2, 3):
        record.epoch(EpochResult(epoch, RESULT, RESULT))
    return record


def epochs_of(db: Database) -> list[int]:
    return [row["epoch"] for row in db.rows("SELECT epoch FROM epochs ORDER BY epoch")]


@pytest.mark.parametrize(
    ("done", "whole", "left"), [(0, True, []), (2, True, [1, 2]), (3, True, [1, 2, 3]), (4, False, [])]
)
def test_a_run_goes_on_after_the_epochs_that_the_database_has(
    empty_db: Database, done: int, whole: bool, left: list[int]
) -> None:
    assert begun(empty_db).begin(done) is whole
    assert epochs_of(empty_db) == left


def test_a_gap_among_the_epochs_begins_a_run_anew(empty_db: Database) -> None:
    record = begun(empty_db)
    with empty_db.transaction() as session:
        session.execute(delete(Epoch).where(Epoch.epoch == 2))
    assert not record.begin(3)
    assert epochs_of(empty_db) == []


def test_a_run_says_as_it_begins_where_it_is_trained_if_the_claim_did_not(empty_db: Database) -> None:
    there, elsewhere = (environment_id({"gpu": name}, empty_db) for name in ("abacus", "slide rule"))
    record = begun(empty_db)
    for env_id, expected in ((there, there), (None, there), (elsewhere, elsewhere)):
        assert record.begin(1, env_id=env_id)
        assert empty_db.rows("SELECT env_id FROM runs") == [{"env_id": expected}]
    with pytest.raises(QueryError, match="has no environment 99"):
        record.begin(1, env_id=99)
    with pytest.raises(QueryError, match="the id of an environment is an integer"):
        record.begin(1, env_id=1.5)  # type: ignore[arg-type]


def test_an_epoch_is_kept_in_the_precision_of_the_release(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    record.epoch(EpochResult(1, Metrics(33.33349, 66.66651, 1.23456749), Metrics(10.0005, 0.0, 0.0000006)))
    (row,) = empty_db.rows(f"SELECT {', '.join(EPOCH)} FROM epochs")
    assert row == {
        **{"train_top1": 33.333, "train_top5": 66.667, "train_loss": 1.234567},
        **{"val_top1": 10.0, "val_top5": 0.0, "val_loss": 0.000001},
    }


def test_a_finished_run_has_its_result_in_the_precision_of_the_release(empty_db: Database) -> None:
    record = begun(empty_db)
    record.begin(1)
    best = EpochResult(2, RESULT, Metrics(61.00049, 90.0, 1.0))
    record.epoch(best)
    write_epochs(record, 4)
    record.finish(RunResult(False, best, Metrics(60.12351, 80.0, 1.5000004), 99.7, device_workers=4))
    names = (
        "status, best_epoch, val_top1, test_top1, test_top5, test_loss, train_time_s, device_workers, message"
    )
    (row,) = empty_db.rows(f"SELECT {names} FROM runs")
    assert list(row.values()) == ["finished", 2, 61.0, 60.124, 80.0, 1.5, 100, 4, None]
    (times,) = empty_db.rows("SELECT started_at, heartbeat_at, finished_at FROM runs")
    assert times["started_at"] <= times["heartbeat_at"] <= times["finished_at"]


def test_a_run_that_diverged_at_once_has_no_best_epoch(empty_db: Database) -> None:
    begun(empty_db).finish(RunResult(True, None, None, 1.4))
    (row,) = empty_db.rows("SELECT status, best_epoch, val_top1, test_top1, train_time_s FROM runs")
    assert list(row.values()) == ["diverged", None, None, None, 1]


def test_a_failed_run_says_why_and_when(empty_db: Database) -> None:
    begun(empty_db).fail("no memory")
    (row,) = empty_db.rows("SELECT status, message, finished_at, worker FROM runs")
    assert (row["status"], row["message"], shown(row["worker"])) == ("failed", "no memory", "elsewhere:1")
    assert row["finished_at"] is not None
    assert epochs_of(empty_db) == [1, 2, 3]


def test_what_may_go_better_is_tried_once_more_after_all_others_and_fails_the_second_time(
    empty_db: Database,
) -> None:
    queue = queue_of(empty_db, [1, 2, 3])
    first = claim(queue)
    assert first is not None
    first.epoch(EpochResult(1, RESULT, RESULT))
    assert first.earlier is None
    assert not first.fail("CUDA error", once_more=True)
    (row,) = empty_db.rows("SELECT status, message, finished_at, worker FROM runs WHERE arch_id = 1")
    assert list(row.values()) == ["pending", "CUDA error", None, None]
    assert epochs_of(empty_db) == [1]
    records = [claim(queue, f"elsewhere:{number}") for number in range(3)]
    assert [record and (record.arch_id, record.earlier) for record in records] == [
        (2, None), (3, None), (1, "CUDA error"),
    ]  # fmt: skip
    assert records[2] is not None
    assert records[2].fail("CUDA error again", once_more=True)
    (row,) = empty_db.rows("SELECT status, message FROM runs WHERE arch_id = 1")
    assert list(row.values()) == ["failed", "CUDA error again"]
    retry("failed", empty_db)
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    assert record.earlier is None


def test_what_was_said_of_a_run_that_finished_after_all_is_gone(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    first = claim(queue)
    assert first is not None
    first.fail("no memory", once_more=True)
    second = claim(queue)
    assert second is not None
    finish(second)
    assert empty_db.rows("SELECT status, message FROM runs") == [{"status": "finished", "message": None}]


@pytest.mark.parametrize("write", ["begin", "epoch", "heartbeat"])
def test_each_step_is_a_sign_of_life(empty_db: Database, write: str) -> None:
    record = begun(empty_db)
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(3600)))
    steps = {
        "begin": lambda: record.begin(3),
        "epoch": lambda: record.epoch(EpochResult(4, RESULT, RESULT)),
        "heartbeat": record.heartbeat,
    }
    steps[write]()
    with empty_db.transaction() as session:
        assert session.scalar(select(Run.id).where(Run.heartbeat_at > utc_now(60))) == record.run_id


def test_a_released_run_keeps_its_epochs_for_the_next_worker(empty_db: Database) -> None:
    begun(empty_db).release()
    (row,) = empty_db.rows("SELECT status, worker FROM runs")
    assert list(row.values()) == ["pending", None]
    assert epochs_of(empty_db) == [1, 2, 3]


def test_a_run_begins_anew_where_nothing_is_said_to_be_done(empty_db: Database) -> None:
    assert begun(empty_db).begin()
    assert epochs_of(empty_db) == []


def test_a_process_that_has_a_run_does_not_get_it_again(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1, 2])
    one, other = queue.claim(), queue.claim()
    assert one is not None
    assert other is not None
    assert {one.arch_id, other.arch_id} == {1, 2}
    assert one.worker != other.worker
    assert shown(one.worker) == shown(other.worker) == shown(worker_name())
    assert queue.claim() is None
    finish(one)
    assert queue.claim() is None
    other.release()
    assert queue.claim() is not None


def test_a_link_to_a_database_is_the_database_to_whoever_has_a_run(
    empty_db: Database, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(empty_db.path or "")
    record = queue_of(empty_db, [7]).claim()
    assert record is not None
    with bloxdb.open(tmp_path / "link.db", current=False) as db:
        assert queue_of(db, [7]).claim() is None
        record.release()
        again = queue_of(db, [7]).claim()
        assert again is not None


@pytest.mark.slow
def test_a_record_that_nobody_has_any_more_leaves_its_run_to_the_next(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    record = queue.claim()
    assert record is not None
    run_id, worker = record.run_id, record.worker
    assert is_held(worker)
    del record
    gc.collect()
    assert not is_held(worker)
    again = queue.claim()
    assert again is not None
    assert again.run_id == run_id


def test_who_lost_a_run_does_not_end_the_hold_of_who_has_it(empty_db: Database) -> None:
    queue = queue_of(empty_db, [1])
    old = queue.claim(worker="elsewhere:1")
    assert old is not None
    with empty_db.transaction() as session:
        session.execute(update(Run).values(heartbeat_at=utc_now(1000)))
    new = queue.claim()
    assert new is not None
    with pytest.raises(RunLostError):
        old.heartbeat()
    assert is_held(new.worker)
    assert queue.claim() is None


ENDS: dict[str, tuple[Callable[[RunRecord], object], str]] = {
    "finished": (finish, "ended by this record: it is finished"),
    "diverged": (
        lambda r: r.finish(RunResult(True, None, None, 1.0)),
        "ended by this record: it is diverged",
    ),
    "failed": (lambda r: r.fail("no"), "ended by this record: it is failed"),
    "given back": (lambda r: r.release(), "given back by this record; claim it again to go on"),
    "once more": (lambda r: r.fail("no", once_more=True), "given back by this record; claim it again"),
}


@pytest.mark.parametrize("end", ENDS)
def test_after_its_end_a_run_is_not_written_any_more(empty_db: Database, end: str) -> None:
    finish_it, said = ENDS[end]
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    finish_it(record)
    with pytest.raises(RunLostError, match=f"^architecture 1 was {said}"):
        record.heartbeat()
    assert claim(queue_of(empty_db, [1])) is not None or end != "given back"
    with pytest.raises(RunLostError, match=f"^architecture 1 was {said}"):  # whoever else has it now
        record.heartbeat()


@pytest.mark.parametrize(
    ("metrics", "more", "message"),
    [
        (
            Metrics(50.0, 90.0, math.inf),
            {},
            "train_loss of epoch 1 of architecture 1: the value inf is infinite; write nan",
        ),
        (Metrics(50.0, 90.0, 6e20), {}, "the value 6e.20 has more digits than the database keeps"),
        (
            Metrics(200.0, 90.0, 1.0),
            {},
            r"train_top1 of epoch 1 of architecture 1: the value 200.0 is outside 0 … 100 percent",
        ),
        (Metrics(-0.5, 90.0, 1.0), {}, "the value -0.5 is outside 0 … 100 percent"),
        (
            Metrics(50.0, 90.0, -0.5),
            {},
            "train_loss of epoch 1 of architecture 1: the value -0.5 is negative",
        ),
        (Metrics(50.0, 90.0, 1e300), {}, "the value 1e[+]300 has more digits than the database keeps"),
        (
            RESULT,
            {"speed": 1.0},
            "epoch 1 of architecture 1 has 'speed', which is no measure; choose of: train_",
        ),
    ],
)
def test_what_no_database_holds_is_told_with_its_place(
    empty_db: Database, metrics: Metrics, more: dict[str, float], message: str
) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    with pytest.raises(QueryError, match=message):
        record.epoch(EpochResult(1, metrics, metrics, more))
    with pytest.raises(QueryError, match="the result of architecture 1"):
        record.finish(RunResult(False, None, metrics, 1.0, more))
    assert epochs_of(empty_db) == []


@pytest.mark.parametrize("epoch", [0, -1, 1.5, True, "1"])
def test_epochs_count_from_one(empty_db: Database, epoch: Any) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    with pytest.raises(QueryError, match="an epoch is "):
        record.epoch(EpochResult(epoch, RESULT, RESULT))


def test_nan_is_not_measured(empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [1]))
    assert record is not None
    record.epoch(EpochResult(1, Metrics(50.0, math.nan, 1.0), RESULT))
    assert empty_db.rows("SELECT train_top1, train_top5, train_loss FROM epochs") == [
        {"train_top1": 50.0, "train_top5": None, "train_loss": 1.0}
    ]


@pytest.mark.parametrize("at", range(4))
def test_a_heartbeat_that_finds_the_end_within_it_is_no_error(at: int, empty_db: Database) -> None:
    record = claim(queue_of(empty_db, [5]))
    assert record is not None
    lines = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code is not RunRecord._end.__code__:
            return None
        if event == "line":
            lines.append(frame.f_lineno)
            if len(lines) == at + 1:  # before this line
                heart = Thread(target=record._end)  # which is not traced
                heart.start()
                heart.join()
        return trace

    sys.settrace(trace)
    try:
        record._end("finished")
    finally:
        sys.settrace(None)
    assert len(lines) > at
    assert not is_held(record.worker)
