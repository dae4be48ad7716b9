"""The questions people ask first: the best architectures, and the Pareto front."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from bloxdb.arguments import integer, number
from bloxdb.db.database import Database, current
from bloxdb.db.references import Seeds, find_device, find_recipe, find_seeds
from bloxdb.db.schema import FINISHED, LEADERBOARD_COLUMNS, RUN_MEASURES, Arch, Latency, Recipe, Run
from bloxdb.errors import QueryError
from bloxdb.measures import RANKED_BY, Measure

Row = dict[str, Any]

_BELOW_ALL = -1e308
_NAMED = {"hash": Arch.hash, "vec": Arch.vec_text.label("vec"), "recipe": Recipe.name.label("recipe")}


def top(
    n: int = 10,
    db: Database | None = None,
    *,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
    by: str = RANKED_BY,
    recipe: str | None = None,
    seeds: Seeds = None,
) -> list[Row]:
    """The best finished runs.

    Parameters
    ----------
    n
        The most rows to give.
    db
        The database to ask; the current one if not given.
    max_flops, max_params
        Upper limits, inclusive: multiply-accumulates, trainable parameters.
    max_latency
        A device's name and milliseconds, inclusive.
    by
        A measure of runs, as ``'test_top1'``; `bloxdb.measures` says of each which way is better.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these.

    Returns
    -------
    list of dict
        The columns of the ``leaderboard`` view, and `by` if it is not among them.

    Raises
    ------
    QueryError
        There is no such measure, recipe, seed or device.
    """
    db = db or current()
    measure = _measure(by)
    most = integer(n, "the number of results", low=0)
    column = _column(by)
    query = _finished(db, by, recipe=recipe, seeds=seeds)
    # IS NOT NULL is a look at each row that is passed; where the order begins, and what ends it, cost nothing
    if measure.higher_is_better:
        order = column.desc().nulls_last()
    else:
        order = column.asc()
        query = query.where(column > _BELOW_ALL)
    if max_flops is not None:
        query = query.where(Run.flops <= number(max_flops, "max_flops"))
    if max_params is not None:
        query = query.where(Run.params <= number(max_params, "max_params"))
    if max_latency is not None:
        name, milliseconds = _latency_limit(max_latency)
        query = query.join(Latency, Latency.arch_id == Run.arch_id).where(
            Latency.device_id == find_device(db, name), Latency.latency_ms <= milliseconds
        )
    rows = db.rows_of(query.order_by(order, Run.arch_id, Run.seed).limit(most))
    return [row for row in rows if row[by] is not None]


def pareto(
    x: str = "flops",
    y: str = RANKED_BY,
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
) -> list[Row]:
    """The finished runs that no other run beats in both of two measures.

    Parameters
    ----------
    x, y
        Measures of runs; `bloxdb.measures` says of each which way is better.
    db
        The database to ask; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these.

    Returns
    -------
    list of dict
        Rows such as `top` gives, from the best `x` on; each is better in `y` than the one before.

    Raises
    ------
    QueryError
        There is no such measure, recipe or seed.
    """
    db = db or current()
    ranks = []
    for name in (x, y):
        higher = _measure(name).higher_is_better
        ranks.append(-_column(name) if higher else _column(name))
    inner = (
        _finished(db, x, y, recipe=recipe, seeds=seeds)
        .add_columns(ranks[0].label("rank_x"), ranks[1].label("rank_y"), Run.id.label("run_id"))
        .where(_column(x).is_not(None), _column(y).is_not(None))
        .subquery()
    )
    best_before = func.min(inner.c.rank_y).over(
        order_by=[inner.c.rank_x, inner.c.rank_y, inner.c.arch_id, inner.c.seed], rows=(None, -1)
    )
    names = [column.name for column in inner.c if column.name not in ("rank_x", "rank_y", "run_id")]
    ranked = select(inner, best_before.label("best_before")).subquery()
    query = (
        select(*(ranked.c[name] for name in names))
        .where((ranked.c.best_before.is_(None)) | (ranked.c.rank_y < ranked.c.best_before))
        .order_by(ranked.c.rank_x)
    )
    return db.rows_of(query)


def _latency_limit(given: tuple[str, float]) -> tuple[str, float]:
    if isinstance(given, str) or len(given) != 2:
        raise QueryError(f"max_latency is a device's name and milliseconds, not {given!r}")
    return given[0], number(given[1], "max_latency in milliseconds")


def _finished(db: Database, *measures: str, recipe: str | None, seeds: Seeds) -> Select[Any]:
    """The leaderboard's columns, and those measures that are not among them, of finished runs."""
    names = dict.fromkeys((*LEADERBOARD_COLUMNS, *measures))
    query = (
        select(*(_NAMED[name] if name in _NAMED else getattr(Run, name) for name in names))
        .select_from(Run)
        .join(Arch, Arch.id == Run.arch_id)
        .join(Recipe, Recipe.id == Run.recipe_id)
        .where(Run.status == FINISHED)
    )
    chosen = None if recipe is None else find_recipe(db, recipe)
    if chosen is not None:
        query = query.where(Run.recipe_id == chosen.id)
    if seeds is not None:
        query = query.where(Run.seed.in_(find_seeds(db.reader, seeds, chosen)))
    return query


def _measure(name: str) -> Measure:
    if name not in RUN_MEASURES:
        raise QueryError(f"there is no measure {name!r}; choose one of: {', '.join(RUN_MEASURES)}")
    return RUN_MEASURES[name]


def _column(name: str) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(Run, _measure(name).column)
    return column
