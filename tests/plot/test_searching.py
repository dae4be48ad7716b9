"""Searches over time, against a definition that looks at each time by itself."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from bloxdb import BudgetExhausted, Database, Problem, plot
from bloxdb.errors import QueryError
from bloxdb.problem import Point


def point(seconds: float, regret: float) -> Point:
    return Point(seconds, 0, 1, 0.0, 0.0, 70 - regret, regret)


STEPS = {
    "a": [
        [point(3600, 5), point(7200, 3), point(36000, 1)],
        [point(7200, 8), point(10800, 2)],
        [point(1800, 4)],
    ],
    "b": [[point(3600, 6), point(9000, 0.5)]],
}


def found_at(trajectory: list[Point], hours: float, what: str) -> float:
    return float([getattr(one, what) for one in trajectory if one.seconds <= hours * 3600][-1])


@pytest.mark.parametrize("what", ["regret", "test_top1"])
def test_lines_are_medians_and_bands_the_middle_half(what: str) -> None:
    ax = plot.search(STEPS)[what == "test_top1"]
    line, single = ax.get_lines()
    assert (line.get_label(), single.get_label()) == ("a (3 repetitions)", "b")
    assert line.get_xdata().tolist() == [2, 3, 10]  # from where all have something, at each change
    band = ax.collections[0].get_paths()[0].vertices
    for hours, value in line.get_xydata().tolist():
        each = [found_at(trajectory, hours, what) for trajectory in STEPS["a"]]
        assert value == pytest.approx(np.median(each))
        assert set(np.percentile(each, (25, 75)).round(9)) <= set(band[:, 1].round(9))
    assert single.get_ydata().tolist() == [getattr(one, what) for one in STEPS["b"][0]]
    assert ax.get_xscale() == "log"


def test_regret_has_a_logarithmic_axis_that_shows_none() -> None:
    assert plot.search(STEPS)[0].get_yscale() == "log"
    with_none = plot.search({"c": [point(60, 2), point(120, 0)]})[0]
    assert with_none.get_yscale() == "symlog"
    assert with_none.get_lines()[0].get_ydata().tolist() == [2, 0]


def test_regret_that_is_not_known_is_not_drawn() -> None:
    ax = plot.search({"c": [point(60, 2), point(120, float("nan"))]})[0]
    assert ax.get_yscale() == "log"
    assert np.isnan(ax.get_lines()[0].get_ydata()).tolist() == [False, True]


def test_problems_that_were_searched_are_taken(tiny_db: Database) -> None:
    problems = []
    for seed in range(3):
        problem = Problem(tiny_db, budget_seconds=50_000)
        known = [row["arch_id"] for row in tiny_db.rows("SELECT arch_id FROM runs")]
        draw = random.Random(seed)
        try:
            while True:
                problem(draw.choice(known))
        except BudgetExhausted:
            problems.append(problem)
    of_problems = plot.search({"random": problems})[0].get_lines()[0].get_xydata()
    of_trajectories = (
        plot.search({"random": [one.trajectory for one in problems]})[0].get_lines()[0].get_xydata()
    )
    assert of_problems.tolist() == of_trajectories.tolist()
    assert len(plot.search({"one": problems[0]})[0].get_lines()[0].get_xdata()) == len(problems[0].trajectory)


def test_many_times_are_thinned_out() -> None:
    draw = np.random.default_rng(0)
    repetitions = [
        [point(float(at), 1 / (1 + at)) for at in np.cumsum(draw.uniform(1, 9, 900))] for _ in range(3)
    ]
    line = plot.search({"a": repetitions})[0].get_lines()[0]
    assert len(line.get_xdata()) == 400
    last = line.get_ydata()[-1]
    assert last == np.median([one[-1].regret for one in repetitions])


@pytest.mark.parametrize(
    "wrong", [{}, None, [[point(1, 1)]], {"a": []}, {"a": [[]]}, {"a": [[1, 2]]}, {"a": 5}, {"a": "abc"}]
)
def test_what_is_no_search_is_told(wrong: Any) -> None:
    with pytest.raises(QueryError, match=r"trajectories is a dict|the search 'a' has"):
        plot.search(wrong)


def test_a_search_that_found_nothing_is_told(tiny_db: Database) -> None:
    with pytest.raises(QueryError, match="the search 'nothing' has a repetition without evaluations"):
        plot.search({"nothing": Problem(tiny_db)})
