"""What figures take: axes, choices of runs, numbers of any type; and what they say of whatever else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from bloxdb import Database, plot
from bloxdb.errors import MissingExtraError, QueryError
from bloxdb.measures import EPOCH, LATENCY, RUN
from bloxdb.plot.axes import label


def of_axes(count: int) -> Any:
    axes = Figure().subplots(1, count)
    return axes if count == 1 else list(axes)


FIGURES: dict[str, tuple[int, Callable[..., Any]]] = {
    "costs": (2, lambda db, **more: plot.costs(db=db, **more)),
    "curves": (
        1,
        lambda db, **more: plot.curves(
            [db.rows("SELECT arch_id FROM runs WHERE id = 1")[0]["arch_id"]], db=db, **more
        ),
    ),
    "agreement": (1, lambda db, **more: plot.agreement(db=db, **more)),
    "blocks": (4, lambda db, **more: plot.blocks(db=db, **more)),
    "spread": (2, lambda db, **more: plot.spread(db=db, **more)),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_axes_of_ones_own_are_drawn_into(figure: str, drawn: Database) -> None:
    count, ask = FIGURES[figure]
    before = pyplot.get_fignums()
    settings = dict(pyplot.rcParams)
    axes = of_axes(count)
    given = ask(drawn, ax=axes)
    assert given is axes or list(given) == axes
    assert pyplot.get_fignums() == before  # no figure besides
    assert dict(pyplot.rcParams) == settings
    new = ask(drawn)
    assert pyplot.get_fignums() != before
    assert all(ax.get_xlabel() or ax.get_ylabel() for ax in (new if count > 1 else [new]))


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("wrong", [5, "text", lambda: of_axes(3), lambda: of_axes(5)])
def test_other_axes_are_refused(figure: str, wrong: Any, drawn: Database) -> None:
    ask = FIGURES[figure][1]
    with pytest.raises(QueryError, match="ax is (one Axes|2 Axes|4 Axes) of matplotlib"):
        ask(drawn, ax=wrong() if callable(wrong) else wrong)


@pytest.mark.parametrize("figure", FIGURES)
def test_what_is_missing_is_named(figure: str, drawn: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"this needs matplotlib: pip install 'bloxdb\[plot\]'"):
        FIGURES[figure][1](drawn)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(("options", "told"), [
    ({"seeds": 7}, "there is no run.* with seed 7"),
    ({"recipe": "other"}, "there is no recipe 'other'"),
    ({"seeds": "best"}, "a seed is an integer"),
])  # fmt: skip
def test_what_there_is_not_is_told(figure: str, options: Any, told: str, drawn: Database) -> None:
    with pytest.raises(QueryError, match=told):
        FIGURES[figure][1](drawn, **options)


@pytest.mark.parametrize("figure", FIGURES)
def test_an_empty_database_is_told(figure: str, empty_db: Database) -> None:
    with pytest.raises(QueryError):
        (plot.curves([5], db=empty_db) if figure == "curves" else FIGURES[figure][1](empty_db))


@pytest.mark.parametrize("figure", ["costs", "agreement", "blocks", "spread"])
@pytest.mark.parametrize("option", ["max_flops", "max_params", "max_latency"])
def test_a_limit_is_any_number_and_nothing_else(figure: str, option: str, drawn: Database) -> None:
    ask = FIGURES[figure][1]

    def limited(value: Any) -> None:
        ask(drawn, **{option: ("desktop-cpu", value) if option == "max_latency" else value})

    for kind in (np.float32, np.array):
        limited(kind(5e8))
    for wrong in ("5e8", True, float("nan"), None if option == "max_latency" else [1]):
        with pytest.raises(QueryError, match="is a (finite )?number"):
            limited(wrong)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("kind", [np.uint8, lambda seed: np.array([seed])])
def test_a_seed_is_any_integer(figure: str, kind: Callable[[int], Any], drawn: Database) -> None:
    FIGURES[figure][1](drawn, seeds=kind(0))
    for wrong in (True, 0.5, "0"):
        with pytest.raises(QueryError, match="a seed is"):
            FIGURES[figure][1](drawn, seeds=wrong)


@pytest.mark.parametrize("share", [0, -1, 1.5, "1", True, float("nan")])
def test_a_share_is_between_0_and_1(share: Any, drawn: Database) -> None:
    with pytest.raises(QueryError, match="the share of the best is"):
        plot.agreement(db=drawn, share=share)


@pytest.mark.parametrize("ask", [
    lambda db: plot.curves([1], "test_top1", db), lambda db: plot.agreement("accuracy", db=db),
    lambda db: plot.agreement(target="val_top5", db=db), lambda db: plot.blocks("val_top5", db),
    lambda db: plot.spread("nothing", db), lambda db: plot.costs("flop", db=db), lambda db: plot.costs(y="x", db=db),
])  # fmt: skip
def test_a_measure_that_there_is_not_is_told(ask: Callable[[Database], Any], drawn: Database) -> None:
    with pytest.raises(QueryError, match="there is no measure"):
        ask(drawn)


def test_costs_against_nothing_is_told(drawn: Database) -> None:
    with pytest.raises(QueryError, match="x names no measure"):
        plot.costs([], db=drawn)
    with pytest.raises(QueryError, match="there is no device 'phone'"):
        plot.costs("latency:phone", db=drawn)


@pytest.mark.parametrize(("name", "measure", "expected"), [
    ("test_top1", RUN["test_top1"], "test accuracy (%)"),
    ("val_top5", EPOCH["val_top5"], "validation top-5 accuracy (%)"),
    ("train_loss", EPOCH["train_loss"], "training loss (nats)"),
    ("train_time_s", RUN["train_time_s"], "training time (s)"),
    ("latency:a:b", LATENCY, "latency on a:b (ms)"),
])  # fmt: skip
def test_labels_have_units(name: str, measure: Any, expected: str) -> None:
    assert label(name, measure) == expected


@pytest.mark.parametrize("path", ["a.gif", "a", "a.jpeg"])
def test_another_ending_is_told(path: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"a figure is written as one of \.pdf, \.svg, \.png"):
        plot.save(of_axes(1), tmp_path / path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_a_figure_is_written_as_its_name_says(ending: str, tmp_path: Path) -> None:
    data = plot.save(of_axes(1), tmp_path / f"a.{ending}").read_bytes()
    array = Figure().subplots(2, 2)
    assert plot.save(array, tmp_path / f"b.{ending}").is_file()
    assert data.startswith({"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[ending])


@pytest.mark.parametrize("figure", ["curves", "agreement"])
def test_what_was_in_axes_stays_out_of_the_key(figure: str, drawn: Database) -> None:
    fresh, ax = FIGURES[figure][1](drawn), of_axes(1)
    ax.plot([1, 2], [3, 4], label="mine")
    keys = [
        [part.get_text() for part in one.get_legend().get_texts()]
        for one in (fresh, FIGURES[figure][1](drawn, ax=ax))
    ]
    assert keys[0] == keys[1]
