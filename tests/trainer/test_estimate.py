"""What is expected of a training before it begins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bloxdb.trainer import estimate as module
from bloxdb.trainer.devices import name_of
from bloxdb.trainer.estimate import Estimate, estimate
from bloxdb.trainer.recipe import PRECISIONS, TrainingRecipe, default_recipe
from sqlalchemy import update

from bloxdb import Database, Run
from bloxdb.cli.train import expected
from bloxdb.runs import EpochResult, Metrics, RunQueue, RunResult, environment_id
from tests.runs.helpers import write_epochs
from tests.trainer.helpers import digits_recipe

RESULT = Metrics(50.0, 90.0, 1.5)
RELEASED = default_recipe("cifar100")


def finish(
    db: Database, recipe: TrainingRecipe, gpu: str, seconds: list[float], sharing: int | None = None
) -> None:
    """Invent runs that took so long, with so many workers on the device."""
    first = db.rows("SELECT count(*) AS runs FROM runs")[0]["runs"]
    archs = range(first, first + len(seconds))
    queue = RunQueue(db, archs, recipe.facts(module.DATASETS[recipe.dataset]), 0)
    queue.fill()
    for took in seconds:
        record = queue.claim(env_id=environment_id({"gpu": gpu}, db))
        assert record is not None
        write_epochs(record, recipe.epochs)
        record.finish(RunResult(False, EpochResult(1, RESULT, RESULT), RESULT, took, device_workers=sharing))


def test_runs_that_finished_on_such_a_device_say_how_long_others_take(empty_db: Database) -> None:
    finish(empty_db, RELEASED, "abacus", [900, 1100])
    finish(empty_db, replace(RELEASED, precision="bf16"), "abacus", [1])
    finish(empty_db, default_recipe("cifar100", 30), "other", [5])
    images = 200 * 45_000
    found = estimate(empty_db, RELEASED, 10, "abacus", workers=1, devices=1)
    assert found == Estimate(images / 1000, 10_000, "2 runs that finished on one")
    found = estimate(empty_db, RELEASED, 10, "abacus", workers=4, devices=2)
    assert found == Estimate(2 * images / 1000, 5000, "2 runs that finished on one")
    assert estimate(empty_db, RELEASED, 10, "other", workers=1, devices=1) is None


@pytest.mark.parametrize("before", [1, 2, 3, 7, None])
@pytest.mark.parametrize("now", [1, 2, 3, 7])
@pytest.mark.parametrize("devices", [1, 4])
def test_runs_that_shared_a_device_say_what_the_device_can_do(
    empty_db: Database, before: int | None, now: int, devices: int
) -> None:
    """It was busy for 100 s with each, however many were trained at once."""
    finish(empty_db, RELEASED, "abacus", [100.0 * (before or 1)] * 6, before)
    found = estimate(empty_db, RELEASED, 60, "abacus", workers=now * devices, devices=devices)
    assert found is not None
    assert (found.seconds, found.by) == (pytest.approx(6000 / devices), "6 runs that finished on one")
    assert found.images_per_second == pytest.approx(devices * 200 * 45_000 / 100)


def test_runs_that_shared_their_device_as_now_are_those_that_tell(empty_db: Database) -> None:
    """Three at once are quicker than one after the other, as on a CPU of several cores."""
    finish(empty_db, RELEASED, "abacus", [100, 100], 1)
    finish(empty_db, RELEASED, "abacus", [120], 3)
    for now, seconds, told in ((1, 6000, "2 runs"), (3, 2400, "1 run"), (2, 60 * 240 / 3, "3 runs")):
        found = estimate(empty_db, RELEASED, 60, "abacus", workers=now, devices=1)
        assert found is not None
        assert (found.seconds, found.by) == (pytest.approx(seconds), f"{told} that finished on one")


def test_a_run_whose_time_is_not_known_tells_nothing(empty_db: Database) -> None:
    finish(empty_db, RELEASED, "abacus", [100, 100, 100])
    with empty_db.transaction() as session:
        session.execute(update(Run).where(Run.arch_id > 0).values(train_time_s=None))
    found = estimate(empty_db, RELEASED, 10, "abacus", workers=1, devices=1)
    assert found is not None
    assert (found.seconds, found.by) == (1000, "1 run that finished on one")
    with empty_db.transaction() as session:
        session.execute(update(Run).values(train_time_s=None))
    assert estimate(empty_db, RELEASED, 10, "abacus", workers=1, devices=1) is None


def test_without_runs_what_was_measured_says_it_of_the_releases_recipe_only(
    empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MEASURED", {("abacus", "tf32"): 9000.0})
    tf32 = replace(RELEASED, precision="tf32")
    found = estimate(empty_db, tf32, 91_125, "abacus", workers=4, devices=2)
    assert found == Estimate(18_000, 91_125 * 500, "what benchmarks/train.py measured")
    for other in (RELEASED, replace(tf32, batch=64), digits_recipe(3, precision="tf32")):
        assert estimate(empty_db, other, 1, "abacus", workers=1, devices=1) is None
    assert estimate(empty_db, tf32, 1, "other", workers=1, devices=1) is None


def test_what_was_measured_is_of_precisions_that_there_are() -> None:
    assert {precision for _, precision in module.MEASURED} <= set(PRECISIONS)


def test_the_first_line_says_precision_place_speed_and_time(empty_db: Database) -> None:
    cpu, recipe = name_of("cpu"), digits_recipe(3)
    assert cpu.startswith("cpu: ")
    assert expected(empty_db, recipe, 1, ["cpu"]) == (
        f"digits-3 in fp32 on {cpu}: 1 run; how fast is not known before one has finished"
    )
    finish(empty_db, recipe, cpu, [3.0])
    assert expected(empty_db, recipe, 2000, ["cpu", "cpu"]) == (
        f"digits-3 in fp32 on {cpu} with 2 workers: 2,000 runs in about 1.7 h, 1,257 images/s, "
        "by 1 run that finished on one"
    )
