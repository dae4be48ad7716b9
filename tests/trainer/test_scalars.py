"""Scalars as TensorBoard reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bloxdb.trainer.scalars import Scalars
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bloxdb import Arch, Database
from bloxdb.runs import EpochResult, Metrics
from tests.trainer.helpers import QUICK, digits_recipe, job, train

pytestmark = pytest.mark.slow


def test_the_scalars_are_those_of_the_database(empty_db: Database, tmp_path: Path) -> None:
    assert train(job(empty_db, [QUICK], digits_recipe(2), tensorboard=tmp_path))[0]
    arch = Arch.get(QUICK, empty_db)
    assert arch is not None
    events = EventAccumulator(str(tmp_path / "digits-2" / f"{QUICK}-seed0")).Reload()
    for part in ("train", "val"):
        for name in ("top1", "top5", "loss"):
            found = [(event.step, event.value) for event in events.Scalars(f"{name}/{part}")]
            expected = [(epoch.epoch, getattr(epoch, f"{part}_{name}")) for epoch in arch.epochs]
            assert [step for step, _ in found] == [1, 2]
            assert [value for _, value in found] == pytest.approx([v for _, v in expected], rel=1e-4)
    (test,) = events.Scalars("top1/test")
    assert test.step == arch.runs[0].best_epoch
    assert test.value == pytest.approx(arch.runs[0].test_top1, rel=1e-4)


@contextmanager
def file_in_the_way(folder: Path) -> Iterator[None]:
    folder.write_bytes(b"")
    yield


@contextmanager
def no_folder_may_be_made(folder: Path) -> Iterator[None]:
    (folder / "digits-2").mkdir(parents=True)
    (folder / "digits-2" / f"{QUICK}-seed0").write_bytes(b"")
    yield


@pytest.mark.parametrize("trouble", [file_in_the_way, no_folder_may_be_made])
def test_scalars_that_cannot_be_written_are_told_once_and_training_goes_on(
    trouble: Callable[[Path], Any], empty_db: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scalars"
    with trouble(folder):
        done, events = train(job(empty_db, [QUICK], digits_recipe(2), tensorboard=folder))
    assert done
    (told,) = (event.message for event in events if "scalars" in event.message)
    assert str(folder / "digits-2") in told or str(folder) in told
    assert told.endswith("; it is trained without them")
    assert "Traceback" not in capfd.readouterr().err
    arch = Arch.get(QUICK, empty_db)
    assert arch is not None
    assert arch.runs[0].status == "finished"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_fills_meanwhile_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    half = Metrics(50.0, 90.0, 1.0)
    with Scalars(tmp_path, "recipe", 3, 0, failed=lambda message: told.append(message)) as scalars:
        scalars.epoch(EpochResult(1, half, half))
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), scalars._stream.fileno())
        for epoch in (2, 3):
            scalars.epoch(EpochResult(epoch, half, half))
    (path,) = (tmp_path / "recipe" / "3-seed0").iterdir()
    assert told == [
        f"its scalars cannot be written to {path}: No space left on device; it is trained without them"
    ]
    assert [event.step for event in EventAccumulator(str(path.parent)).Reload().Scalars("top1/val")] == [1]
