"""A server that is away while runs are trained: whoever trains waits, and nothing is lost or done twice."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.db.references import environment_id
from bloxdb.errors import QueryError, RunLostError, ServerAwayError
from bloxdb.runs.outages import through_outages
from bloxdb.runs.queue import RunQueue
from bloxdb.runs.record import RunRecord
from bloxdb.runs.results import EpochResult, RunResult
from tests.runs.helpers import PATIENT, RECIPE, RESULT, write_epochs
from tests.servers import Between, away, empty_on_server
from tests.trainer.helpers import own_images


@pytest.fixture(scope="module")
def between() -> Iterator[Between]:
    with empty_on_server("outages") as url, TemporaryDirectory() as folder:
        bloxdb.create(url, current=False).close()
        found = Between(Path(folder), url)
        yield found
        found.close()


@pytest.fixture
def db(between: Between) -> Iterator[Database]:
    with bloxdb.open(between.url, current=False) as db:
        yield db
        with db.transaction() as session:
            for table in ("epochs", "runs", "recipes"):
                session.execute(text(f"DELETE FROM {table}"))


def queue_of(db: Database, patience: float = 60.0) -> RunQueue:
    queue = RunQueue(db, [5, 6], RECIPE, 0, patience=patience)
    queue.fill()
    return queue


def claimed(db: Database, patience: float = 60.0) -> RunRecord:
    record = queue_of(db, patience).claim(intervals=PATIENT)
    assert record is not None
    return record


def begun(record: RunRecord) -> None:
    record.begin()


def with_epochs(record: RunRecord) -> None:
    write_epochs(record, 2)


def end(record: RunRecord) -> None:
    record.finish(RunResult(False, EpochResult(1, RESULT, RESULT), RESULT, 1.0))


STEPS: dict[str, tuple[Callable[[RunRecord], None], Callable[[RunRecord], Any]]] = {
    "begin": (with_epochs, lambda record: record.begin(1)),
    "epoch": (begun, lambda record: record.epoch(EpochResult(1, RESULT, RESULT))),
    "finish": (with_epochs, end),
    "fail": (begun, lambda record: record.fail("it cannot")),
    "fail once": (begun, lambda record: record.fail("it could not", once_more=True)),
    "release": (with_epochs, lambda record: record.release()),
    "release with a word": (with_epochs, lambda record: record.release("the device")),
}
"""What a record does, and what was done before it."""

STATE = "SELECT arch_id, status, worker IS NULL AS free, message, best_epoch FROM runs ORDER BY arch_id"


def left_by(db: Database, record: RunRecord) -> tuple[Any, ...]:
    """What stands in the database, and whether the record has still a run."""
    epochs = db.rows(
        "SELECT run_id - (SELECT min(id) FROM runs) AS run, epoch, val_top1 FROM epochs ORDER BY 1, 2"
    )
    try:
        record.heartbeat()
    except RunLostError as error:
        return db.rows(STATE), epochs, str(error)
    return db.rows(STATE), epochs, ""


def undisturbed(db: Database, name: str) -> tuple[Any, ...]:
    """What a step leaves and gives when nothing is lost."""
    before, step = STEPS[name]
    record = claimed(db)
    before(record)
    given = step(record)
    found = left_by(db, record), given
    with db.transaction() as session:
        for table in ("epochs", "runs"):
            session.execute(text(f"DELETE FROM {table}"))
    return found


@pytest.mark.parametrize("name", STEPS)
def test_a_step_whose_answer_is_lost_is_done_once(name: str, db: Database, between: Between) -> None:
    expected = undisturbed(db, name)
    before, step = STEPS[name]
    record = claimed(db)
    before(record)
    between.lose(b"COMMIT")
    given = step(record)
    assert between.has_lost
    assert (left_by(db, record), given) == expected


@pytest.mark.parametrize("name", STEPS)
def test_a_step_waits_for_a_server_that_is_away(name: str, db: Database) -> None:
    expected = undisturbed(db, name)
    before, step = STEPS[name]
    record = claimed(db)
    before(record)
    given: list[Any] = []
    with away("outages"):
        stepping = Thread(target=lambda: given.append(step(record)))
        stepping.start()
        time.sleep(0.5)
        assert given == []
    stepping.join(30)
    assert given == [expected[1]]
    assert left_by(db, record) == expected[0]


def test_a_claim_whose_answer_is_lost_is_made_once(db: Database, between: Between) -> None:
    queue = queue_of(db)
    between.lose(b"COMMIT")
    record = queue.claim(intervals=PATIENT)
    assert between.has_lost
    assert record is not None
    assert record.patience == 60
    assert [row["status"] for row in db.rows(STATE)] == ["running", "pending"]
    write_epochs(record, 2)
    end(record)
    other = queue.claim(intervals=PATIENT)
    assert other is not None
    assert other.arch_id == 6


def test_a_queue_waits_for_a_server_that_is_away(db: Database) -> None:
    queue = queue_of(db)
    env_id = environment_id({"gpu": "a"}, db)
    found: list[Any] = []
    with away("outages"):
        asking = Thread(
            target=lambda: found.extend([queue.left(), queue.claim(env_id=env_id, intervals=PATIENT)])
        )
        asking.start()
        time.sleep(0.5)
        assert found == []
    asking.join(30)
    assert found[0] == 2
    assert found[1].arch_id == 5


def test_patience_has_an_end(db: Database) -> None:
    record, queue = claimed(db, patience=0.3), queue_of(db, patience=0)
    record.begin()
    with away("outages"):
        for ask in (lambda: record.epoch(EpochResult(1, RESULT, RESULT)), queue.left, record.row):
            start = time.monotonic()
            with pytest.raises(ServerAwayError, match="outages"):
                ask()
            assert time.monotonic() - start < 10
        record.patience, start = 60, time.monotonic()
        with pytest.raises(ServerAwayError):  # who is to stop at once has no time
            record.release(wait=0.1)
        assert time.monotonic() - start < 10
    record.epoch(EpochResult(1, RESULT, RESULT))


def test_an_epoch_that_another_wrote_is_not_taken_for_ones_own(db: Database, between: Between) -> None:
    record = claimed(db)
    record.begin()

    def change() -> None:
        with bloxdb.open(between.url, current=False) as other, other.transaction() as session:
            session.execute(text("UPDATE epochs SET val_top1_milli = 1"))

    between.lose(b"COMMIT", then=change)
    with pytest.raises(QueryError, match="1 are written, and the next is 2"):
        record.epoch(EpochResult(1, RESULT, RESULT))


def test_a_run_that_was_given_back_may_be_anothers_before_its_worker_is_told(
    db: Database, between: Between
) -> None:
    record, queue = claimed(db), queue_of(db)
    record.begin()
    with db.transaction() as session:  # the only one that is left
        session.execute(text("DELETE FROM runs WHERE status = 'pending'"))
    found: list[RunRecord | None] = []
    between.lose(b"COMMIT", then=lambda: found.append(queue.claim(intervals=PATIENT)))
    record.release()
    assert between.has_lost
    assert [one and one.arch_id for one in found] == [record.arch_id]
    write_epochs(found[0], 2)
    with pytest.raises(RunLostError, match="given back"):
        record.heartbeat()


def test_a_run_that_was_taken_over_is_not_given_back(db: Database) -> None:
    record = claimed(db)
    record.begin()
    with db.transaction() as session:
        session.execute(text("UPDATE runs SET worker = 'another' WHERE status = 'running'"))
    with pytest.raises(RunLostError, match="taken over"):
        record.release()


def test_waiting_is_told_when_it_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[bool] = []

    def ask(again: bool) -> int:
        tries.append(again)
        if len(tries) < 3:
            raise ServerAwayError("the server sleeps")
        return 7

    with caplog.at_level(logging.WARNING, logger="bloxdb"):
        assert through_outages(ask, 60) == 7
    assert tries == [False, True, True]
    begun, ended = (record.message for record in caplog.records)
    assert begun == "the server sleeps; trying for 60 s"
    assert re.fullmatch(r"the server is back after \d+ s", ended)


@pytest.mark.parametrize("patience", [-1, float("nan"), float("inf"), "long", True])
def test_patience_is_a_number_of_seconds(patience: Any, empty_db: Database) -> None:
    with pytest.raises(QueryError, match="the patience with a server"):
        RunQueue(empty_db, [5], RECIPE, 0, patience=patience)


@pytest.mark.slow
def test_a_training_goes_on_when_its_server_is_back(db: Database, tmp_path: Path) -> None:
    words = ("--arch", "405", "--arch", "406", "--epochs", "150", "--gpus", "none", "--per-gpu", "2")
    command = [sys.executable, "-m", "bloxdb", "train", "--db", db.url.render_as_string(hide_password=False)]
    with subprocess.Popen(
        [*command, "--dataset", str(own_images(tmp_path)), "--threads", "1", "--patience", "60", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            begun = "SELECT count(DISTINCT run_id) AS n FROM epochs WHERE epoch > 2"
            while process.poll() is None and db.rows(begun) != [{"n": 2}]:
                time.sleep(0.05)
            for _ in range(2):
                with away("outages"):
                    time.sleep(1.5)
                time.sleep(0.5)
            output, _ = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 0, output
    assert "trying for 60 s" in output
    assert "the server is back after" in output
    assert "Traceback" not in output
    counted = "SELECT status, count(epoch) AS epochs FROM runs JOIN epochs ON run_id = id GROUP BY id, status"
    assert db.rows(counted) == [{"status": "finished", "epochs": 150}] * 2
