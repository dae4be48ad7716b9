"""Training is killed between two file operations; the same command then ends bit for bit as if nothing had happened.

Here it is killed where a checkpoint is to get its name, and where the last one is to be removed. ``make faults``
does so at many instants; with ``BLOXDB_FAULTS_ALL=1`` at all, which takes half an hour.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from tests.faults.cases import COMMAND, Case, leftovers
from tests.faults.test_kills import MOMENTS, STRACE, Instant, instants_in, run
from tests.trainer.helpers import own_images

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills between file operations"),
]

EPOCHS = 3
OPERATIONS = "pwrite64,write,rename,link,unlink,unlinkat,rmdir,mkdir,fsync,fdatasync,ftruncate"

TRAIN = Case(
    [
        *(*COMMAND, "train", "--db", "blox.db", "--dataset", "own.npz", "--arch", "405", "--gpus", "none"),
        *("--epochs", str(EPOCHS), "--checkpoint-every", "1", "--keep-weights", "all"),
        *(
            "--heartbeat",
            "50",
            "--dead-after",
            "500",
        ),  # none comes meanwhile, so that all operations are known
    ]
)


def prepare(folder: Path, empty_file: Path) -> Path:
    """A database, and a data set so small that an epoch takes a fraction of a second."""
    folder.mkdir(exist_ok=True)
    shutil.copy(empty_file, folder / "blox.db")
    own_images(folder)
    return folder


class Trained(NamedTuple):
    """What training made: rows without clocks, and the weights of each file."""

    runs: list[tuple[Any, ...]]
    epochs: list[tuple[Any, ...]]
    weights: dict[str, dict[str, torch.Tensor]]


def trained(folder: Path) -> Trained:
    """What is in a folder after training, where nothing else may be left."""
    with closing(sqlite3.connect(folder / "blox.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        names = "arch_id, seed, status, best_epoch, val_top1, test_top1, test_top5, test_loss, message"
        runs = connection.execute(f"SELECT {names} FROM runs").fetchall()
        epochs = connection.execute("SELECT * FROM epochs ORDER BY run_id, epoch").fetchall()
    assert leftovers(folder) == []
    assert list((folder / "blox.db.checkpoints").iterdir()) == []
    files = sorted((folder / "blox.db.weights").rglob("*.safetensors"))
    return Trained(runs, epochs, {path.name: load_file(path) for path in files})


def same_bits(one: Trained, other: Trained) -> bool:
    """Whether all rows and all weights are the same."""
    if (one.runs, one.epochs, one.weights.keys()) != (other.runs, other.epochs, other.weights.keys()):
        return False
    return all(
        network.keys() == other.weights[name].keys()
        and all(torch.equal(tensor, other.weights[name][key]) for key, tensor in network.items())
        for name, network in one.weights.items()
    )


class Undisturbed(NamedTuple):
    """Training that nobody kills, and its file operations from the first checkpoint's folder on."""

    result: Trained
    instants: list[Instant]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Undisturbed:
    folder = prepare(tmp_path_factory.mktemp("undisturbed"), empty_file)
    log = folder.with_suffix(".log")
    run(TRAIN, folder, by=(*STRACE, "-o", str(log), "-e", f"trace={OPERATIONS}"))
    instants = instants_in(log.read_text().splitlines(), "blox.db.checkpoints/")
    result = trained(folder)
    assert len(result.epochs) == EPOCHS == len(result.weights)
    shutil.rmtree(folder)
    return Undisturbed(result, instants)


def chosen(undisturbed: Undisturbed, number: int) -> Instant:
    """The instant of a number: where a name is given or taken away first, then of all kinds in turn."""
    named = [[i for i in sorted(undisturbed.instants) if i.call == call] for call in ("rename", "unlink")]
    first = [named[0][len(named[0]) // 2], named[1][-1]]
    return [*first, *(i for i in undisturbed.instants if i not in first)][number]


def killed_and_resumed(undisturbed: Undisturbed, instant: Instant, folder: Path, empty_file: Path) -> None:
    prepare(folder, empty_file)
    inject = f"inject={instant.call}:signal=SIGKILL:when={instant.count}"
    code = run(TRAIN, folder, by=(*STRACE, "-o", "/dev/null", "-e", inject))
    assert code == -signal.SIGKILL, f"{instant} did not come"
    run(TRAIN, folder)
    assert same_bits(trained(folder), undisturbed.result), instant
    shutil.rmtree(folder)


@pytest.mark.parametrize("number", range(max(2, MOMENTS)))
def test_training_that_was_killed_ends_bit_for_bit_as_if_it_was_not(
    number: int, undisturbed: Undisturbed, tmp_path: Path, empty_file: Path
) -> None:
    if number >= len(undisturbed.instants):
        pytest.skip(f"there are {len(undisturbed.instants)} instants, and all were tried")
    killed_and_resumed(undisturbed, chosen(undisturbed, number), tmp_path, empty_file)


if os.environ.get("BLOXDB_FAULTS_ALL"):

    def test_training_that_was_killed_at_any_instant_ends_bit_for_bit_as_if_it_was_not(
        undisturbed: Undisturbed, tmp_path: Path, empty_file: Path
    ) -> None:
        wrong = []
        for number, instant in enumerate(undisturbed.instants):
            try:
                killed_and_resumed(undisturbed, instant, tmp_path / str(number), empty_file)
            except AssertionError as error:
                wrong.append((instant, str(error)[:300]))
        assert wrong == []
