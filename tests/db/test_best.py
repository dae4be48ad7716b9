"""Which epoch of a run is the best: one answer from Python, from arrays, and from SQL."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from bloxdb import Database, Epoch, Recipe, Run
from bloxdb.db.best import BEST_FIRST, best_epochs, is_as_good
from bloxdb.measures import MISSING

FEW = st.sampled_from([MISSING, 0, 1, 2, 100_000])
CURVES = st.lists(st.tuples(FEW, FEW), min_size=1, max_size=6)


def expected(curve: list[tuple[int, int]]) -> int:
    """The position by the rule as it is told: highest top-1, lowest loss, latest; -1 if none has a top-1."""
    known = [
        (top1, -(loss if loss != MISSING else 2**62), i)
        for i, (top1, loss) in enumerate(curve)
        if top1 != MISSING
    ]
    return max(known)[2] if known else -1


@given(CURVES)
def test_arrays_have_the_best_epoch_of_each_run(curve: list[tuple[int, int]]) -> None:
    top1, loss = (np.array([[pair[k] for pair in curve]] * 2) for k in (0, 1))
    assert best_epochs(top1, loss).tolist() == [expected(curve)] * 2
    without = [(top1, MISSING) for top1, _ in curve]
    assert best_epochs(top1, None).tolist() == [expected(without)] * 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_epoch_by_epoch_it_is_the_same(curve: list[tuple[int, int]]) -> None:
    best = 0
    for i, (top1, loss) in enumerate(curve):
        if is_as_good(top1, loss, *curve[best]):
            best = i
    assert best == expected(curve)


def test_a_loss_that_is_no_number_is_worse_than_any() -> None:
    nan = float("nan")
    assert is_as_good(50, 4.6, 50, nan)
    assert not is_as_good(50, nan, 50, 4.6)
    assert is_as_good(50, nan, 50, nan)
    assert is_as_good(51, nan, 50, 0.1)


def test_sql_gives_the_same(empty_db: Database) -> None:
    draw = np.random.default_rng(3)
    values = draw.choice([MISSING, 0, 1, 2], size=(2, 60, 5))
    values[0, 7] = MISSING  # a run without any
    with empty_db.transaction() as session:
        session.add(Recipe(id=1, name="r", dataset="d", epochs=5))
        session.flush()
        for run in range(60):
            session.add(Run(id=run + 1, arch_id=run, recipe_id=1, seed=0, status="finished"))
        session.flush()
        rows = [
            {"run_id": run + 1, "epoch": epoch + 1, **{name: None if value == MISSING else int(value) for name, value in
             zip(("val_top1_milli", "val_loss_micro"), values[:, run, epoch], strict=True)}}
            for run in range(60) for epoch in range(5)
        ]  # fmt: skip
        session.execute(insert(Epoch.__table__), rows)
    found = []
    for run in range(60):
        query = select(Epoch.epoch, Epoch.val_top1_milli).where(Epoch.run_id == run + 1).order_by(*BEST_FIRST)
        epoch, top1 = empty_db.reader.execute(query.limit(1)).one()
        found.append(-1 if top1 is None else epoch - 1)
    assert found == best_epochs(*values).tolist()
    assert len(set(found)) == 6
