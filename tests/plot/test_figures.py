"""What the artists of figures show, compared with SQL."""

from __future__ import annotations

import itertools
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sqlalchemy import text

import bloxdb
from bloxdb import Database, plot, space
from bloxdb.errors import InvalidArchError, QueryError
from bloxdb.measures import EPOCH, RUN
from bloxdb.plot.axes import label
from bloxdb.plot.stages import _ORDER

CHOICES: dict[str, tuple[dict[str, Any], str]] = {
    "all": ({}, "1"),
    "a seed": ({"seeds": 1}, "seed = 1"),
    "two seeds": ({"seeds": [0, 1]}, "seed IN (0, 1)"),
    "cheap": ({"max_flops": 240e6}, "flops <= 240e6"),
    "small": ({"max_params": 2.8e6, "recipe": "*"}, "params <= 2.8e6"),
    "fast": (
        {"max_latency": ("desktop-cpu", 3.0)},
        "arch_id IN (SELECT arch_id FROM latencies JOIN devices ON id = device_id "
        "WHERE name = 'desktop-cpu' AND latency_ms <= 3)",
    ),
}  # fmt: skip


def runs(db: Database, columns: str, where: str, seeds: object = None) -> list[tuple[float, ...]]:
    """Columns of runs, sorted; or means of architectures."""
    table = "SELECT r.*, (SELECT latency_ms FROM latencies l JOIN devices d ON d.id = device_id WHERE l.arch_id = r.arch_id AND d.name = 'desktop-cpu') AS latency FROM runs r"
    if seeds == "mean":
        columns = ", ".join(f"avg({name.strip()}) AS {name.strip()}" for name in columns.split(","))
        where = f"{where} GROUP BY arch_id"
    rows = db.rows(f"SELECT {columns} FROM ({table}) WHERE {where}")
    return sorted(tuple(row.values()) for row in rows if None not in row.values())


def by_label(ax: Any, name: str) -> Any:
    (found,) = [one for one in (*ax.collections, *ax.lines, *ax.patches) if one.get_label() == name]
    return found


@pytest.mark.parametrize("choice", CHOICES)
def test_costs_has_all_runs(choice: str, drawn: Database) -> None:
    options, where = CHOICES[choice]
    axes = plot.costs("latency:desktop-cpu", db=drawn, **options)
    for ax, x in zip(axes, ("flops", "params", "latency"), strict=True):
        shown = sorted(map(tuple, by_label(ax, "all runs").get_offsets().tolist()))
        assert shown == runs(drawn, f"{x}, test_top1", where)
        assert shown


@pytest.mark.parametrize("choice", CHOICES)
def test_fronts_are_those_of_pareto(choice: str, drawn: Database) -> None:
    options, where = CHOICES[choice]
    for ax, x in zip(plot.costs(db=drawn, **options), ("flops", "params"), strict=True):
        expected = slow_front(runs(drawn, f"{x}, test_top1", where))
        assert by_label(ax, "Pareto front").get_xydata().tolist() == expected
        if "seeds" in options or not options:
            rows = bloxdb.pareto(x=x, db=drawn, **options)
            assert [[row[x], row["test_top1"]] for row in rows] == expected
        same = runs(drawn, f"{x}, test_top1", f"{where} AND arch_id % 2071 = 0")
        assert sorted(map(tuple, by_label(ax, "the same block in each stage").get_offsets().tolist())) == same
        assert by_label(ax, "Pareto front of these").get_xydata().tolist() == slow_front(same)


