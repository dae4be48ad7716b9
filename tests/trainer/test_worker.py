"""Workers: what they write, and that nothing is lost when they are stopped, killed or run out of memory."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bloxdb.trainer.booking import Event
from bloxdb.trainer.checkpoint import Checkpoint, DamagedCheckpointError
from bloxdb.trainer.data import DataSet, Split
from bloxdb.trainer.devices import is_out_of_memory
from bloxdb.trainer.environment import environment
from bloxdb.trainer.loop import Training
from bloxdb.trainer.stopping import Stop
from bloxdb.trainer.worker import Worker
from sqlalchemy import text, update

import bloxdb
from bloxdb import Arch, Database
from bloxdb.cli.live import sentence
from bloxdb.db.references import environment_id
from bloxdb.runs import RunRecord
from bloxdb.runs.processes import shown, worker_name
from bloxdb.runs.queue import RunQueue
from tests.trainer.helpers import (
    QUICK,
    ask,
    digits_recipe,
    ended,
    fast_intervals,
    job,
    path_of,
    results,
    some_digits,
    start,
    train,
    wait_for,
)

pytestmark = pytest.mark.slow

EPOCHS = 3

OPTIONS = (
    "--epochs",
    EPOCHS,
    "--batch",
    256,
    "--threads",
    2,
    "--checkpoint-every",
    1,
    "--heartbeat",
    0.2,
    "--dead-after",
    2,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> list[tuple[object, ...]]:
    """The results of a run that nobody stopped."""
    path = tmp_path_factory.mktemp("undisturbed") / "blox.db"
    path.write_bytes(empty_file.read_bytes())
    code, output = ended(start(path, "--arch", QUICK, *OPTIONS))
    assert code == 0, output
    return results(path)


def test_training_writes_runs_epochs_and_results(empty_db: Database) -> None:
    finished, events = train(job(empty_db, [QUICK], digits_recipe(2)))
    assert finished
    arch = Arch.get(QUICK, empty_db)
    assert arch is not None
    (run,) = arch.runs
    assert (run.status, shown(run.worker), run.message) == ("finished", shown(worker_name()), None)
    assert [epoch.epoch for epoch in run.epochs] == [1, 2]
    best = max(run.epochs, key=lambda epoch: (epoch.val_top1, -epoch.val_loss))
    assert (run.best_epoch, run.val_top1) == (best.epoch, best.val_top1)
    assert (run.recipe.name, run.recipe.train_images, run.recipe.config["batch"]) == ("digits-2", 1257, 64)
    assert run.env is not None
    assert run.env.torch_version == torch.__version__
    assert run.started_at <= run.finished_at
    assert run.device_workers == 1
    assert [event.kind for event in events] == ["start", "epoch", "epoch", "end"]
    assert events[1].images_per_second > 0
    assert not list((empty_db.path.parent / "checkpoints").iterdir())  # type: ignore[union-attr]
    assert train(job(empty_db, [QUICK], digits_recipe(2))) == (True, [])


@pytest.mark.parametrize("epochs_before", [0, 2])
def test_a_killed_run_goes_on_to_exactly_the_same_results(
    empty_db: Database, undisturbed: list[tuple[object, ...]], epochs_before: int
) -> None:
    path = path_of(empty_db)
    process = start(path, "--arch", QUICK, *OPTIONS)
    count = "SELECT count(*) FROM epochs"
    running = "SELECT count(*) FROM runs WHERE status = 'running'"
    wait_for(lambda: ask(path, running)[0][0] == 1 and ask(path, count)[0][0] >= epochs_before, process)
    process.send_signal(signal.SIGKILL)
    assert ended(process)[0] == -signal.SIGKILL
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, running) == [(1,)]
    code, output = ended(start(path, "--arch", QUICK, *OPTIONS))
    assert code == 0, output
    assert results(path) == undisturbed
    if epochs_before > 1:
        assert "goes on after epoch" in output


def test_ctrl_c_finishes_the_epoch_and_the_same_command_goes_on(
    empty_db: Database, undisturbed: list[tuple[object, ...]]
) -> None:
    path = path_of(empty_db)
    process = start(path, "--arch", QUICK, *OPTIONS[:6], "--checkpoint-every", 100)
    wait_for(lambda: ask(path, "SELECT count(*) FROM epochs")[0][0] >= 1, process)
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 130
    assert "stopped after epoch" in output
    assert "the same command goes on" in output
    ((status, worker, epochs),) = ask(path, "SELECT status, worker, (SELECT count(*) FROM epochs) FROM runs")
    assert (status, worker) == ("pending", None)
    assert 1 <= epochs < EPOCHS
    assert len(list(path.with_name("blox.db.checkpoints").iterdir())) == 1
    without_threads = ("--epochs", EPOCHS, "--batch", 256)  # the checkpoint has them
    assert ended(start(path, "--arch", QUICK, *without_threads))[0] == 0
    assert results(path) == undisturbed


def test_ctrl_c_twice_stops_at_once_and_frees_the_run(empty_db: Database) -> None:
    path = path_of(empty_db)
    process = start(path, "--arch", 9, "--epochs", 500, "--batch", 6)
    # the first epoch has just ended, and the second takes as many seconds
    wait_for(lambda: ask(path, "SELECT count(*) FROM epochs") == [(1,)], process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == 130
    assert "stopped after epoch" not in output
    assert ask(path, "SELECT count(*) FROM epochs") == [(1,)]
    assert ask(path, "SELECT status, worker FROM runs") == [("pending", None)]


def test_a_damaged_checkpoint_falls_back_to_the_start_and_says_so(empty_db: Database) -> None:
    what = job(empty_db, [QUICK], digits_recipe(2))
    expected_db = results_after(empty_db, what)
    checkpoint = Checkpoint(what.checkpoints, what.recipe.digest, QUICK, 0)
    checkpoint.save({"epoch": 1})
    data = bytearray(checkpoint.path.read_bytes())
    data[len(data) // 2] ^= 1
    checkpoint.path.write_bytes(data)
    with empty_db.transaction() as session:
        session.execute(update(bloxdb.Run).values(status="pending", worker=None))
    finished, events = train(what)
    assert finished
    assert "is damaged; the run starts from its first epoch" in events[0].message
    assert empty_db.path is not None
    assert results(empty_db.path) == expected_db


def a_state(what: Any) -> dict[str, Any]:
    """A state after the first epoch."""
    training = Training(bloxdb.space.arch_vec(QUICK), what.recipe, some_digits(), 0)
    training.train_epoch()
    return training.state()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "fields are missing": lambda state: state.pop("optimiser"),
    "another network": lambda state: state["network"].pop(next(iter(state["network"]))),
    "weights of another shape": lambda state: state.update(
        network={k: v[:1] if v.dim() else v for k, v in state["network"].items()}
    ),
    "weights that are texts": lambda state: state.update(network=dict.fromkeys(state["network"], "x")),
    "another generator": lambda state: state.update(generator=torch.zeros(3)),
    "threads in words": lambda state: state.update(threads="many"),
    "a time before time": lambda state: state.update(train_time=-1.0),
    "another optimiser": lambda state: state.update(optimiser={"state": {}, "param_groups": []}),
    "momentum of another shape": lambda state: state["optimiser"]["state"][0].update(
        momentum_buffer=torch.zeros(1)
    ),
    "a best epoch of another form": lambda state: state.update(best={"epoch": 1}),
    "a best epoch to come": lambda state: state["best"].update(epoch=9),
    "an epoch after the last": lambda state: state.update(epoch=900),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_whole_checkpoint_of_another_version_falls_back_to_the_start_and_says_so(
    empty_db: Database, name: str
) -> None:
    what = job(empty_db, [QUICK], digits_recipe(2))
    state = a_state(what)
    CHANGES[name](state)
    Checkpoint(what.checkpoints, what.recipe.digest, QUICK, 0).save(state)
    finished, events = train(what)
    assert finished
    assert "is whole, but another program, or another version of bloxdb" in events[0].message
    assert events[0].message.endswith("the run starts from its first epoch")
    assert empty_db.rows("SELECT status FROM runs") == [{"status": "finished"}]


def results_after(db: Database, what: object) -> list[tuple[object, ...]]:
    assert train(what)[0]  # type: ignore[arg-type]
    assert db.path is not None
    return results(db.path)


@pytest.mark.parametrize(
    ("every", "seconds", "expected"),
    [(1, None, [1, 2, 3]), (2, None, [2]), (None, 0.0, [1, 2, 3]), (None, 3600.0, []), (3, 3600.0, [3]), (None, None, [])],
)  # fmt: skip
def test_checkpoints_come_after_epochs_or_after_a_time_and_not_at_the_end(
    empty_db: Database, every: int | None, seconds: float | None, expected: list[int]
) -> None:
    what = job(empty_db, [QUICK], digits_recipe(4), checkpoint_every=every, checkpoint_seconds=seconds)
    found: list[int] = []

    def look(event: Event) -> None:  # an epoch is told after its checkpoint
        state = Checkpoint(what.checkpoints, what.recipe.digest, QUICK, 0).load(torch.device("cpu"))
        if event.kind == "epoch" and state is not None and state["epoch"] not in found:
            found.append(state["epoch"])

    data = some_digits(64)
    queue = RunQueue(empty_db, [QUICK], what.recipe.facts(data.sizes), 0)
    queue.fill()
    record = queue.claim()
    assert record is not None
    Worker(what, data, look, Stop()).train(record)
    assert found == expected


def test_a_checkpoint_of_another_run_or_without_its_epochs_is_not_used(
    empty_db: Database, tmp_path: Path
) -> None:
    what = job(empty_db, [QUICK], digits_recipe(2))
    one, other = (Checkpoint(what.checkpoints, what.recipe.digest, arch, 0) for arch in (QUICK, 9))
    other.save({"epoch": 1})
    other.path.rename(one.path)
    with pytest.raises(DamagedCheckpointError, match="of another run"):
        one.load(torch.device("cpu"))
    fresh = Training(QUICK, what.recipe, some_digits(), 0).state()
    one.save({**fresh, "epoch": 1})  # but the database has no epoch of it
    finished, events = train(what)
    assert finished
    assert "lacks epochs of the checkpoint" in events[0].message
    assert one.load(torch.device("cpu")) is None


def worker_for(
    db: Database, archs: list[int], data: DataSet, epochs: int = 2, **changes: float
) -> tuple[Worker, RunQueue, int, list[Event]]:
    """A worker of this process, with its queue and environment."""
    what = job(db, archs, digits_recipe(epochs, **changes), intervals=fast_intervals())
    events: list[Event] = []
    queue = RunQueue(db, archs, what.recipe.facts(data.sizes), 0)
    queue.fill()
    env_id = environment_id(environment(torch.device("cpu")), db)
    return Worker(what, data, events.append, Stop()), queue, env_id, events


def train_all(
    db: Database, archs: list[int], data: DataSet, epochs: int = 2, **changes: float
) -> list[Event]:
    worker, queue, env_id, events = worker_for(db, archs, data, epochs, **changes)
    while (record := queue.claim(worker=worker.name, env_id=env_id, intervals=fast_intervals())) is not None:
        worker.train(record)
    return events


def test_a_run_that_diverges_keeps_its_epochs_and_the_next_goes_on(empty_db: Database) -> None:
    events = train_all(empty_db, [QUICK, 406], some_digits(64), lr=1e12)
    assert [event.message for event in events if event.kind == "end"] == ["diverged in epoch 1"] * 2
    rows = empty_db.rows("SELECT status, test_top1 FROM runs")
    assert rows == [{"status": "diverged", "test_top1": None}] * 2
    assert bloxdb.top(db=empty_db) == []


def test_a_run_that_diverges_later_is_stored_with_the_test_of_its_best_epoch(empty_db: Database) -> None:
    # weights that decay by five times themselves grow
    events = train_all(empty_db, [QUICK], some_digits(64), epochs=100, weight_decay=500.0, momentum=0.0)
    assert events[-1].message == "diverged in epoch 2"
    (run,) = empty_db.rows("SELECT status, best_epoch, val_top1, test_top1, train_time_s FROM runs")
    assert (run["status"], run["best_epoch"]) == ("diverged", 1)
    assert None not in run.values()
    (epoch,) = empty_db.rows("SELECT val_top1, train_loss, val_loss FROM epochs")
    assert epoch["val_top1"] == run["val_top1"]
    assert epoch["train_loss"] > 0
    assert epoch["val_loss"] is None  # 6e20, whose millionths fit no column
    assert bloxdb.top(db=empty_db) == []


def test_a_run_without_memory_is_tried_once_more_after_the_others_and_then_fails(empty_db: Database) -> None:
    few = some_digits(64)
    # one image of 2**20 x 2**20 pixels, which takes no memory until it is to be normalised: 13 TB
    giant = torch.zeros(1, dtype=torch.uint8).expand(1, 3, 2**20, 2**20)
    data = DataSet("digits", 10, few.mean, few.std, few.train, Split(giant, torch.zeros(1).long()), few.test)
    events = train_all(empty_db, [QUICK, 406], data)
    assert [event.kind for event in events] == ["start", "note"] * 2 + ["start", "end"] * 2
    assert [event.arch_id for event in events[::2]] == [QUICK, 406] * 2
    assert events[1].message.startswith("will be trained once more: ")
    rows = empty_db.rows("SELECT status, message FROM runs")
    assert [row["status"] for row in rows] == ["failed", "failed"]
    assert all("can't allocate memory" in row["message"] for row in rows)


class Gone:
    """Images on a device that fails when they are asked for."""

    shape = (1, 3, 8, 8)

    def split(self, size: int) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def test_a_run_whose_device_failed_stops_the_worker_and_is_never_to_blame(
    empty_db: Database,
) -> None:
    few = some_digits(64)
    gone = Split(Gone(), few.val.labels)  # type: ignore[arg-type]
    data = DataSet("digits", 10, few.mean, few.std, few.train, gone, few.test)
    for _ in range(2):
        told = f"architecture {QUICK} will be trained once more: CUDA error"
        with pytest.raises(bloxdb.TrainingError, match=told):
            train_all(empty_db, [QUICK], data)
        (row,) = empty_db.rows("SELECT status, message FROM runs")
        assert row["status"] == "pending"
        assert "illegal memory access" in row["message"]
    train_all(empty_db, [QUICK], few)
    assert empty_db.rows("SELECT status, message FROM runs") == [{"status": "finished", "message": None}]


def test_what_is_no_want_of_memory_stops_the_worker(empty_db: Database) -> None:
    few = some_digits(64)
    wrong = Split(few.val.images, few.val.labels + 1000)  # classes that do not exist
    data = DataSet("digits", 10, few.mean, few.std, few.train, wrong, few.test)
    with pytest.raises(bloxdb.TrainingError, match="cannot be trained: Target 10"):
        train_all(empty_db, [QUICK, 406], data)
    statuses = [row["status"] for row in empty_db.rows("SELECT status FROM runs ORDER BY arch_id")]
    assert statuses == ["failed", "pending"]
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))


def test_a_run_that_was_taken_over_is_left_to_its_new_worker(empty_db: Database) -> None:
    worker, queue, env_id, events = worker_for(empty_db, [QUICK], some_digits(64))
    record = queue.claim(worker=worker.name, env_id=env_id, intervals=fast_intervals())
    assert record is not None
    with empty_db.transaction() as session:
        session.execute(update(bloxdb.Run).values(worker="elsewhere:1"))
    worker.train(record)
    assert [event.kind for event in events] == ["note"]
    assert events[0].message == "was taken over by another worker, or has ended"
    assert empty_db.rows("SELECT status, worker FROM runs") == [
        {"status": "running", "worker": "elsewhere:1"}
    ]


LOST: dict[str, Callable[[Database, RunRecord], object]] = {
    "taken over": lambda db, record: steal(db),
    "ended": lambda db, record: record.fail("as if by another"),
    "given back": lambda db, record: record.release(),
    "removed": lambda db, record: remove(db),
}


def remove(db: Database) -> None:
    with db.transaction() as session:
        session.execute(text("DELETE FROM runs"))


@pytest.mark.parametrize("how", LOST)
def test_a_run_that_is_lost_is_told_with_its_architecture_once(empty_db: Database, how: str) -> None:
    worker, queue, env_id, events = worker_for(empty_db, [QUICK], some_digits(64))
    record = queue.claim(worker=worker.name, env_id=env_id, intervals=fast_intervals())
    assert record is not None
    LOST[how](empty_db, record)
    with pytest.raises(bloxdb.RunLostError, match=f"^architecture {QUICK} "):
        record.heartbeat()
    with pytest.raises(bloxdb.RunLostError):
        record.begin()
    worker.train(record)
    assert sentence(events[-1]).count(f"architecture {QUICK}") == 1


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_that_is_lost_within_an_epoch_ends_there_and_is_told(empty_db: Database, epochs: int) -> None:
    few = some_digits(64)
    # an epoch of very many batches of one image, which would take minutes
    long = Split(few.train.images.repeat(400, 1, 1, 1), few.train.labels.repeat(400))
    data = DataSet("digits", 10, few.mean, few.std, long, few.val, few.test)
    worker, queue, env_id, events = worker_for(empty_db, [QUICK], data, epochs, batch=2)
    record = queue.claim(worker=worker.name, env_id=env_id, intervals=fast_intervals())
    assert record is not None
    thief = threading.Timer(1.0, lambda: steal(empty_db))
    thief.start()
    begun = time.monotonic()
    worker.train(record)
    thief.join()
    assert time.monotonic() - begun < 10
    assert [event.kind for event in events] == ["start", "note"]
    assert events[-1].message == "was taken over by another worker, or has ended"
    assert empty_db.rows("SELECT epoch FROM epochs") == []


def steal(db: Database) -> None:
    with db.transaction() as session:
        session.execute(update(bloxdb.Run).values(worker="elsewhere:1"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checkpoint_every": 0}, "checkpoint_every is 1 or more, not 0"),
        ({"checkpoint_every": 1.5}, "checkpoint_every is an integer"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds is 0 or more, not -1"),
        ({"grace": -0.5}, "grace is 0 or more"),
        ({"grace": "soon"}, "grace is a number"),
        ({"keep_weights": "some"}, "choose one of"),
        ({"keep_weights": "best", "db": "postgresql://host/blox"}, "a database on a server has no folder"),
    ],
)
def test_a_job_that_cannot_be_is_refused_before_anything_is_claimed(
    empty_db: Database, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(bloxdb.QueryError, match=said):
        replace(job(empty_db, [QUICK], digits_recipe(1)), **changes)
