"""Runs, epochs and the leaderboard as data frames: Arrow, pandas, Polars.

Each library is imported when it is asked for; `pip install 'bloxdb[frames]'` brings all three.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bloxdb.averages import Averages
from bloxdb.db.database import Database, current
from bloxdb.db.epochs import EpochBlock, read_epochs
from bloxdb.db.references import Seeds, average_of, find_recipe, find_seeds
from bloxdb.db.schema import (
    EPOCH_MEASURES,
    FINISHED,
    LEADERBOARD_COLUMNS,
    RUN_MEASURES,
    STATUSES,
    Recipe,
    Run,
    leaderboard,
)
from bloxdb.errors import MissingExtraError, QueryError
from bloxdb.grouping import Groups
from bloxdb.measures import LATENCY, MEASURES, MISSING, RANKED_BY, RUN, from_stored
from bloxdb.selection import Selection

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

FRAMES = ("runs", "epochs", "leaderboard")
"""What can be had as a frame."""

RUN_COLUMNS = (
    *("arch_id", "recipe", "seed", "status", "best_epoch"),
    *RUN_MEASURES,
    *("started_at", "finished_at"),
)
"""The columns of the frame `runs`."""

UNITS = {
    **{measure.name: measure.unit for measure in MEASURES},
    LATENCY.column: LATENCY.unit,
    "spread_ms": LATENCY.unit,
    "started_at": "UTC",
    "finished_at": "UTC",
}
"""The units of columns that have one; they stand in the metadata of their fields."""

_AT_ONCE = 4  # readers of one state of the database


def to_arrow(
    what: str, db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None
) -> pa.Table:
    """A table of the database as an Arrow table; units stand in the metadata of its fields.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these; ``'mean'`` or ``'median'`` for averages of the leaderboard or of
        epochs over the seeds of each architecture.

    Returns
    -------
    pyarrow.Table
        A row a run, or a row an epoch; of averages a row an architecture, or a row an epoch of one.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    QueryError
        There is no such table, recipe or seed.
    """
    if what not in FRAMES:
        raise QueryError(f"there is no frame {what!r}; choose one of: {', '.join(FRAMES)}")
    arrow: Any = _library("pyarrow")
    db = db or current()
    average = average_of(seeds)
    if average:
        return _averaged(arrow, what, db, recipe, average)
    chosen = None if recipe is None else find_recipe(db, recipe)
    with db.snapshots(_AT_ONCE) as sessions:
        only = (
            None
            if seeds is None
            else find_seeds(sessions[0], seeds, chosen, statuses=STATUSES if what == "runs" else (FINISHED,))
        )
        if what == "epochs":
            return _epochs(arrow, sessions, chosen, only)
        if what == "leaderboard":
            query = select(*(leaderboard.c[name] for name in LEADERBOARD_COLUMNS))
            query = query.order_by(leaderboard.c.arch_id, leaderboard.c.seed)
            if chosen is not None:
                query = query.where(leaderboard.c.recipe == chosen.name)
            if only is not None:
                query = query.where(leaderboard.c.seed.in_(only))
            return _rows(arrow, sessions[0], query, LEADERBOARD_COLUMNS)
        columns = [getattr(Run, name) for name in RUN_COLUMNS if name != "recipe"]
        columns.insert(1, Recipe.name.label("recipe"))
        runs = _chosen(select(*columns).join(Recipe, Recipe.id == Run.recipe_id), chosen, only)
        return _rows(arrow, sessions[0], runs.order_by(Run.arch_id, Recipe.name, Run.seed), RUN_COLUMNS)


def _averaged(arrow: Any, what: str, db: Database, recipe: str | None, average: str) -> Any:
    """Averages over seeds, in place of the runs."""
    if what == "runs":
        raise QueryError("a run has one seed; averages are of 'leaderboard' or of 'epochs'")
    if what == "leaderboard":
        found = Averages(Selection(db, recipe, average), average, RANKED_BY)
        rows = found.rows(np.arange(len(found.values[RANKED_BY])))
        names = list(rows[0]) if rows else [*LEADERBOARD_COLUMNS]
        fields = [field(arrow, name) for name in names]
        fields = [one.with_type(arrow.float64()) if one.name in RUN else one for one in fields]
        return arrow.table([[row[name] for row in rows] for name in names], schema=arrow.schema(fields))
    table = to_arrow("epochs", db, recipe=find_recipe(db, recipe).name)
    groups = Groups(*(table[name].to_numpy() for name in ("arch_id", "epoch")))
    first = table.take(arrow.array(groups.first)).combine_chunks()
    columns: dict[str, Any] = {"arch_id": first["arch_id"], "recipe": first["recipe"]}
    seeds = groups.counts(np.ones(table.num_rows, dtype=bool))
    columns |= {"seeds": arrow.array(seeds), "epoch": first["epoch"]}
    for name in EPOCH_MEASURES:
        means = groups.averages(average, table[name].to_numpy())
        columns[name] = arrow.array(means, from_pandas=True)  # NaN is null
    return arrow.table(columns, schema=arrow.schema([field(arrow, name) for name in columns]))


def to_pandas(
    what: str, db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None
) -> pd.DataFrame:
    """A table of the database as a pandas data frame.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these; ``'mean'`` or ``'median'`` for averages of the leaderboard or of
        epochs over the seeds of each architecture.

    Returns
    -------
    pandas.DataFrame
        A row a run, or a row an epoch; of averages a row an architecture, or a row an epoch of one. What
        was not measured is NaN.

    Raises
    ------
    MissingExtraError
        pandas or pyarrow is not installed.
    QueryError
        There is no such table, recipe or seed.
    """
    _library("pandas")
    return to_arrow(what, db, recipe=recipe, seeds=seeds).to_pandas()


def to_polars(
    what: str, db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None
) -> pl.DataFrame:
    """A table of the database as a Polars data frame.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these; ``'mean'`` or ``'median'`` for averages of the leaderboard or of
        epochs over the seeds of each architecture.

    Returns
    -------
    polars.DataFrame
        A row a run, or a row an epoch; of averages a row an architecture, or a row an epoch of one. What
        was not measured is null.

    Raises
    ------
    MissingExtraError
        polars or pyarrow is not installed.
    QueryError
        There is no such table, recipe or seed.
    """
    polars: Any = _library("polars")
    frame: pl.DataFrame = polars.from_arrow(to_arrow(what, db, recipe=recipe, seeds=seeds))
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"this needs {name}: pip install 'bloxdb[frames]'") from error


def _chosen(query: Select[Any], recipe: Recipe | None, seeds: list[int] | None) -> Select[Any]:
    if recipe is not None:
        query = query.where(Run.recipe_id == recipe.id)
    return query if seeds is None else query.where(Run.seed.in_(seeds))


_TYPES = {
    "arch_id": "int32",
    "seed": "int64",
    "seeds": "int64",
    "best_epoch": "int32",
    **{name: "int64" for name, measure in RUN_MEASURES.items() if measure.scale == 1},
    "hash": "string",
    "vec": "string",
    "status": "string",
    "started_at": "timestamp[us]",
    "finished_at": "timestamp[us]",
    "epoch": "int32",
}
"""The Arrow types of columns that are not float64."""


def field(arrow: Any, name: str) -> Any:
    """The Arrow field of a column, with its unit."""
    kind = _TYPES.get(name, "float64")
    if name == "recipe":  # the same few names for very many rows
        arrow_type = arrow.dictionary(arrow.int32(), arrow.string())
    else:
        arrow_type = arrow.timestamp("us") if kind.startswith("timestamp") else getattr(arrow, kind)()
    return arrow.field(name, arrow_type, metadata={"unit": UNITS[name]} if name in UNITS else None)


def _rows(arrow: Any, session: Session, query: Select[Any], names: Sequence[str]) -> Any:
    rows = session.execute(query).all()
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    schema = arrow.schema([field(arrow, name) for name in names])
    return arrow.table([list(column) for column in columns], schema=schema)


def _epochs(arrow: Any, sessions: list[Session], recipe: Recipe | None, seeds: list[int] | None) -> Any:
    """One row an epoch, in the order of runs; columns are made block by block."""
    columns: list[Any] = [Run.id, Run.arch_id, Recipe.name, Run.seed]
    runs = select(*columns).join(Recipe, Recipe.id == Run.recipe_id).where(Run.status == FINISHED)
    query = _chosen(runs, recipe, seeds)
    rows = sessions[0].execute(query.order_by(Run.id)).all()
    names = ["arch_id", "recipe", "seed", "epoch", *EPOCH_MEASURES]
    schema = arrow.schema([field(arrow, name) for name in names])
    if not rows:
        return schema.empty_table()
    run_ids, arch_ids, _, run_seeds = (np.array(column) for column in zip(*rows, strict=True))
    recipes = arrow.array([row[2] for row in rows]).dictionary_encode()
    batches = [
        _batch(arrow, schema, block, np.searchsorted(run_ids, block.run_ids), arch_ids, recipes, run_seeds)
        for block in read_epochs(sessions, run_ids, list(EPOCH_MEASURES))
    ]
    return arrow.Table.from_batches(batches, schema)


def _batch(
    arrow: Any,
    schema: Any,
    block: EpochBlock,
    places: npt.NDArray[np.int64],
    arch_ids: npt.NDArray[np.int64],
    recipes: Any,
    seeds: npt.NDArray[np.int64],
) -> Any:
    """The epochs of some runs, which are at `places` of the other arrays."""
    each = np.repeat(places, block.counts)
    columns = [
        arrow.array(arch_ids[each].astype(np.int32)),
        recipes.take(arrow.array(each)),
        arrow.array(seeds[each].astype(np.int64)),
        arrow.array(block.epochs.astype(np.int32)),
    ]
    for name, stored in block.measures.items():
        absent = stored == MISSING
        natural = from_stored(stored, EPOCH_MEASURES[name])
        columns.append(arrow.array(natural, mask=absent if absent.any() else None))
    return arrow.record_batch(columns, schema=schema)
