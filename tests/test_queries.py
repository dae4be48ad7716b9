"""top and pareto against plain Python over the release's rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs

TINY = "release-tiny"


def release_rows(golden: Path) -> list[dict[str, object]]:
    """One dict an architecture of release-tiny."""
    folder = golden / TINY
    rows: dict[str, dict[str, object]] = {}
    for stem in ("blox-info", "blox-base-3", "blox-ext-3", "blox-bench-desktop-cpu"):
        table = codecs.read(folder / f"{stem}.blox")
        for row in table.rows():
            rows.setdefault(row[0], {}).update(zip(table.header.columns, row, strict=True))
    return list(rows.values())


@pytest.mark.parametrize("by", ["test_top1", "val_top1", "test_top5"])
def test_top_orders_accuracies_from_the_highest(tiny_db: Database, golden: Path, by: str) -> None:
    rows = release_rows(golden)
    if by == "val_top1":
        rows = [{**row, by: max(row[by])} for row in rows]  # type: ignore[call-overload]
    expected = sorted((row[by] for row in rows), reverse=True)[:10]
    assert [row[by] for row in bloxdb.top(10, by=by)] == expected


@pytest.mark.parametrize("by", ["test_loss", "train_time_s", "flops", "params"])
def test_top_orders_costs_and_losses_from_the_lowest(tiny_db: Database, golden: Path, by: str) -> None:
    expected = sorted(row[by] for row in release_rows(golden))[:7]  # type: ignore[type-var]
    assert [row[by] for row in bloxdb.top(7, by=by)] == expected


@pytest.mark.parametrize("by", ["test_top5", "test_loss"])
def test_top_leaves_out_runs_without_the_measure(empty_db: Database, golden: Path, by: str) -> None:
    bloxdb.import_release(golden / TINY / "blox-base-3.blox", empty_db)
    assert bloxdb.top(10, by=by) == []
    bloxdb.import_release(golden / TINY / "blox-ext-3.blox", empty_db)
    assert len(bloxdb.top(100, by=by)) == 40


def test_top_keeps_to_all_limits(tiny_db: Database, golden: Path) -> None:
    rows = release_rows(golden)
    expected = {
        row["model_hash"]
        for row in rows
        if row["flops"] <= 240e6 and row["params"] <= 2.7e6 and row["latency"] <= 2.8  # type: ignore[operator]
    }
    found = bloxdb.top(100, max_flops=240e6, max_params=2.7e6, max_latency=("desktop-cpu", 2.8))
    assert {row["hash"] for row in found} == expected
    assert 0 < len(expected) < 40


def test_top_limits_are_inclusive(tiny_db: Database) -> None:
    cheapest = bloxdb.top(1, by="flops")[0]
    assert bloxdb.top(9, max_flops=cheapest["flops"]) == [cheapest]


def test_top_gives_the_columns_of_the_leaderboard_view(tiny_db: Database) -> None:
    (row,) = bloxdb.top(1)
    (same,) = tiny_db.rows("SELECT * FROM leaderboard ORDER BY test_top1 DESC, arch_id LIMIT 1")
    assert row == same


def test_questions_that_cannot_be_asked_list_the_choices(tiny_db: Database) -> None:
    with pytest.raises(bloxdb.QueryError, match="no measure 'speed'; choose one of: val_top1, test_top1"):
        bloxdb.top(by="speed")
    with pytest.raises(bloxdb.QueryError, match="no recipe 'x'; choose one of: cifar100-10"):
        bloxdb.top(recipe="x")
    with pytest.raises(bloxdb.QueryError, match="no device 'x'; choose one of: desktop-cpu, jetson-nano"):
        bloxdb.top(max_latency=("x", 1.0))
    with pytest.raises(bloxdb.QueryError, match="must not be negative"):
        bloxdb.top(-1)
    with pytest.raises(bloxdb.QueryError, match="no run with seed 99; choose of: 3"):
        bloxdb.top(seeds=99)


@pytest.mark.parametrize(
    ("x", "y"), [("flops", "test_top1"), ("params", "test_loss"), ("test_top1", "train_time_s")]
)
def test_no_run_beats_one_of_the_pareto_front(tiny_db: Database, golden: Path, x: str, y: str) -> None:
    rows = release_rows(golden)
    higher = {"test_top1"}

    def cost(row: dict[str, object], name: str) -> float:
        return -row[name] if name in higher else row[name]  # type: ignore[operator,return-value]

    def beaten(row: dict[str, object]) -> bool:
        return any(
            cost(o, x) <= cost(row, x)
            and cost(o, y) <= cost(row, y)
            and (cost(o, x), cost(o, y)) != (cost(row, x), cost(row, y))
            for o in rows
        )

    expected = {row["model_hash"] for row in rows if not beaten(row)}
    found = bloxdb.pareto(x, y)
    assert {row["hash"] for row in found} == expected
    assert [cost({x: row[x]}, x) for row in found if x in row] == sorted(
        cost({x: row[x]}, x) for row in found if x in row
    )
