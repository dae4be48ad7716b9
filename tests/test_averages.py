"""Averages over the seeds of an architecture: what top, pareto, tables and searches make of them."""

from __future__ import annotations

import statistics
from fractions import Fraction
from typing import Any

import pytest

import bloxdb
from bloxdb import Database, space
from bloxdb.db.schema import RUN_MEASURES

AVERAGES = {"mean": statistics.fmean, "median": statistics.median}


def averaged(db: Database, how: str, *names: str) -> dict[int, dict[str, Any]]:
    """What plain Python makes of the runs of each architecture."""
    found: dict[int, dict[str, Any]] = {}
    runs = db.rows("SELECT * FROM runs WHERE status = 'finished'")
    for index in {run["arch_id"] for run in runs}:
        mine = [run for run in runs if run["arch_id"] == index]
        row: dict[str, Any] = {}
        for name in names:
            values = [run[name] for run in mine if run[name] is not None]
            row[name] = AVERAGES[how](values) if values else None
            row[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
            row[f"{name} seeds"] = len(values)
        found[index] = row
    return found


@pytest.mark.parametrize("how", AVERAGES)
@pytest.mark.parametrize("by", ["test_top1", "test_top5", "test_loss", "train_time_s"])
def test_averages_are_those_of_plain_python(seeds_db: Database, how: str, by: str) -> None:
    expected = {k: row for k, row in averaged(seeds_db, how, by).items() if row[by] is not None}
    rows = bloxdb.top(1000, seeds=how, by=by)
    assert {row["arch_id"] for row in rows} == set(expected)
    assert len(rows) == len(expected)
    for row in rows:
        plain = expected[row["arch_id"]]
        assert row[by] == pytest.approx(plain[by], rel=1e-14)
        assert row["seeds"] == plain[f"{by} seeds"]
        assert row[f"{by}_std"] == (
            None if row["seeds"] == 1 else pytest.approx(plain[f"{by}_std"], rel=1e-9)
        )
        assert row["flops"] == space.arch_cost(row["arch_id"]).flops
        assert row["vec"] == space.vec_text(space.canonical(row["hash"]))
    values = [row[by] for row in rows]
    assert values == sorted(values, reverse=RUN_MEASURES[by].higher_is_better)
    assert {row["seeds"] for row in rows} == {1, 2}


@pytest.mark.parametrize("how", AVERAGES)
@pytest.mark.parametrize("by", ["test_top1", "test_top5", "test_loss", "train_time_s"])
def test_averages_are_the_nearest_floats_wherever_they_are_asked_for(
    seeds_db: Database, how: str, by: str
) -> None:
    exact = {"mean": lambda own: sum(own) / len(own), "median": statistics.median}[how]
    runs: dict[int, list[Fraction]] = {}
    for run in seeds_db.rows(f"SELECT arch_id, {by} AS value FROM runs WHERE {by} IS NOT NULL"):
        runs.setdefault(run["arch_id"], []).append(Fraction(str(run["value"])))
    expected = {index: float(exact(own)) for index, own in runs.items()}
    assert {row["arch_id"]: row[by] for row in bloxdb.top(1000, seeds=how, by=by)} == expected
    table = bloxdb.from_database(seeds_db).table(columns=[by], seed=how)
    found = dict(zip(table["arch_id"].tolist(), table[by].tolist(), strict=True))
    assert {index: value for index, value in found.items() if value == value} == expected
    frame = bloxdb.to_pandas("leaderboard", seeds=how)
    if by in frame:
        assert dict(zip(frame["arch_id"], frame[by], strict=True)).items() >= expected.items()


def test_an_average_of_one_seed_is_its_value(tiny_db: Database) -> None:
    for how in AVERAGES:
        for row, run in zip(bloxdb.top(40, seeds=how), bloxdb.top(40), strict=True):
            assert {name: row[name] for name in run if name != "seed"} == {
                name: value for name, value in run.items() if name != "seed"
            }
            assert (row["seeds"], row["test_top1_std"]) == (1, None)


@pytest.mark.parametrize("how", AVERAGES)
def test_averages_keep_to_limits_and_show_latencies_that_limit(seeds_db: Database, how: str) -> None:
    everything = {row["arch_id"]: row for row in bloxdb.top(1000, seeds=how)}
    some = sorted(row["flops"] for row in everything.values())[20]
    rows = bloxdb.top(1000, seeds=how, max_flops=some, max_latency=("desktop-cpu", 3.0))
    assert 0 < len(rows) <= 21
    for row in rows:
        latency = row.pop("latency:desktop-cpu")
        assert latency == bloxdb.from_database(seeds_db).latency(row["arch_id"], "desktop-cpu") <= 3.0
        assert row == everything[row["arch_id"]]


@pytest.mark.parametrize("how", AVERAGES)
@pytest.mark.parametrize(
    ("x", "y"), [("flops", "test_top1"), ("train_time_s", "test_loss"), ("test_top1", "params")]
)
def test_no_average_beats_one_of_the_front(seeds_db: Database, how: str, x: str, y: str) -> None:
    def better(name: str, row: dict[str, Any]) -> float:
        return row[name] if RUN_MEASURES[name].higher_is_better else -row[name]

    points = bloxdb.top(1000, seeds=how, by=x)
    others = {row["arch_id"]: row for row in bloxdb.top(1000, seeds=how, by=y)}
    both = [{**row, y: others[row["arch_id"]][y]} for row in points if row["arch_id"] in others]
    front = {row["arch_id"] for row in bloxdb.pareto(x, y, seeds=how)}
    for row in both:
        beaten = any(
            better(x, other) >= better(x, row)
            and better(y, other) >= better(y, row)
            and (better(x, other) > better(x, row) or better(y, other) > better(y, row))
            for other in both
        )
        assert (row["arch_id"] in front) is not beaten


@pytest.mark.parametrize("wrong", ["max", "", "0"])
def test_other_averages_are_refused(tiny_db: Database, wrong: str) -> None:
    sentence = f"a seed is an integer, not '{wrong}'; averages over seeds are 'mean' and 'median', which "
    with pytest.raises(bloxdb.QueryError, match=sentence):
        bloxdb.top(seeds=wrong)


@pytest.mark.parametrize("how", AVERAGES)
def test_the_seeds_of_an_average_are_those_that_have_all_that_was_asked_for(
    seeds_db: Database, how: str
) -> None:
    for name in ("test_top5", "test_loss"):
        truth = averaged(seeds_db, how, name)
        for x, y in (("flops", name), (name, "flops")):
            rows = bloxdb.pareto(x, y, seeds=how)
            assert rows
            assert [row["seeds"] for row in rows] == [truth[row["arch_id"]][f"{name} seeds"] for row in rows]


def test_everybody_averages_to_the_same_digits(seeds_db: Database) -> None:
    for how in AVERAGES:
        table = bloxdb.from_database(seeds_db).table(columns=["test_top1"], seed=how)
        by_id = dict(zip(table["arch_id"].tolist(), table["test_top1"].tolist(), strict=True))
        rows = bloxdb.top(100, seeds=how)
        assert {row["arch_id"]: row["test_top1"] for row in rows} == by_id
        search = bloxdb.Problem(seeds_db, seeds=how)
        for row in rows:
            search(row["arch_id"])
        tests = {point.arch_id: point.test_top1 for point in search.trajectory}
        best = search.best_vec
        assert tests[bloxdb.space.arch_index(best)] == by_id[bloxdb.space.arch_index(best)]
        assert search.best is not None
        assert search.best.regret == rows[0]["test_top1"] - search.best.test_top1
