"""What has been trained, what is missing, and what went wrong."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

import bloxdb
from bloxdb import Database, Run, runs
from bloxdb.db.dialects import utc_now
from bloxdb.measures import COSTS
from bloxdb.runs import EpochResult, Metrics, RetryReport, RunQueue, RunResult, status
from tests.helpers import SEEDS
from tests.runs.helpers import RECIPE, RESULT, claim, queue_of, write_epochs

OTHER = replace(RECIPE, name="other-2")
BEST = EpochResult(1, RESULT, RESULT)


def test_progress_and_gaps_count_what_is_there(tiny_db: Database) -> None:
    (row,) = runs.overview()
    assert (row["recipe"], row["seed"], row["finished"], row["missing"]) == ("cifar100-10", 3, 40, 91_085)
    done = {found["arch_id"] for found in tiny_db.rows("SELECT arch_id FROM runs")}
    gaps = runs.gaps("cifar100-10", 3)
    missing = {index for first, last in gaps for index in range(first, last + 1)}
    assert missing == set(range(91_125)) - done
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(gaps))


def end(db: Database, archs: list[int], how: str, recipe: Any = RECIPE, seed: int = 0) -> None:
    """Runs that began, wrote an epoch, and ended in a status."""
    queue = RunQueue(db, archs, recipe, seed)
    queue.fill()
    for _ in archs:
        record = claim(queue)
        assert record is not None
        record.begin()
        record.epoch(BEST)
        if how == "failed":
            record.fail("no memory")
        else:
            write_epochs(record, recipe.epochs if how == "finished" else 1)
            record.finish(RunResult(how == "diverged", BEST, None if how == "diverged" else RESULT, 1.0))


def waiting(db: Database) -> set[tuple[str, int, int]]:
    rows = db.rows(
        "SELECT name, seed, arch_id FROM runs JOIN recipes ON recipes.id = recipe_id WHERE status = 'pending'"
    )
    return {(row["name"], row["seed"], row["arch_id"]) for row in rows}


@pytest.mark.parametrize("how", ["failed", "diverged"])
def test_a_run_that_is_tried_again_is_as_if_it_were_new(empty_db: Database, how: str) -> None:
    end(empty_db, [5], "finished")
    end(empty_db, [7], how)
    assert runs.retry([how], empty_db) == RetryReport(1)
    (row,) = empty_db.rows("SELECT * FROM runs WHERE arch_id = 7")
    kept = {"id", "arch_id", "recipe_id", "seed", "env_id", "status", "heartbeat_at", *COSTS}
    assert {name for name, value in row.items() if value is not None} <= kept
    assert row["status"] == "pending"
    assert all(row[name] > 0 for name in COSTS)
    epochs = empty_db.rows("SELECT arch_id, epoch FROM epochs JOIN runs ON runs.id = run_id")
    assert epochs == [{"arch_id": 5, "epoch": 1}, {"arch_id": 5, "epoch": 2}]


def test_trying_again_takes_the_statuses_recipe_and_seeds_that_are_named(empty_db: Database) -> None:
    end(empty_db, [1], "failed")
    end(empty_db, [2], "diverged")
    end(empty_db, [3], "failed", seed=1)
    end(empty_db, [1], "failed", OTHER)
    end(empty_db, [9], "finished")
    assert runs.retry(["diverged"], empty_db).runs == 1
    assert waiting(empty_db) == {("mine-2", 0, 2)}
    assert runs.retry(db=empty_db, seeds=1).runs == 1
    assert waiting(empty_db) == {("mine-2", 0, 2), ("mine-2", 1, 3)}
    assert runs.retry(["failed"], empty_db, recipe="other-2").runs == 1
    assert waiting(empty_db) == {("mine-2", 0, 2), ("mine-2", 1, 3), ("other-2", 0, 1)}
    assert runs.retry(db=empty_db, seeds=[1]).runs == 0
    assert runs.retry(db=empty_db).runs == 1
    assert len(waiting(empty_db)) == 4
    assert runs.failures(empty_db) == []


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_of_runs_to_try_again_can_be_written_in_many_ways(
    empty_db: Database, spelling: Callable[[int], Any]
) -> None:
    for seed in (0, 1):
        end(empty_db, [5], "failed", seed=seed)
    assert runs.retry(db=empty_db, seeds=spelling(1)).runs == 1
    assert waiting(empty_db) == {("mine-2", 1, 5)}


@pytest.mark.parametrize("wrong", ["finished", "running", "pending", "lost"])
def test_what_cannot_be_tried_again_is_said(empty_db: Database, wrong: str) -> None:
    end(empty_db, [5], "failed")
    with pytest.raises(bloxdb.QueryError, match=f"that are {wrong!r} are not tried again; choose of: "):
        runs.retry(["failed", wrong], empty_db)
    with pytest.raises(bloxdb.QueryError, match="no recipe 'x'; choose one of: mine-2"):
        runs.retry(db=empty_db, recipe="x")
    with pytest.raises(bloxdb.QueryError, match="there is no run with seed 7; choose of: 0"):
        runs.retry(db=empty_db, seeds=[0, 7])
    assert waiting(empty_db) == set()


def test_the_overview_counts_each_status_of_each_recipe_and_seed(empty_db: Database) -> None:
    assert runs.overview(empty_db) == []
    end(empty_db, [1, 2, 3], "finished")
    end(empty_db, [4, 5], "failed")
    end(empty_db, [6], "diverged")
    queue = queue_of(empty_db, [7, 8, 9])
    assert claim(queue) is not None
    end(empty_db, [1], "failed", seed=4)
    end(empty_db, [1], "finished", OTHER)
    counted = [
        [row[name] for name in ("recipe", "epochs", "seed", "finished", "missing")]
        for row in runs.overview(empty_db)
    ]
    assert counted == [
        ["mine-2", 2, 0, 3, 91_122],
        ["mine-2", 2, 4, 0, 91_125],
        ["other-2", 2, 0, 1, 91_124],
    ]
    first, second, _ = runs.overview(empty_db)
    counts = {name: first[name] for name in ("pending", "running", "failed", "diverged")}
    assert counts == {"pending": 2, "running": 1, "failed": 2, "diverged": 1}
    assert (second["best"], second["median"], second["worst"]) == (None, None, None)


@pytest.mark.parametrize("values", [[30.5], [30.5, 10.25], [30.5, 10.25, 20.0], [30.5, 10.25, 20.0, 40.125]])
def test_the_overview_has_the_best_the_median_and_the_worst(empty_db: Database, values: list[float]) -> None:
    queue = queue_of(empty_db, list(range(len(values) + 1)))
    for value in values:
        record = claim(queue)
        assert record is not None
        write_epochs(record, RECIPE.epochs)
        record.finish(RunResult(False, BEST, Metrics(value, 90.0, 1.0), 1.0))
    record = claim(queue)
    assert record is not None
    write_epochs(record, RECIPE.epochs)
    record.finish(RunResult(False, BEST, Metrics(math.nan, math.nan, math.nan), 1.0))  # without a test
    (row,) = runs.overview(empty_db)
    found = (row["best"], row["median"], row["worst"])
    assert found == (max(values), pytest.approx(statistics.median(values), abs=1e-4), min(values))


def test_finished_architectures_and_gaps_are_of_the_recipe_and_seed(empty_db: Database) -> None:
    end(empty_db, [0, 1, 5, 91_124], "finished")
    end(empty_db, [2], "failed")
    end(empty_db, [3], "finished", seed=1)
    end(empty_db, [4], "finished", OTHER)
    assert status.finished_archs("mine-2", 0, empty_db) == {0, 1, 5, 91_124}
    assert status.finished_archs("mine-2", 1, empty_db) == {3}
    assert status.finished_archs("mine-2", 2, empty_db) == set()
    assert runs.gaps("mine-2", 0, empty_db) == [(2, 4), (6, 91_123)]
    assert runs.gaps("other-2", 0, empty_db) == [(0, 3), (5, 91_124)]


@pytest.mark.parametrize("archs", [[1, 2, 3, 4, 5, 6], [1, 3, 6], [6, 2, 4], [8], [3]])
def test_runs_that_have_not_ended_are_counted(empty_db: Database, archs: list[int]) -> None:
    end(empty_db, [1], "finished")
    end(empty_db, [2], "failed")
    end(empty_db, [3], "diverged")
    assert claim(queue_of(empty_db, [4, 5])) is not None  # one is running, one waits; nobody asked for 6
    end(empty_db, [5], "finished", seed=1)
    end(empty_db, [6], "finished", OTHER)
    left = status.unfinished_count(archs, "mine-2", 0, empty_db)
    assert left == len(set(archs) - {1, 2, 3})


def test_workers_show_their_epoch_and_how_long_ago_they_lived(empty_db: Database) -> None:
    queue = queue_of(empty_db, [5, 6, 7])
    ahead, behind = claim(queue, "b:2"), claim(queue, "a:1")
    assert ahead is not None
    assert behind is not None
    ahead.epoch(BEST)
    ahead.epoch(EpochResult(2, RESULT, RESULT))
    with empty_db.transaction() as session:
        session.execute(update(Run).where(Run.arch_id == 5).values(heartbeat_at=utc_now(90)))
        session.execute(update(Run).where(Run.arch_id == 6).values(heartbeat_at=None))
    first, second = runs.workers(empty_db)
    assert (first["worker"], first["arch_id"], first["epoch"], first["epochs"]) == ("a:1", 6, 0, 2)
    assert (second["worker"], second["arch_id"], second["epoch"], second["recipe"]) == ("b:2", 5, 2, "mine-2")
    assert first["last_heartbeat_s"] is None
    assert 90 <= second["last_heartbeat_s"] < 120


def test_failures_say_what_was_said_of_them_in_order(empty_db: Database) -> None:
    end(empty_db, [9, 4], "failed")
    end(empty_db, [6], "diverged")
    end(empty_db, [1], "finished")
    found = [(row["arch_id"], row["status"], row["message"]) for row in runs.failures(empty_db)]
    assert found == [(4, "failed", "no memory"), (6, "diverged", None), (9, "failed", "no memory")]
