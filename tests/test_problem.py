"""What a search is charged, and what it is told."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, Problem


@pytest.fixture
def archs(tiny_db: Database) -> list[int]:
    """The architectures of release-tiny."""
    return [row["arch_id"] for row in tiny_db.rows("SELECT arch_id FROM runs ORDER BY arch_id")]


def stored(db: Database, arch: int, epoch: int) -> tuple[float, float, float]:
    """Validation top-1 at an epoch, test top-1 and the whole training time."""
    (row,) = db.rows(
        "SELECT epochs.val_top1, test_top1, train_time_s FROM runs JOIN epochs ON run_id = id "
        "WHERE arch_id = :arch AND epoch = :epoch",
        arch=arch,
        epoch=epoch,
    )
    return row["val_top1"], row["test_top1"], row["train_time_s"]


def test_an_answer_is_the_value_at_the_epoch_and_costs_its_share(tiny_db: Database, archs: list[int]) -> None:
    problem = Problem(tiny_db)
    value, _, time = stored(tiny_db, archs[0], 4)
    assert problem.cost(archs[0], 4) == pytest.approx(time * 0.4)
    assert problem(archs[0], 4) == value
    assert problem.seconds == pytest.approx(time * 0.4)


def test_what_was_reached_is_free_and_going_on_costs_the_rest(tiny_db: Database, archs: list[int]) -> None:
    problem = Problem(tiny_db)
    _, _, time = stored(tiny_db, archs[0], 10)
    problem(archs[0], 4)
    problem(bloxdb.space.arch_vec(archs[0]), 3)
    problem(archs[0], 4)
    assert problem.seconds == pytest.approx(time * 0.4)
    problem(archs[0])
    assert problem.seconds == pytest.approx(time)
    problem(archs[0])
    assert problem.seconds == pytest.approx(time)
    assert [point.epoch for point in problem.trajectory] == [4, 3, 4, 10, 10]


def test_the_trajectory_keeps_the_best_and_its_regret(tiny_db: Database, archs: list[int]) -> None:
    problem = Problem(tiny_db)
    best, test = -1.0, 0.0
    highest = tiny_db.rows("SELECT max(test_top1) AS top FROM runs")[0]["top"]
    for arch, point in zip(archs, [problem(arch) for arch in archs] and problem.trajectory, strict=True):
        value, test_top1, _ = stored(tiny_db, arch, 10)
        if value > best:
            best, test = value, test_top1
        assert (point.arch_id, point.value, point.best, point.test_top1) == (arch, value, best, test)
        assert point.regret == highest - test >= 0
    assert problem.trajectory[-1].seconds == problem.seconds
    assert problem.best == problem.trajectory[-1]
    assert problem.best_vec is not None
    assert stored(tiny_db, bloxdb.arch_index(problem.best_vec), 10)[0] == best


def test_a_loss_is_better_when_it_is_lower(tiny_db: Database, archs: list[int]) -> None:
    problem = Problem(tiny_db, metric="val_loss", epoch=5)
    values = [problem(arch) for arch in archs]
    assert [point.best for point in problem.trajectory] == [min(values[: i + 1]) for i in range(len(values))]
    assert all(point.epoch == 5 for point in problem.trajectory)


def test_a_budget_is_never_exceeded_and_a_refusal_costs_nothing(tiny_db: Database, archs: list[int]) -> None:
    _, _, first = stored(tiny_db, archs[0], 10)
    problem = Problem(tiny_db, budget_seconds=first + 1)
    problem(archs[0])
    with pytest.raises(bloxdb.BudgetExhausted, match="seconds are spent, and architecture"):
        problem(archs[1])
    assert problem.seconds == first
    assert len(problem.trajectory) == 1
    problem(archs[0], 3)  # already reached


def test_questions_that_cannot_be_answered_are_refused(
    tiny_db: Database, empty_db: Database, archs: list[int]
) -> None:
    with pytest.raises(bloxdb.QueryError, match="no metric 'top1'; choose one of: val_top1"):
        Problem(tiny_db, metric="top1")
    with pytest.raises(bloxdb.QueryError, match=r"an epoch is in 1 … 10, not 11"):
        Problem(tiny_db, epoch=11)
    with pytest.raises(bloxdb.QueryError, match="holds no runs yet"):
        Problem(empty_db)
    problem = Problem(tiny_db)
    missing = next(index for index in range(100) if index not in archs)
    with pytest.raises(bloxdb.QueryError, match="the database has no val_top1 of"):
        problem(missing)
    with pytest.raises(bloxdb.InvalidArchError, match="has no path"):
        problem([[[0], [0, 0, 0, 0]]] * 3)
    assert problem.best is None
    assert problem.seconds == 0


def test_a_seed_and_an_epoch_may_be_numpy_integers(tiny_db: Database, archs: list[int]) -> None:
    plain, numpy = Problem(tiny_db, seed=3, epoch=4), Problem(tiny_db, seed=np.int64(3), epoch=np.int32(4))
    assert numpy(archs[0]) == plain(archs[0])
    assert numpy(np.int64(archs[1]), np.int64(7)) == plain(archs[1], 7)
    assert numpy.trajectory == plain.trajectory
    assert numpy.seed == 3
    with pytest.raises(bloxdb.QueryError, match="seed 4; choose of: 3"):
        Problem(tiny_db, seed=np.int64(4))


def test_an_architecture_without_a_test_is_evaluated_and_paid_for(tiny_db: Database) -> None:
    (key,) = (row["arch_id"] for row in bloxdb.top(1, tiny_db, by="val_top1"))
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET test_top1 = NULL WHERE arch_id = :key"), {"key": key})
    search = Problem(tiny_db)
    value = search(key)
    assert search.seconds == search.trajectory[0].seconds > 0
    assert search.trajectory[0].value == value
    assert np.isnan([search.trajectory[0].test_top1, search.trajectory[0].regret]).all()
    other = next(row["arch_id"] for row in bloxdb.top(2, tiny_db))
    search(other)
    assert len(search.trajectory) == 2
