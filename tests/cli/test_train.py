"""The command `train`: what it is told, what it makes, and what it refuses before it makes anything."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

import bloxdb
from bloxdb import Database
from bloxdb.cli.train import TRY_AGAIN
from tests.cli.helpers import COMMAND, ENVIRONMENT
from tests.cli.helpers import bloxdb as command
from tests.trainer.helpers import wait_for


@pytest.mark.slow
def test_the_networks_of_the_paper_are_trained_beside_the_public_ones_and_under_a_name_that_is_there(
    empty_db: Database,
) -> None:
    path = empty_db.path
    train = ("train", "--db", path, "--dataset", "digits", "--epochs", 1, "--batch", 64, "--arch", 405)
    command(*train)
    command(*train, "--variant", "paper")
    names = "SELECT name, test_loss FROM runs JOIN recipes ON recipe_id = recipes.id ORDER BY name"
    public, paper = empty_db.rows(names)
    assert (public["name"], paper["name"]) == ("digits-1", "digits-1-paper")
    assert public["test_loss"] != paper["test_loss"]
    with empty_db.transaction() as session:
        session.execute(update(bloxdb.Recipe).values(name="as ever").where(bloxdb.Recipe.name == "digits-1"))
    done = command(*train, "--missing")
    assert "nothing is missing" in done.stderr
    assert [row["name"] for row in empty_db.rows(names)] == ["as ever", "digits-1-paper"]


ONE = ("--arch", 405, "--epochs", 1, "--dataset", "digits", "--batch", 256)


@pytest.mark.slow
def test_train_makes_the_database_if_there_is_none_and_keeps_a_network_that_is_loaded_again(
    tmp_path: Path,
) -> None:
    done = command(
        "train", "--db", "new.db", *ONE, "--recipe-name", "mine", "--keep-weights", "last", cwd=tmp_path
    )
    assert "created" in done.stderr
    assert done.stdout.startswith("mine in fp32 on cpu")
    with bloxdb.open(tmp_path / "new.db") as db:
        (run,) = db.reader.query(bloxdb.Run)
        assert (run.status, run.recipe.name) == ("finished", "mine")
        assert not run.load_network().training
    refused = command(
        "train", "--db", "new.db", *ONE, "--lr", 0.5, "--recipe-name", "mine", code=1, cwd=tmp_path
    )
    assert "another recipe named mine already (lr 0.01 there, 0.5 here)" in refused.stderr


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (
            ("--dataset", "flowers"),
            2,
            "choose one of: cifar100, cifar10, digits; one of your own is a file NAME.npz",
        ),
        (("--dataset", "flowers.npz"), 1, "there is no file flowers.npz to train on"),
        (("--dataset", "digits", "--recipe-name", "*"), 1, "'*' is none: choose another"),
        (("--dataset", "digits", "--arch", "nobody"), 1, "nobody"),
        (("--dataset", "digits", "--weights-dir", "d"), 2, "say which are kept"),
    ],
)
def test_a_mistake_leaves_no_database(tmp_path: Path, more: tuple[str, ...], code: int, told: str) -> None:
    done = command("train", "--db", "new.db", "--arch", 405, *more, code=code, cwd=tmp_path)
    assert told in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_images_of_ones_own_are_trained_on_by_two_workers(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez(
        tmp_path / "flowers.npz",
        images=draw.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        labels=np.arange(40) % 3,
        splits=np.array(["train", "train", "val", "test"])[np.arange(40) % 4],
    )
    arguments = ("train", "--db", "new.db", "--dataset", "flowers.npz", "--range", 404, 406, "--epochs", 1)
    command(*arguments, "--per-gpu", 2, cwd=tmp_path)
    with bloxdb.open(tmp_path / "new.db") as db:
        found = [(run.status, run.recipe.name, run.test_top5) for run in db.reader.query(bloxdb.Run)]
        assert found == [("finished", "flowers-1", 100.0)] * 2  # of three classes, the right one is in five
    again = command(*arguments, "--missing", cwd=tmp_path)
    assert "nothing is missing" in again.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--dataset cifar100 --data-dir nothing", "cifar100"),
        ("--dataset digits --gpus 99", "GPU"),
        ("--dataset digits --gpus none --compile", "leave --compile out"),
        ("--dataset digits --gpus none --graphs", "graphs"),
        ("--dataset digits --heartbeat 9 --dead-after 3", "a heartbeat every"),
        ("--dataset digits --sql 'SELECT 91125'", "--sql must give architecture indices"),
    ],
)
def test_what_cannot_be_trained_makes_no_database(options: str, told: str, tmp_path: Path) -> None:
    done = command("train", "--db", "new.db", "--arch", 5, *shlex.split(options), code=1, cwd=tmp_path)
    assert told in done.stderr
    assert "created" not in done.stderr
    assert list(tmp_path.iterdir()) == []


IN_THE_WAY: dict[str, tuple[str, ...]] = {
    "a file": ("--checkpoint-dir", "file"),
    "below a file": ("--checkpoint-dir", "file/checkpoints"),
    "beside the database": (),
    "a dangling link": ("--checkpoint-dir", "dangling"),
}


@pytest.mark.parametrize("way", IN_THE_WAY)
def test_checkpoints_that_cannot_be_written_are_found_before_there_is_a_database(
    way: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("something else")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    if way == "beside the database":
        (tmp_path / "new.db.checkpoints").write_text("something else")
    before = sorted(tmp_path.iterdir())
    done = command("train", "--db", "new.db", *ONE, *IN_THE_WAY[way], code=1, cwd=tmp_path)
    assert re.fullmatch(
        "Error: checkpoints cannot be written to .*; name another folder with .*\n", done.stderr
    )
    assert sorted(tmp_path.iterdir()) == before


def test_folders_for_checkpoints_are_left_by_no_run_that_never_begins(tmp_path: Path) -> None:
    command(
        "train", "--db", "a/new.db", *ONE, "--checkpoint-dir", "b/c", "--arch", "nobody", code=1, cwd=tmp_path
    )
    assert not (tmp_path / "b").exists()


COUNTING = """
import numpy as np

def flowers():
    with open("calls", "a") as told:
        told.write("x")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    splits = np.array(["train", "train", "val", "test"])[np.arange(40) % 4]
    return {"images": images, "labels": np.arange(40) % 3, "splits": splits}
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [True, False])
def test_a_data_set_is_loaded_once(is_new: bool, tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    if not is_new:
        command("init", "--db", "new.db", cwd=tmp_path)
    words = ("train", "--db", "new.db", "--dataset", "counting:flowers", "--arch", 405, "--epochs", 1)
    command(*words, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert (tmp_path / "calls").read_text() == "x"


WAITING = """
import time

def flowers():
    open("called", "w").close()
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, TRY_AGAIN), (signal.SIGHUP, TRY_AGAIN), (signal.SIGINT, 1)]
)
def test_a_signal_before_anything_trains_is_a_reason_to_try_again_but_for_ctrl_c(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    (tmp_path / "waiting.py").write_text(WAITING)
    words = ("train", "--db", "new.db", "--dataset", "waiting:flowers", "--arch", "405")
    with subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for((tmp_path / "called").exists, process)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert not (tmp_path / "new.db").exists()
