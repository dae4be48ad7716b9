"""Checkpoints that cannot be written, and those that nobody needs any more."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from bloxdb.trainer.booking import Event
from bloxdb.trainer.checkpoint import Checkpoint
from bloxdb.trainer.stopping import Stop
from bloxdb.trainer.worker import Worker

import bloxdb
from bloxdb import Database
from bloxdb.care.checkpoints import checkpoints_folder
from bloxdb.runs.queue import RunQueue
from tests.cli.helpers import bloxdb as command
from tests.trainer.helpers import QUICK, digits_recipe, job, some_digits, train


def test_a_checkpoint_that_cannot_be_written_keeps_the_one_before_and_the_run_goes_on(
    empty_db: Database,
) -> None:
    what = job(empty_db, [QUICK], digits_recipe(4))
    checkpoint = Checkpoint(what.checkpoints, what.recipe.digest, QUICK, 0)
    events: list[Event] = []
    aside = what.checkpoints.with_name("aside")

    def tell(event: Event) -> None:
        events.append(event)
        if event.kind == "epoch" and event.epoch == 1:  # a file where the folder was: nothing can be written
            what.checkpoints.rename(aside)
            what.checkpoints.write_text("mine")

    data = some_digits(64)
    queue = RunQueue(empty_db, [QUICK], what.recipe.facts(data.sizes), 0)
    queue.fill()
    record = queue.claim()
    assert record is not None
    Worker(what, data, tell, Stop()).train(record)
    notes = [event.message for event in events if event.kind == "note"]
    assert len(notes) == 2
    told = f"has no checkpoint, since nothing can be written to {what.checkpoints}: it is no folder; there is none"
    assert all(told in note for note in notes)
    assert (aside / checkpoint.path.name).exists()
    assert empty_db.rows("SELECT status FROM runs") == [{"status": "finished"}]


def test_a_folder_that_cannot_be_used_is_said_before_the_first_epoch(empty_db: Database) -> None:
    assert empty_db.path is not None
    place = empty_db.path.with_name("file")
    place.write_text("mine")
    with pytest.raises(
        bloxdb.TrainingError, match=f"checkpoints cannot be written to {place}: .*--checkpoint-dir"
    ):
        train(job(empty_db, [QUICK], digits_recipe(1), checkpoints=place))
    assert empty_db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 0}]
    told = command(
        "train",
        "--db",
        empty_db.path,
        "--dataset",
        "digits",
        "--arch",
        QUICK,
        "--checkpoint-dir",
        place,
        code=1,
    )
    assert "name another folder with --checkpoint-dir DIR" in told.stderr


@pytest.mark.slow
@pytest.mark.parametrize("is_shared", [False, True])
def test_checkpoints_of_runs_that_ended_are_swept_from_the_databases_own_folder(
    is_shared: bool, empty_db: Database, tmp_path: Path
) -> None:
    recipe = digits_recipe(1)
    place = tmp_path / "of several" if is_shared else checkpoints_folder(empty_db)
    what = job(empty_db, [QUICK], recipe, checkpoints=place)
    assert train(what)[0]
    ended, other, foreign = (
        Checkpoint(what.checkpoints, digest, arch, 0)
        for digest, arch in ((recipe.digest, QUICK), (recipe.digest, 9), ("f" * 64, QUICK))
    )
    for checkpoint in (ended, other, foreign):
        checkpoint.save({"epoch": 1})
    mine = what.checkpoints / "notes.pt"
    mine.write_text("mine")
    kept = [ended.path] * is_shared  # the run of another database may be going on
    (odd := what.checkpoints / f"{recipe.digest[:16]}-{QUICK}-{9**18}.pt").mkdir()
    assert train(job(empty_db, [406], recipe, checkpoints=place))[0]  # whatever is trained
    assert sorted(what.checkpoints.iterdir()) == sorted([mine, odd, other.path, foreign.path, *kept])


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.EIO, "I/O error")]
)
def test_what_a_disk_or_a_pipe_did_wrong_gives_the_run_back(empty_db: Database, error: OSError) -> None:
    what = job(empty_db, [QUICK], digits_recipe(2))
    data = some_digits(64)
    queue = RunQueue(empty_db, [QUICK], what.recipe.facts(data.sizes), 0)
    queue.fill()
    record = queue.claim()
    assert record is not None

    def tell(event: Event) -> None:
        if event.kind == "epoch":
            raise error

    with pytest.raises(OSError, match=error.strerror):
        Worker(what, data, tell, Stop()).train(record)
    assert empty_db.rows("SELECT status, message FROM runs") == [{"status": "pending", "message": None}]
    state = Checkpoint(what.checkpoints, what.recipe.digest, QUICK, 0).load(torch.device("cpu"))
    assert state is not None
    assert state["epoch"] == 1
