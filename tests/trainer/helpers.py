"""What tests of the trainer share: small data sets, jobs, and processes that train."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol

import numpy as np
import torch
from bloxdb.trainer import fleet
from bloxdb.trainer.booking import Event
from bloxdb.trainer.data import DataSet, Split, load_digits
from bloxdb.trainer.devices import Place
from bloxdb.trainer.recipe import TrainingRecipe, default_recipe
from bloxdb.trainer.worker import Job

from bloxdb import Database
from bloxdb.runs.heartbeat import Intervals
from tests import forks

ROOT = Path(__file__).parents[2]
QUICK = 405  # one operation in the second stage, small convolutions: the quickest to train


def some_digits(train: int = 256) -> DataSet:
    """The first of the digits, so that an epoch takes a fraction of a second."""
    whole = load_digits()
    part = Split(whole.train.images[:train], whole.train.labels[:train])
    return DataSet("digits", 10, whole.mean, whole.std, part, whole.val, whole.test)


def own_images(folder: Path) -> Path:
    """A data set so small that an epoch takes a fraction of a second, as ``own.npz``."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (96, 8, 8, 1), dtype=np.uint8)
    splits = np.repeat(["train", "val", "test"], 32)
    np.savez(folder / "own.npz", images=images, labels=np.arange(96) % 4, splits=splits)
    return folder / "own.npz"


def digits_recipe(epochs: int, **changes: Any) -> TrainingRecipe:
    """The recipe of the digits, changed."""
    return replace(default_recipe("digits", epochs), **changes)


def job(db: Database, archs: list[int], recipe: TrainingRecipe, **more: Any) -> Job:
    """A job with its checkpoints beside the database."""
    assert db.path is not None
    defaults: dict[str, Any] = {
        "checkpoints": db.path.with_name("checkpoints"),
        "seed": 0,
        "checkpoint_every": 1,
    }
    return Job(db=str(db.path), arch_ids=tuple(archs), recipe=recipe, **{**defaults, **more})


def train(what: Job, workers: int = 1) -> tuple[bool, list[Event]]:
    """Train here, or in processes if there are several workers."""
    events: list[Event] = []
    return fleet.train(what, [Place("cpu")] * workers, events.append), events


class Started:
    """A command in a process of its own, and what it has printed."""

    def __init__(self, words: Sequence[object]) -> None:
        self._printed = TemporaryFile()  # noqa: SIM115 - `ended` closes it
        with Path(os.devnull).open() as nothing:
            streams = [nothing.fileno(), self._printed.fileno(), self._printed.fileno()]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._fork = forks.start([str(word) for word in words], ROOT, environment, streams)
        self.pid = self._fork.pid
        self.poll = self._fork.poll
        self.send_signal = self._fork.send_signal

    def ended(self) -> tuple[int, str]:
        """Wait for it; its exit code and what it printed."""
        code = self._fork.wait()
        with self._printed:
            self._printed.seek(0)
            return code, self._printed.read().decode()


def start(path: Path, *arguments: object) -> Started:
    """`bloxdb train` on digits in a process of its own."""
    return Started(["train", "--db", path, "--dataset", "digits", *arguments])


def ended(process: Started) -> tuple[int, str]:
    """Wait for a process; its exit code and what it printed."""
    return process.ended()


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query, by a connection of its own."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


class Process(Protocol):
    """What can be asked whether it goes on."""

    def poll(self) -> int | None:
        """The exit code; None while it goes on."""
        ...


def wait_for(what: Callable[[], bool], process: Process | None = None, seconds: float = 120) -> None:
    """Wait until something holds, for two minutes at most, or until the process ends."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it does not happen"
        if process is not None and process.poll() is not None:
            told = process.ended()[1] if isinstance(process, Started) else process.poll()
            raise AssertionError(f"the process ended: {told}")
        time.sleep(0.02)


def results(path: Path) -> list[tuple[Any, ...]]:
    """All numbers of all runs but for times."""
    columns = "arch_id, seed, status, best_epoch, val_top1, test_top1, test_top5, test_loss"
    curves = (
        "SELECT arch_id, seed, epochs.* FROM epochs JOIN runs ON id = run_id ORDER BY arch_id, seed, epoch"
    )
    curves = curves.replace("epochs.*", ", ".join(f"epochs.{name}" for name in _MEASURES))
    return [*ask(path, f"SELECT {columns} FROM runs ORDER BY arch_id, seed"), *ask(path, curves)]


_MEASURES = (
    "epoch",
    "train_top1_milli",
    "train_top5_milli",
    "train_loss_micro",
    "val_top1_milli",
    "val_top5_milli",
    "val_loss_micro",
)


def fast_intervals() -> Intervals:
    """Beats so fast that a test need not wait."""
    return Intervals(every=0.2, dead_after=1.5)


def path_of(db: Database) -> Path:
    """The file of a database, which is closed."""
    assert db.path is not None
    db.close()
    return db.path


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch, as the original did before it made a network."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