def slow_front(points: list[tuple[float, ...]]) -> list[list[float]]:
    """Points that no other beats, lower x and higher y being better."""
    front: list[list[float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or y > front[-1][1]:
            front.append([x, y])
    return front


def test_the_same_block_is_so_in_each_stage(drawn: Database) -> None:
    same = drawn.rows(
        "SELECT count(*) AS n FROM archs WHERE block1_id = block2_id AND block2_id = block3_id AND id % 2071 = 0"
    )
    assert same[0]["n"] == space.NUM_BLOCKS
    assert (
        len(by_label(plot.costs(db=drawn)[0], "the same block in each stage").get_offsets())
        >= space.NUM_BLOCKS
    )


def test_points_are_architectures_where_means_are_asked_for(drawn: Database) -> None:
    shown = by_label(plot.costs("flops", db=drawn, seeds="mean")[0], "all architectures").get_offsets()
    expected = runs(drawn, "flops, test_top1", "1", "mean")
    assert np.array(sorted(map(tuple, shown.tolist()))) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    ("x", "y"), [("train_time_s", "val_top1"), ("val_top1", "test_loss"), ("test_top5", "test_top1")]
)
def test_any_measure_is_drawn_against_any(x: str, y: str, drawn: Database) -> None:
    (ax,) = plot.costs(x, y, drawn)
    assert sorted(map(tuple, by_label(ax, "all runs").get_offsets().tolist())) == runs(
        drawn, f"{x}, {y}", "1"
    )
    rows = bloxdb.pareto(x, y, drawn)
    assert by_label(ax, "Pareto front").get_xydata().tolist() == [[row[x], row[y]] for row in rows]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (label(x, RUN[x]), label(y, RUN[y]))


@pytest.mark.slow
def test_clouds_are_pixels_in_a_vector_figure(drawn: Database, tmp_path: Path) -> None:
    path = plot.save(plot.costs(db=drawn), tmp_path / "a.pdf")
    data = path.read_bytes()
    assert data.count(b"/Subtype /Image") >= 2
    assert b"/FontFile2" in data  # text stays text
    assert "test accuracy (%)" in plot.save(plot.costs(db=drawn), tmp_path / "a.svg").read_text()


def curve_of(db: Database, arch: int, measure: str) -> dict[int, list[float]]:
    found = defaultdict(list)
    sql = f"SELECT epoch, e.{measure} AS value FROM epochs e JOIN runs ON id = run_id WHERE arch_id = {arch} ORDER BY epoch, seed"
    is_lost = measure.startswith("val") and db.rows("SELECT first_epoch_is_best AS x FROM recipes")[0]["x"]
    for row in db.rows(sql):
        if not (is_lost and row["epoch"] == 1):
            found[row["epoch"]].append(row["value"])
    return found


@pytest.mark.parametrize("measure", EPOCH)
@pytest.mark.parametrize("seeds", [None, "median", 0])
def test_curves_are_means_with_a_band(measure: str, seeds: Any, drawn: Database) -> None:
    archs = [
        row["arch_id"]
        for row in drawn.rows(
            "SELECT arch_id FROM runs JOIN epochs ON id = run_id GROUP BY arch_id HAVING count(DISTINCT seed) = 2 LIMIT 3"
        )
    ]
    ax = plot.curves(archs, measure, drawn, seeds=seeds)
    how = "median" if seeds == "median" else "mean"
    for arch in archs:
        expected = curve_of(drawn, arch, measure)
        if seeds == 0:
            expected = {epoch: values[:1] for epoch, values in expected.items()}
        line = by_label(ax, f"{arch}, {how} of 2 seeds" if seeds != 0 else str(arch))
        assert line.get_xdata().tolist() == list(expected)
        middle = [getattr(np, how)(values) for values in expected.values()]
        assert line.get_ydata() == pytest.approx(middle)
        if seeds == 0:
            assert not ax.collections
            continue
        band = by_label(ax, f"band {arch}").get_paths()[0].vertices
        for epoch, values in expected.items():
            at = band[band[:, 0] == epoch, 1]
            assert (at.min(), at.max()) == (min(values), max(values))
    assert ax.get_ylabel() == label(measure, EPOCH[measure])


def test_a_curve_of_nobody_is_told(drawn: Database) -> None:
    with pytest.raises(QueryError, match="there is no finished run of architecture 2071 with val_top1"):
        plot.curves([2071], db=drawn)  # a run without epochs
    with pytest.raises(InvalidArchError, match="several architectures are wanted"):
        plot.curves(5, db=drawn)  # type: ignore[arg-type]


def early_and_final(db: Database, seed: int, epoch: int, where: str) -> tuple[list[float], list[float]]:
    rows = db.rows(
        f"SELECT e.val_top1 AS early, r.test_top1 AS final FROM runs r JOIN epochs e ON r.id = run_id "
        f"WHERE epoch = {epoch} AND seed = {seed} AND {where} ORDER BY arch_id"
    )
    return [row["early"] for row in rows], [row["final"] for row in rows]


@pytest.mark.parametrize("choice", ["all", "a seed", "cheap", "fast"])
def test_agreement_is_that_of_scipy_over_seeds(choice: str, drawn: Database) -> None:
    options, where = CHOICES[choice]
    ax = plot.agreement(db=drawn, share=0.1, **options)
    seeds = [1] if choice == "a seed" else [0, 1]
    for title, way in (("Spearman's ρ", stats.spearmanr), ("Kendall's τ", stats.kendalltau)):
        line = by_label(ax, title)
        for epoch, value in line.get_xydata().tolist():
            each = [way(*early_and_final(drawn, seed, int(epoch), where)).statistic for seed in seeds]
            assert value == pytest.approx(np.mean(each))
            if len(seeds) == 2:
                band = by_label(ax, f"band {title}").get_paths()[0].vertices
                at = band[band[:, 0] == epoch, 1]
                assert (at.min(), at.max()) == pytest.approx((min(each), max(each)))
    assert line.get_xdata().tolist() == np.unique(np.geomspace(1, 200, 30).round()).tolist()
    assert 0 <= by_label(ax, "best 10 % in common").get_ydata().min() <= 1


def test_seeds_are_compared_with_each_other(drawn: Database) -> None:
    ax = plot.agreement(db=drawn)
    rows = drawn.rows(
        "SELECT a.test_top1 AS a, b.test_top1 AS b FROM runs a JOIN runs b USING (arch_id) WHERE a.seed = 0 AND b.seed = 1"
    )
    a, b = zip(*(row.values() for row in rows), strict=True)
    for title, way in (("Spearman's ρ", stats.spearmanr), ("Kendall's τ", stats.kendalltau)):
        assert by_label(ax, f"between seeds, {title}").get_ydata()[0] == pytest.approx(way(a, b).statistic)


def test_a_seed_of_one_architecture_ranks_nothing(drawn_file: Path, tmp_path: Path) -> None:
    with bloxdb.open(shutil.copy(drawn_file, tmp_path / "a.db")) as db:
        alone = by_label(plot.agreement(db=db, seeds=0), "Spearman's ρ").get_xydata()
        with db.transaction() as session:
            session.execute(text("DELETE FROM epochs WHERE run_id IN (SELECT id FROM runs WHERE seed = 1)"))
            session.execute(
                text(
                    "DELETE FROM runs WHERE seed = 1 AND arch_id > (SELECT min(arch_id) FROM runs WHERE seed = 1)"
                )
            )
        ax = plot.agreement(db=db)
    assert by_label(ax, "Spearman's ρ").get_xydata().tolist() == alone.tolist()
    assert np.isnan(by_label(ax, "between seeds, Spearman's ρ").get_ydata()).all()


def test_nothing_to_draw_is_told(drawn: Database) -> None:
    with pytest.raises(QueryError, match="archs names no architecture"):
        plot.curves([], db=drawn)
    with pytest.raises(QueryError, match="epochs names no epoch"):
        plot.agreement(db=drawn, epochs=[])


def test_a_loss_ranks_the_other_way(drawn: Database) -> None:
    ranked = by_label(plot.agreement("val_loss", db=drawn, seeds=0), "Spearman's ρ").get_ydata()
    other = by_label(plot.agreement("val_top1", db=drawn, seeds=0), "Spearman's ρ").get_ydata()
    assert ranked[-1] > 0 < other[-1]


@pytest.mark.parametrize("epochs", [3, [2, 5], np.array([2, 5])])
def test_epochs_are_those_that_are_asked_for(epochs: Any, drawn: Database) -> None:
    line = by_label(plot.agreement(db=drawn, epochs=epochs), "Spearman's ρ")
    assert line.get_xdata().tolist() == np.atleast_1d(epochs).tolist()


@pytest.mark.parametrize(
    ("choice", "seeds"),
    [
        (choice, seeds)
        for choice, (options, _) in CHOICES.items()
        for seeds in (None, "mean")
        if not (seeds and "seeds" in options)
    ],
)
def test_effects_are_differences_of_means(choice: str, seeds: str | None, drawn: Database) -> None:
    options, where = CHOICES[choice]
    axes = plot.blocks(db=drawn, **{**options, "seeds": seeds or options.get("seeds")})
    average = (
        "SELECT arch_id, avg(test_top1) AS y FROM runs WHERE {} GROUP BY arch_id"
        if seeds
        else "SELECT arch_id, test_top1 AS y FROM runs WHERE {}"
    )
    rows = drawn.rows(
        f"SELECT y, block1_id AS b1, block2_id AS b2, block3_id AS b3 FROM ({average.format(where)}) JOIN archs ON id = arch_id"
    )
    values = np.array([row["y"] for row in rows])
    of_stage = np.array([[row[f"b{stage}"] for stage in (1, 2, 3)] for row in rows])
    effects = np.full((3, 45), np.nan)
    for stage, block in itertools.product(range(3), range(45)):
        if (has := of_stage[:, stage] == block).any():
            effects[stage, block] = values[has].mean() - values.mean()
    shown = axes[0].images[0].get_array().filled(np.nan)
    assert shown == pytest.approx(effects[:, _ORDER], nan_ok=True)
    for ax, (a, b) in zip(axes[1:], ((0, 1), (0, 2), (1, 2)), strict=True):
        table = np.full((45, 45), np.nan)
        for first, second in {(row[a], row[b]) for row in of_stage.tolist()}:
            has = (of_stage[:, a] == first) & (of_stage[:, b] == second)
            table[first, second] = values[has].mean() - values.mean() - effects[a, first] - effects[b, second]
        assert ax.images[0].get_array().filled(np.nan) == pytest.approx(
            table[np.ix_(_ORDER, _ORDER)], nan_ok=True
        )
        assert (ax.get_ylabel(), ax.get_xlabel()) == (f"stage {a + 1}", f"stage {b + 1}")


def test_blocks_stand_by_scheme() -> None:
    blocks = [space.BLOCKS[index] for index in _ORDER]
    assert sorted(block.index for block in blocks) == list(range(45))
    assert [block.scheme for block in blocks] == sorted(block.scheme for block in space.BLOCKS)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("measure", ["test_top1", "test_loss", "flops"])
def test_boxes_are_quartiles(choice: str, measure: str, drawn: Database) -> None:
    options, where = CHOICES[choice]
    schemes, ops = plot.spread(measure, drawn, **options)
    rows = drawn.rows(
        f"SELECT {measure} AS y, b1.scheme AS s1, b2.scheme AS s2, b3.scheme AS s3, b1.op1 AS o11, b1.op2 AS o12, "
        "b2.op1 AS o21, b2.op2 AS o22, b3.op1 AS o31, b3.op2 AS o32 FROM runs JOIN archs a ON a.id = arch_id "
        "JOIN blocks b1 ON b1.id = block1_id JOIN blocks b2 ON b2.id = block2_id JOIN blocks b3 ON b3.id = block3_id "
        f"WHERE {where} AND {measure} IS NOT NULL"
    )
    for stage in (1, 2, 3):
        of_scheme, of_ops = [f"s{stage}"], [f"o{stage}1", f"o{stage}2"]
        for ax, names, columns in (
            (schemes, sorted({block.scheme for block in space.BLOCKS}), of_scheme),
            (ops, space.OPS, of_ops),
        ):
            for name in names:
                values = [row["y"] for row in rows if name in [row[column] for column in columns]]
                if not values:
                    assert not [
                        one for one in ax.lines if one.get_label() == f"median of {name}, stage {stage}"
                    ]
                    continue
                median = by_label(ax, f"median of {name}, stage {stage}").get_ydata()
                assert median == pytest.approx(np.median(values))
                box = by_label(ax, f"{name}, stage {stage}").get_path().vertices[:, 1]
                assert (box.min(), box.max()) == pytest.approx(tuple(np.percentile(values, (25, 75))))
