"""Training real images into a real database, killed and undisturbed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import bloxdb
from bloxdb import Arch, Database, space
from bloxdb.codecs.columns import ENV_COLUMNS
from trainer import loop
from trainer.data import load_digits
from trainer.environment import environment
from trainer.loop import train_run
from trainer.recipe import Recipe, digits_recipe
from trainer.vision import torchvision
from trainer.work import Step, train_archs

ROOT = Path(__file__).parents[2]
QUICK = 405  # one operation in the second stage, small convolutions: the quickest to train


def train(db: Database, archs: list[int], epochs: int = 1, seed: int = 0) -> list[Step]:
    steps: list[Step] = []
    train_archs(db, archs, dataset="digits", epochs=epochs, seed=seed, on_step=steps.append)
    return steps


def start_training(path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    # a background job of a shell may have inherited that Ctrl-C is ignored
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from bloxdb.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "--db", str(path), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def epochs_in(path: Path) -> int:
    with sqlite3.connect(path, timeout=30) as connection:
        (count,) = connection.execute("SELECT count(*) FROM epochs").fetchone()
    connection.close()
    return int(count)


def test_digits_are_split_once_and_for_all() -> None:
    data, again = load_digits(), load_digits()
    assert [len(split) for split in (data.train, data.val, data.test)] == [1257, 180, 360]
    assert data.train.images.shape == (1257, 3, 8, 8)
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])
    assert torch.equal(data.val.images, again.val.images)
    assert abs(data.train.images.mean().item()) < 1e-5
    assert abs(data.train.images.std().item() - 1) < 1e-3


@pytest.mark.slow
def test_training_writes_runs_epochs_and_results(empty_db: Database) -> None:
    steps = train(empty_db, [QUICK], epochs=3)
    arch = Arch.get(QUICK)
    assert arch is not None
    (run,) = arch.runs
    assert run.status == "finished"
    assert [epoch.epoch for epoch in run.epochs] == [1, 2, 3]
    assert run.epochs[-1].train_loss < run.epochs[0].train_loss
    assert run.test_top1 > 20  # ten classes
    best = max(run.epochs, key=lambda epoch: (epoch.val_top1, -epoch.val_loss))
    assert (run.best_epoch, run.val_top1) == (best.epoch, best.val_top1)
    assert (run.recipe.name, run.recipe.train_images) == ("digits-3", 1257)
    assert run.recipe.config["batch"] == 64
    assert run.env is not None
    assert run.env.torch_version == torch.__version__
    assert len(steps) == 4
    assert "finished already" in train(empty_db, [QUICK], epochs=3)[0].message
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 1}]


def test_the_same_seed_gives_the_same_numbers() -> None:
    data, recipe = load_digits(), digits_recipe(1)
    seen: list[loop.EpochResult] = []
    results = [train_run(space.arch_vec(QUICK), recipe, data, seed, seen.append) for seed in (5, 5, 6)]
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
    assert results[0].test == results[1].test


def test_the_test_is_measured_with_the_best_epochs_weights() -> None:
    # at this learning rate the last epochs are no better, and the weights of the best must come back
    data = load_digits()
    recipe = Recipe("digits", 4, lr=0.2, batch=64, eval_batch=360)
    curve: list[loop.EpochResult] = []
    result = train_run(space.arch_vec(QUICK), recipe, data, 1, curve.append)
    best = max(curve, key=lambda epoch: (epoch.val.top1, -epoch.val.loss))
    assert result.best == best
    assert result.test is not None
    assert abs(result.test.top1 - best.val.top1) < 15


def test_a_loss_that_is_not_a_number_ends_the_run_as_diverged(empty_db: Database) -> None:
    from trainer.record import RunRecord, store_environment, store_recipe

    data, recipe = load_digits(), Recipe("digits", 2, lr=1e12, batch=64)
    recipe_id = store_recipe(empty_db, recipe, data)
    record = RunRecord.claim(empty_db, QUICK, recipe_id, 0, store_environment(empty_db, environment()))
    record.finish(train_run(space.arch_vec(QUICK), recipe, data, 0, record.epoch))
    arch = Arch.get(QUICK)
    assert arch is not None
    assert arch.runs[0].status == "diverged"
    assert arch.runs[0].test_top1 is None
    assert bloxdb.top() == []


def test_another_recipe_under_the_same_name_is_refused(empty_db: Database) -> None:
    from trainer.record import store_recipe

    data = load_digits()
    first = store_recipe(empty_db, digits_recipe(2), data)
    assert store_recipe(empty_db, digits_recipe(2), data) == first
    with pytest.raises(bloxdb.ReleaseError, match="another recipe named digits-2"):
        store_recipe(empty_db, Recipe("digits", 2, lr=0.5), data)


@pytest.mark.slow
def test_a_killed_run_leaves_every_finished_epoch_and_can_be_started_again(empty_db: Database) -> None:
    path = empty_db.path
    assert path is not None
    empty_db.close()
    process = start_training(path, "--arch", str(QUICK), "--epochs", "500")
    deadline = time.monotonic() + 120
    while epochs_in(path) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = epochs_in(path)
    assert finished >= 2
    with bloxdb.open(path) as db:
        assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        (run,) = db.reader.query(bloxdb.Run)
        assert (run.status, run.env is not None, run.test_top1) == ("running", True, None)
        assert [epoch.epoch for epoch in run.epochs] == list(range(1, finished + 1))
        assert all(epoch.val_loss > 0 and epoch.train_top5 > 0 for epoch in run.epochs)
        assert bloxdb.top(db=db) == []
    again = start_training(path, "--arch", str(QUICK), "--epochs", "500")
    while again.poll() is None and not started_anew(path, again.pid):
        time.sleep(0.05)
    again.send_signal(signal.SIGINT)
    assert again.wait() != 0
    with bloxdb.open(path) as db:
        assert db.rows("SELECT status FROM runs") == [{"status": "pending"}]


def started_anew(path: Path, pid: int) -> bool:
    """Whether the run belongs to this process and has its first epoch."""
    with sqlite3.connect(path, timeout=30) as connection:
        rows = connection.execute("SELECT worker, (SELECT count(*) FROM epochs) FROM runs").fetchall()
    connection.close()
    return any(worker and worker.endswith(f":{pid}") and count > 0 for worker, count in rows)


def test_a_run_that_a_living_worker_has_is_passed_over(empty_db: Database) -> None:
    from trainer import record

    data = load_digits()
    recipe_id = record.store_recipe(empty_db, digits_recipe(1), data)
    env_id = record.store_environment(empty_db, environment())
    record.RunRecord.claim(empty_db, QUICK, recipe_id, 0, env_id)
    with empty_db.transaction() as session:
        for run in session.query(bloxdb.Run):
            run.worker = f"{os.uname().nodename}:{os.getppid()}"
    with pytest.raises(record.RunTakenError, match="is training it"):
        record.RunRecord.claim(empty_db, QUICK, recipe_id, 0, env_id)


def test_the_environment_has_its_twelve_fields() -> None:
    found = environment()
    assert tuple(found) == ENV_COLUMNS
    assert all(isinstance(value, str) for value in found.values())
    assert found["codebase_version"] == bloxdb.__version__
    assert found["torch_version"] == torch.__version__
    if not torch.cuda.is_available():
        assert (found["driver"], found["cuda"]) == ("", "")
        assert found["gpu"].startswith("cpu: ")


def test_torchvision_can_be_imported_beside_any_torch() -> None:
    code = "from trainer.vision import torchvision; v = torchvision(); from torchvision.transforms import v2; print(v.__version__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == torchvision().__version__
