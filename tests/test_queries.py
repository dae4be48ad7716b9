"""top and pareto against plain Python over the release's rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, codecs
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS
from bloxdb.db.schema import RUN_MEASURES
from bloxdb.db.statuses import STATUSES
from bloxdb.measures import COSTS
from tests.helpers import SEEDS

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
    with pytest.raises(bloxdb.QueryError, match="the number of results is 0 or more, not -1"):
        bloxdb.top(-1)
    with pytest.raises(bloxdb.QueryError, match="no run of recipe cifar100-10 with seed 99; choose of: 3"):
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


VALUES = "SELECT arch_id, seed, {} AS value FROM runs"


def set_runs(db: Database, **values: object) -> None:
    """Give columns of all runs one value, or an SQL expression of others."""
    with db.transaction() as session:
        session.execute(text(f"UPDATE runs SET {', '.join(f'{k} = {v}' for k, v in values.items())}"))


@pytest.mark.parametrize("by", RUN_MEASURES)
def test_top_orders_by_every_measure_the_better_way_and_never_shows_null(tiny_db: Database, by: str) -> None:
    if by not in COSTS:
        with tiny_db.transaction() as session:
            session.execute(text(f"UPDATE runs SET {by} = NULL WHERE arch_id % 3 = 0"))
    known = [row for row in tiny_db.rows(VALUES.format(by)) if row["value"] is not None]
    sign = -1 if RUN_MEASURES[by].higher_is_better else 1
    expected = sorted(known, key=lambda row: (sign * row["value"], row["arch_id"], row["seed"]))
    found = bloxdb.top(100, by=by)
    assert [(row["arch_id"], row[by]) for row in found] == [
        (row["arch_id"], row["value"]) for row in expected
    ]
    assert [row["arch_id"] for row in bloxdb.top(3, by=by)] == [row["arch_id"] for row in expected[:3]]
    assert len(found) == 40 if by in COSTS else 0 < len(found) < 40


@pytest.mark.parametrize("by", [name for name in RUN_MEASURES if name not in COSTS])
def test_runs_that_are_equal_come_in_the_order_of_architectures(tiny_db: Database, by: str) -> None:
    set_runs(tiny_db, **{by: 12})
    archs = [row["arch_id"] for row in tiny_db.rows("SELECT arch_id FROM runs ORDER BY arch_id")]
    assert [row["arch_id"] for row in bloxdb.top(100, by=by)] == archs
    assert bloxdb.top(0, by=by) == []


def test_seeds_of_one_architecture_that_are_equal_come_in_order(tiny_db: Database) -> None:
    copied = "arch_id, recipe_id, status, best_epoch, val_top1, test_top1, flops, params"
    with tiny_db.transaction() as session:
        session.execute(text(f"INSERT INTO runs ({copied}, seed) SELECT {copied}, 1 FROM runs"))
        session.execute(text("UPDATE runs SET test_top1 = 50"))
    found = [(row["arch_id"], row["seed"]) for row in bloxdb.top(100)]
    assert len(found) == 80
    assert found == sorted(found)
    best = bloxdb.top(1, by="val_top1")[0]
    front = bloxdb.pareto("test_top1", "val_top1")
    assert [(row["arch_id"], row["seed"]) for row in front] == [(best["arch_id"], 1)]


@pytest.mark.parametrize("limit", ["max_flops", "max_params"])
def test_top_passes_a_run_at_the_limit_and_none_above(tiny_db: Database, limit: str) -> None:
    name = limit.removeprefix("max_")
    values = sorted(row["value"] for row in tiny_db.rows(VALUES.format(name)))
    for at in (0, 17, 39):
        found = bloxdb.top(100, **{limit: values[at]})
        assert sorted(row[name] for row in found) == [value for value in values if value <= values[at]]
    assert bloxdb.top(100, **{limit: values[0] - 1}) == []
    assert bloxdb.top(100, **{limit: 0}) == []


def test_top_passes_a_latency_at_the_limit_on_the_device_that_is_named(tiny_db: Database) -> None:
    for device in ("desktop-cpu", "jetson-nano"):
        sql = "SELECT arch_id, latency_ms FROM latencies JOIN devices ON devices.id = device_id WHERE name = :name"
        known = {row["arch_id"]: row["latency_ms"] for row in tiny_db.rows(sql, name=device)}
        limit = sorted(known.values())[20]
        found = bloxdb.top(100, max_latency=(device, limit))
        assert {row["arch_id"] for row in found} == {arch for arch, ms in known.items() if ms <= limit}
        assert bloxdb.top(100, max_latency=(device, min(known.values()) - 1e-6)) == []


@pytest.mark.parametrize("by", RUN_MEASURES)
def test_top_has_a_column_more_only_for_a_measure_that_the_leaderboard_lacks(
    tiny_db: Database, by: str
) -> None:
    (row,) = bloxdb.top(1, by=by)
    extra = [] if by in LEADERBOARD_COLUMNS else [by]
    assert list(row) == [*LEADERBOARD_COLUMNS, *extra]


@pytest.mark.parametrize(
    ("x", "y"),
    [(x, y) for x in RUN_MEASURES for y in RUN_MEASURES if x < y or (x, y) == ("test_loss", "flops")],
)
def test_the_front_of_any_two_measures_is_that_of_plain_python(tiny_db: Database, x: str, y: str) -> None:
    with tiny_db.transaction() as session:
        session.execute(text("UPDATE runs SET test_loss = NULL, test_top5 = NULL WHERE arch_id % 4 = 0"))
        session.execute(
            text("UPDATE runs SET train_time_s = train_time_s / 1000 * 1000")
        )  # so that some are equal
    signs = [-1 if RUN_MEASURES[name].higher_is_better else 1 for name in (x, y)]
    rows = tiny_db.rows(f"SELECT arch_id, {x} AS x, {y} AS y FROM runs")
    known = [row for row in rows if None not in (row["x"], row["y"])]
    expected, best = [], float("inf")
    for row in sorted(known, key=lambda row: (signs[0] * row["x"], signs[1] * row["y"], row["arch_id"])):
        if signs[1] * row["y"] < best:
            best = signs[1] * row["y"]
            expected.append((row["arch_id"], row["x"], row["y"]))
    found = bloxdb.pareto(x, y)
    assert [(row["arch_id"], row[x], row[y]) for row in found] == expected
    extra = [name for name in (x, y) if name not in LEADERBOARD_COLUMNS]
    assert list(found[0]) == [*LEADERBOARD_COLUMNS, *extra]


def test_runs_that_are_not_finished_are_in_no_answer(tiny_db: Database) -> None:
    best = bloxdb.top(1)[0]["arch_id"]
    for status in [status for status in STATUSES if status != "finished"]:
        with tiny_db.transaction() as session:
            session.execute(
                text("UPDATE runs SET status = :status WHERE arch_id = :arch"),
                {"status": status, "arch": best},
            )
        assert best not in [row["arch_id"] for row in bloxdb.top(100)]
        assert best not in [row["arch_id"] for row in bloxdb.pareto()]


@pytest.fixture
def mixed_db(tiny_db: Database, golden: Path) -> Database:
    """Two recipes, one of them with two seeds."""
    bloxdb.import_release(sorted((golden / "release-small").glob("blox-base-*.blox")), tiny_db)
    return tiny_db


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_can_be_written_in_many_ways(mixed_db: Database, spelling: Callable[[int], Any]) -> None:
    found = bloxdb.top(1000, mixed_db, recipe="*", seeds=spelling(1))
    assert {(row["recipe"], row["seed"]) for row in found} == {("cifar100-200", 1)}
    assert len(found) == 60
    front = bloxdb.pareto(db=mixed_db, recipe="cifar100-200", seeds=spelling(1))
    assert {row["seed"] for row in front} == {1}
    assert front == bloxdb.pareto(db=mixed_db, recipe="*", seeds=1)


def test_recipes_and_several_seeds_are_kept_apart(mixed_db: Database) -> None:
    assert len(bloxdb.top(1000, mixed_db, recipe="*")) == 40 + 120
    assert len(bloxdb.top(1000, mixed_db, recipe="*", seeds=[1, 3])) == 60 + 40
    for ask in (
        lambda **more: bloxdb.top(1000, mixed_db, **more),
        lambda **more: bloxdb.pareto(db=mixed_db, **more),
    ):
        assert {row["recipe"] for row in ask(recipe="cifar100-10")} == {"cifar100-10"}
        assert {row["seed"] for row in ask(recipe="cifar100-200", seeds=[0])} == {0}
        with pytest.raises(bloxdb.QueryError, match="no run of recipe cifar100-10 with seed 1; choose of: 3"):
            ask(recipe="cifar100-10", seeds=1)


@pytest.mark.parametrize("seeds", [None, 0, "mean", "median"])
def test_runs_of_several_recipes_are_not_ranked_together_by_chance(mixed_db: Database, seeds: Any) -> None:
    for ask in (bloxdb.top, lambda **more: bloxdb.pareto(**more)):
        with pytest.raises(
            bloxdb.QueryError, match="several recipes, name one of: cifar100-10, cifar100-200"
        ):
            ask(seeds=seeds)


def test_latencies_are_measures_like_others(tiny_db: Database) -> None:
    plain = tiny_db.rows(
        "SELECT arch_id, latency_ms FROM latencies JOIN devices ON devices.id = device_id "
        "WHERE name = 'jetson-nano' ORDER BY latency_ms, arch_id"
    )
    name = "latency:jetson-nano"
    for rows in (bloxdb.top(100, by=name), bloxdb.top(100, by=name, seeds="mean")):
        assert [(row["arch_id"], row[name]) for row in rows] == [tuple(row.values()) for row in plain]
    front = bloxdb.pareto(name, "test_top1")
    assert [row[name] for row in front] == sorted(row[name] for row in front)
    assert [row["test_top1"] for row in front] == sorted(row["test_top1"] for row in front)
    limited = bloxdb.top(100, max_latency=("jetson-nano", plain[9]["latency_ms"]))
    assert {row["arch_id"]: row[name] for row in limited} == {
        row["arch_id"]: row["latency_ms"] for row in plain[:10]
    }
    with pytest.raises(bloxdb.QueryError, match="no device 'phone'; choose one of: desktop-cpu, jetson-nano"):
        bloxdb.top(by="latency:phone")
    with pytest.raises(bloxdb.QueryError, match="choose one of: .*latency:DEVICE"):
        bloxdb.pareto("latence:phone")


@pytest.mark.parametrize("few", [0, 3, 1000])
def test_beginning_with_the_few_that_a_limit_leaves_changes_no_answer(
    seeds_db: Database, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    flops = sorted(row["flops"] for row in bloxdb.top(1000, by="flops"))
    limits: list[dict[str, Any]] = [
        *({"max_flops": flops[at]} for at in (0, 1, 2, 3, 30)),
        {"max_latency": ("desktop-cpu", 2.5)},
        {"max_latency": ("desktop-cpu", 2.5), "max_flops": flops[40], "max_params": 2.5e6},
    ]
    before = [bloxdb.top(7, by=by, **limit) for limit in limits for by in ("test_top1", "test_loss", "flops")]
    for name in ("_FEW_RUNS", "_FEW_ARCHS"):
        monkeypatch.setattr(f"bloxdb.selection.{name}", few)
    assert before == [
        bloxdb.top(7, by=by, **limit) for limit in limits for by in ("test_top1", "test_loss", "flops")
    ]


def test_ten_runs_are_shown_where_nothing_is_said(tiny_db: Database) -> None:
    assert len(bloxdb.top()) == 10


@pytest.mark.parametrize(
    "wrong", ["desktop-cpu", ("desktop-cpu",), ("desktop-cpu", 1.0, 2.0), 5, 2.5, {}, (5, 1.0), np.arange(2)]
)
def test_a_limit_of_latency_is_a_device_and_milliseconds(tiny_db: Database, wrong: Any) -> None:
    with pytest.raises(bloxdb.QueryError, match="max_latency is a device's name and milliseconds, not "):
        bloxdb.top(max_latency=wrong)


@pytest.mark.usefixtures("tiny_db")
def test_a_latency_is_of_a_device() -> None:
    with pytest.raises(
        bloxdb.QueryError, match="there is no measure 'latency'; choose one of: .*latency:DEVICE"
    ):
        bloxdb.top(1, by="latency")


def test_a_value_of_a_query_may_have_any_name(tiny_db: Database) -> None:
    assert tiny_db.rows("SELECT :sql AS a, :self AS b", sql=1, self=2) == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("wrong", [3, None, 2.5, np.array("abc"), b"flops", ["flops"]], ids=str)
def test_a_measure_is_named_by_a_text(tiny_db: Database, wrong: Any) -> None:
    for ask in (lambda: bloxdb.top(1, tiny_db, by=wrong), lambda: bloxdb.pareto(wrong, db=tiny_db)):
        with pytest.raises(bloxdb.QueryError, match="there is no measure .*; choose one of: "):
            ask()


@pytest.mark.parametrize("wrong", [5, None, b"SELECT 1", text("SELECT 1")], ids=str)
def test_a_query_is_a_text(tiny_db: Database, wrong: Any) -> None:
    with pytest.raises(bloxdb.DatabaseError, match="a query is text that begins with SELECT, not "):
        tiny_db.rows(wrong)


@pytest.mark.parametrize("most", [2**63, 2**70, 10**300, np.uint64(2**64 - 1), 1e308])
def test_a_limit_may_be_above_all(tiny_db: Database, most: Any) -> None:
    whole = bloxdb.top(100, tiny_db)
    assert bloxdb.top(100, tiny_db, max_flops=most, max_params=most) == whole
    assert len(bloxdb.top(100, tiny_db, max_latency=("desktop-cpu", most))) == len(whole)


@pytest.mark.parametrize(("x", "y"), [("flops", "test_top1"), ("test_loss", "val_top1"), ("params", "flops")])
def test_of_equal_runs_on_the_front_the_first_stands_there(seeds_db: Database, x: str, y: str) -> None:
    coarse = ", ".join(f"{name} = round({name} / 8) * 8" for name in {x, y} - set(COSTS))
    with seeds_db.transaction() as session:
        if coarse:
            session.execute(text(f"UPDATE runs SET {coarse}"))
        session.execute(
            text(f"UPDATE runs SET {y} = NULL WHERE arch_id % 7 = 3" if y not in COSTS else "SELECT 1")
        )
    rows = seeds_db.rows("SELECT * FROM runs WHERE status = 'finished' ORDER BY arch_id, recipe_id, seed")
    sign = -1 if RUN_MEASURES[y].higher_is_better else 1
    known = [row for row in rows if row[x] is not None and row[y] is not None]
    front = []
    for row in sorted(known, key=lambda row: (row[x], sign * row[y])):  # stable: ties stay in order
        if not front or sign * row[y] < sign * front[-1][y]:
            front.append(row)
    found = bloxdb.pareto(x, y, seeds_db)
    assert [(row["arch_id"], row["seed"]) for row in found] == [
        (row["arch_id"], row["seed"]) for row in front
    ]
