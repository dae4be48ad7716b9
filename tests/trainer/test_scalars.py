"""Scalars as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bloxdb import Arch, Database
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
