"""The questions people ask first: the best architectures, and the Pareto front."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Select

from bloxdb.arguments import integer
from bloxdb.averages import Averages
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds, average_of
from bloxdb.db.schema import Run
from bloxdb.measures import RANKED_BY, Array
from bloxdb.selection import Selection, selected

Row = dict[str, Any]


class Rows(list[Row]):
    """Rows, which a notebook shows as a table that unfolds to drawings."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from bloxdb.draw.pages import table

        return table(self)


_AT_ONCE = 500  # runs that one statement names


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
    """The best finished runs, or with ``seeds='mean'`` the best architectures.

    With several seeds a row is a run, so that an architecture stands there once a seed, and the luckiest
    seed comes first; averages are fairer.

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
        A measure of runs, as ``'test_top1'``, or ``'latency:DEVICE'``; `bloxdb.measures` says of each which
        way is better.
    recipe
        The name of the recipe of the runs; needed where there are several, and ``'*'`` ranks them all
        together.
    seeds
        Only runs of this seed, or of these; ``'mean'`` or ``'median'`` for one row an architecture.

    Returns
    -------
    list of dict
        The columns of the ``leaderboard`` view, `by` if it is not among them, and ``'latency:DEVICE'`` where
        that limits. Of averages, ``'seeds'`` is of how many seeds that of `by` is, and ``BY_std`` the
        standard deviation among them, None where there is one; other columns are averages over the seeds
        that have a value there.

    Raises
    ------
    QueryError
        There is no such measure, recipe, seed or device, or a limit is no number.
    """
    most = integer(n, "the number of results", low=0)
    chosen = selected(
        asked(db), recipe, seeds, max_flops=max_flops, max_params=max_params, max_latency=max_latency
    )
    average = average_of(seeds)
    if average:
        found = Averages(chosen, average, by)
        return Rows(found.rows(found.ranked(by)[:most]))
    column, higher = chosen.column(by), chosen.measure(by).higher_is_better

    def best(query: Select[Any], ranked: ColumnElement[Any]) -> Select[Any]:
        known, order = chosen.db.engines.best_first(ranked, higher=higher)
        query = query if known is None else query.where(known)
        return query.order_by(order, Run.arch_id, Run.recipe_id, Run.seed).limit(most)

    few = chosen.leaves_few()
    # names and vectors are looked up of those that are best, not of all that are passed on the way to them;
    # no index has the order of a sum, so that an engine begins with the few
    ids = best(chosen.select(Run.id, first=few), column if few is None else column + 0)
    rows = chosen.db.rows_of(best(chosen.rows(by).where(Run.id.in_(ids)), column))
    return Rows(row for row in rows if row[by] is not None)


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
        Measures of runs, or ``'latency:DEVICE'``; `bloxdb.measures` says of each which way is better.
    db
        The database to ask; the current one if not given.
    recipe
        The name of the recipe of the runs; needed where there are several, and ``'*'`` takes them all
        together.
    seeds
        Only runs of this seed, or of these; ``'mean'`` or ``'median'`` for averages of architectures.

    Returns
    -------
    list of dict
        Rows such as `top` gives, from the best `x` on; each is better in `y` than the one before.

    Raises
    ------
    QueryError
        There is no such measure, recipe, seed or device.
    """
    chosen = Selection(asked(db), recipe, seeds)
    signs = [-1 if chosen.measure(name).higher_is_better else 1 for name in (x, y)]
    average = average_of(seeds)
    if average:
        found = Averages(chosen, average, x, y)
        ranks = [sign * found.values[name] for sign, name in zip(signs, (x, y), strict=True)]
        return Rows(found.rows(front(*ranks)))
    run_ids, *values = chosen.array(Run.id, chosen.column(x), chosen.column(y))
    ranks = [sign * of_runs for sign, of_runs in zip(signs, values, strict=True)]
    wanted = run_ids[_unbeaten(*ranks)].astype(np.int64).tolist()
    rows = []
    for first in range(0, len(wanted), _AT_ONCE):
        some = chosen.rows(x, y).add_columns(Run.recipe_id)
        rows += chosen.db.rows_of(some.where(Run.id.in_(wanted[first : first + _AT_ONCE])))
    rows.sort(key=lambda row: (row["arch_id"], row.pop("recipe_id"), row["seed"]))  # of equal runs the first
    ranks = [
        sign * np.array([row[name] for row in rows], dtype=np.float64)
        for sign, name in zip(signs, (x, y), strict=True)
    ]
    return Rows(rows[place] for place in front(*ranks).tolist())


def front(rank_x: Array, rank_y: Array) -> npt.NDArray[np.int64]:
    """The places of what nothing beats, lower ranks being better; of equal ones the first.

    Parameters
    ----------
    rank_x, rank_y
        Two numbers of each, float64 (n,), NaN where one is not known.

    Returns
    -------
    numpy.ndarray
        Places, int64, from the best `rank_x` on.
    """
    places = np.sort(_unbeaten(rank_x, rank_y))
    order = places[np.lexsort((places, rank_y[places], rank_x[places]))]
    lowest = np.minimum.accumulate(rank_y[order])
    before = np.concatenate([[np.inf], lowest[:-1]])[: len(order)]
    return order[rank_y[order] < before]


def _unbeaten(rank_x: Array, rank_y: Array) -> npt.NDArray[np.int64]:
    """The places of the front, all that are equal to one of them, and few others: sorting those is quick."""
    order = np.argsort(rank_x)
    order = order[~(np.isnan(rank_x) | np.isnan(rank_y))[order]]
    return order[rank_y[order] <= np.minimum.accumulate(rank_y[order])]
