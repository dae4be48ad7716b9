"""What a node of a cluster does with a run, without a cluster."""

from __future__ import annotations

import pickle
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from bloxdb.trainer.booking import Booking, Event
from bloxdb.trainer.course import Begun, Ended, Plan, Stopped, Trained
from bloxdb.trainer.faults import DEVICE, MEMORY, PLACE, RUN, Fault, FaultError, fault_of
from bloxdb.trainer.images import DataSet, Split
from bloxdb.trainer.nodes import Order, Share, packed, steps, unlike, unpacked, versions
from bloxdb.trainer.stopping import Stop
from bloxdb.trainer.worker import Job, Worker, books_of

import bloxdb
from bloxdb import Database, TrainingError
from bloxdb.measures import ENVIRONMENT
from bloxdb.runs import RunQueue, RunRecord
from tests.trainer.helpers import QUICK, digits_recipe, job, path_of, results, some_digits

CPU = Share(0)


@pytest.mark.parametrize(
    ("share", "resources", "room"),
    [
        (CPU, {"CPU": 4.0}, 4),
        (CPU, {"CPU": 4.0, "GPU": 8.0}, 4),
        (Share(0, 3), {"CPU": 8.0}, 2),
        (CPU, {"memory": 1e9}, 0),
        (Share(1), {"CPU": 2.0, "GPU": 8.0}, 8),
        (Share(3), {"CPU": 64.0, "GPU": 2.0}, 6),
        (Share(7), {"GPU": 1.0}, 7),
        (Share(2, 4), {"CPU": 16.0, "GPU": 8.0}, 4),
        (Share(1), {"CPU": 64.0}, 0),
    ],
)
def test_a_node_holds_as_many_runs_as_it_has_resources_for(
    share: Share, resources: dict[str, float], room: int
) -> None:
    assert share.room(resources) == room


def test_a_data_set_arrives_as_it_was(tmp_path: Path) -> None:
    data = some_digits(64)
    data = replace(
        data, train=replace(data.train, images=data.train.images.to(memory_format=torch.channels_last))
    )
    there = unpacked(packed(data))
    assert replace(there, train=data.train, val=data.val, test=data.test) == data
    for name in ("train", "val", "test"):
        ours, theirs = getattr(data, name), getattr(there, name)
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.images.stride() == theirs.images.stride()  # sums depend on it


def test_versions_that_differ_are_told() -> None:
    assert unlike(versions()) == ""
    ours = versions()["torch"]
    assert unlike({**versions(), "torch": "1.0"}) == f"torch {ours}, not 1.0"
    assert "+" not in ours  # a driver without a GPU has another build


def order(plan: Plan, saved: bytes | None = None) -> bytes:
    return pickle.dumps(Order(plan, QUICK, saved, CPU))


def told(plan: Plan, data: DataSet, saved: bytes | None = None, *, stop_after: int = 1000) -> list[Any]:
    """What a node of four CPUs tells, as it arrives."""
    asked = iter(range(1000))
    way = steps(order(plan, saved), packed(data), {"CPU": 4.0}, lambda: next(asked) >= stop_after)
    return [pickle.loads(pickle.dumps(step)) for step in way]


def claimed(db: Database, what: Job, data: DataSet) -> RunRecord:
    queue = RunQueue(db, [QUICK], what.recipe.facts(data.sizes), 0)
    queue.fill()
    record = queue.claim()
    assert record is not None
    return record


def booking_of(db: Database, what: Job, data: DataSet) -> tuple[Booking, list[Event]]:
    events: list[Event] = []
    return Booking(books_of(what, events.append), claimed(db, what, data), "node:1"), events


def write(booking: Booking, steps: list[Any]) -> None:
    for step in steps:
        assert booking.take(step)


def test_a_run_that_two_nodes_compute_is_that_of_one_worker(
    empty_db: Database, tmp_path: Path, empty_file: Path
) -> None:
    data, recipe = some_digits(64), digits_recipe(3)
    what = job(empty_db, [QUICK], recipe, keep_weights="last")
    booking, _ = booking_of(empty_db, what, data)
    environment, *first = told(what.plan, data, stop_after=2)
    assert set(environment) == set(ENVIRONMENT)
    assert [type(step) for step in first] == [Begun, Trained, Trained, Stopped]
    write(booking, first)
    assert booking.is_over
    booking, events = booking_of(empty_db, what, data)
    _, *second = told(what.plan, data, booking.saved())
    assert [type(step) for step in second] == [Begun, Trained, Ended]
    assert second[-1].result.device_workers == 4
    write(booking, second)
    assert [event.kind for event in events] == ["start", "epoch", "end"]
    assert len(list(tmp_path.rglob("*-epoch3.safetensors"))) == 1
    assert list(what.checkpoints.iterdir()) == []

    with bloxdb.open(shutil.copy(empty_file, tmp_path / "plain.db"), current=False) as plain:
        other = job(plain, [QUICK], recipe)
        Worker(other, data, lambda event: None, Stop()).train(claimed(plain, other, data))
        assert results(path_of(plain)) == results(path_of(empty_db))


def test_a_checkpoint_that_the_database_has_no_epochs_of_starts_the_run_anew(empty_db: Database) -> None:
    data, what = some_digits(64), job(empty_db, [QUICK], digits_recipe(2))
    stopped = told(what.plan, data, stop_after=1)[-1]
    what.plan.checkpoint(QUICK).write(stopped.checkpoint)
    booking, events = booking_of(empty_db, what, data)
    begun = told(what.plan, data, booking.saved(), stop_after=0)[1]
    assert begun == Begun(1)
    assert not booking.take(begun)
    assert booking.saved() is None
    assert "lacks epochs of the checkpoint" in events[-1].message


def test_a_checkpoint_that_is_damaged_is_told_by_the_node(empty_db: Database) -> None:
    data, what = some_digits(64), job(empty_db, [QUICK], digits_recipe(2))
    begun = told(what.plan, data, bytes(100), stop_after=0)[1]
    assert begun.epoch == 0
    assert begun.problem == f"{what.plan.checkpoint(QUICK).path} is damaged"


def test_what_goes_wrong_at_a_node_is_told_as_the_last(empty_db: Database) -> None:
    few, what = some_digits(64), job(empty_db, [QUICK], digits_recipe(2))
    wrong = replace(few, val=Split(few.val.images, few.val.labels + 1000))  # classes that do not exist
    fault = told(what.plan, wrong)[-1]
    assert fault.of == RUN
    assert fault.told.startswith("Target 10")


WHO: dict[str, tuple[Exception, str, str | None]] = {
    # whose fault an error is, and what the run's row says then: its status, and a message
    RUN: (ZeroDivisionError("no"), "failed", "no"),
    MEMORY: (torch.OutOfMemoryError("CUDA out of memory."), "pending", "CUDA out of memory."),
    DEVICE: (torch.AcceleratorError("CUDA error: gone"), "pending", "CUDA error: gone"),
    PLACE: (OSError("a disk"), "pending", None),
}


@pytest.mark.parametrize("whose", WHO)
def test_what_a_node_says_is_booked_as_what_happens_here(empty_db: Database, whose: str) -> None:
    error, status, message = WHO[whose]
    fault = fault_of(error)
    assert fault == Fault(whose, str(error))
    booking, events = booking_of(empty_db, job(empty_db, [QUICK], digits_recipe(1)), some_digits(8))
    how = nullcontext() if whose == MEMORY else pytest.raises(TrainingError, match=f"architecture {QUICK} .*")
    with how, booking.faults():
        raise FaultError(fault)
    assert empty_db.rows("SELECT status, message FROM runs") == [{"status": status, "message": message}]
    assert booking.is_over
    assert [event.kind for event in events] == ["note"] * (whose == MEMORY)
