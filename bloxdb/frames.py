"""Every table of a database, and the leaderboard, as data frames: Arrow, pandas, Polars.

Each library is imported when it is asked for; `pip install 'bloxdb[frames]'` brings all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.arguments import LARGEST, listed_epochs
from bloxdb.averages import Averages
from bloxdb.db.damage import kinds_told
from bloxdb.db.database import Database, asked
from bloxdb.db.epochs import EpochBlock, read_epochs
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS, leaderboard
from bloxdb.db.recipes import ALL_RECIPES
from bloxdb.db.references import Seeds, average_of, find_recipe, find_seeds
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Recipe, Run
from bloxdb.db.statuses import FINISHED, STATUSES
from bloxdb.errors import QueryError, spelled
from bloxdb.extras import library
from bloxdb.fields import field, schema
from bloxdb.grouping import Groups
from bloxdb.lookups import LOOKUPS, chosen_columns, lookup, rows_of
from bloxdb.measures import MISSING, RANKED_BY, RUN, first_of_curve, from_stored
from bloxdb.selection import Selection, parts_of
from bloxdb.space.keys import Ids

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

FRAMES = ("runs", "epochs", "leaderboard", *LOOKUPS)
"""What can be had as a frame."""

RUN_COLUMNS = (
    *("arch_id", "recipe", "seed", "status", "best_epoch"),
    *RUN_MEASURES,
    *("device_workers", "started_at", "finished_at", "env_id"),
)
"""The columns of the frame `runs`."""

_OF_EPOCH_RUNS = ("arch_id", "recipe", "seed")  # what an epoch's row says of its run
_OF_RUNS: dict[str, Sequence[str]] = {
    "runs": RUN_COLUMNS,
    "epochs": (*_OF_EPOCH_RUNS, "epoch", *EPOCH_MEASURES),
    "leaderboard": LEADERBOARD_COLUMNS,
}
_OF_AVERAGES: dict[str, Sequence[str]] = {
    "epochs": ("arch_id", "recipe", "seeds", "epoch", *EPOCH_MEASURES),
    "leaderboard": (
        *("seeds" if name == "seed" else name for name in LEADERBOARD_COLUMNS),
        f"{RANKED_BY}_std",
    ),
}


def frame_columns(what: str) -> tuple[str, ...]:
    """The columns that a frame has where nothing else is asked for.

    Parameters
    ----------
    what
        One of `FRAMES`.
    """
    return tuple(LOOKUPS[what].columns if what in LOOKUPS else _OF_RUNS[what])


_AT_ONCE = 4  # readers of one state of the database


def to_arrow(
    what: str,
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
    columns: Iterable[str] | None = None,
    epochs: int | Iterable[int] | None = None,
    archs: Iterable[Any] | None = None,
    first_epoch: bool = False,
) -> pa.Table:
    """A table of the database as an Arrow table; units stand in the metadata of its fields.

    Only what is asked for is read: for values of many architectures or epochs this, `Dataset.table` and
    `Dataset.curve` take a fraction of the time of a loop over them.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``; or what they refer to: ``'archs'``,
        ``'static_info'``, ``'latencies'``, ``'envs'``, ``'recipes'``, ``'devices'``, ``'blocks'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name, or their environments, or it alone; all if None or ``'*'``, but
        averages need one or ``'*'``.
    seeds
        Only runs of this seed, or of these, or their environments; ``'mean'`` or ``'median'`` for averages
        of the leaderboard or of epochs over the seeds of each architecture.
    columns
        Only these, in this order; the choices stand in the error for any other name. All if None.
    epochs
        Only this epoch of each run, from 1, or these; all if None.
    archs
        Only rows of these architectures, in whatever way they are named; all if None.
    first_epoch
        Whether epoch 1 counts also where it has the best epoch's validation instead of its own, which would
        tell the end of the training; otherwise it is as not measured there.

    Returns
    -------
    pyarrow.Table
        A row a run, an epoch, or what else the table has; of averages an architecture,
        or an epoch of one.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    QueryError
        There is no such table, recipe, seed, column or epoch, or rows of the table are not of one.
    InvalidArchError
        There is no such architecture.
    """
    if what not in FRAMES:
        raise QueryError(f"there is no frame {spelled(what)}; choose one of: {', '.join(FRAMES)}")
    arrow: Any = _library("pyarrow")
    db = asked(db)
    if epochs is not None and what != "epochs":
        row = LOOKUPS[what].row if what in LOOKUPS else "a run"
        raise QueryError(f"a row of {spelled(what)} is {row}, not an epoch; epochs=… is for 'epochs'")
    if what in LOOKUPS:
        return lookup(arrow, db, what, columns, archs=archs, recipe=recipe, seeds=seeds)
    average = average_of(seeds)
    if average and what == "runs":
        raise QueryError("a run has one seed; averages are of 'leaderboard' or of 'epochs'")
    names = _OF_AVERAGES[what] if average else frame_columns(what)
    numbers = None if epochs is None else _numbers(db, epochs)
    indices = None if archs is None else np.unique(space.arch_indices(archs))
    wanted = _Wanted(chosen_columns(columns, names), numbers, indices, first_epoch)
    chosen = None if recipe in (None, ALL_RECIPES) or average else find_recipe(db, recipe)
    if average:
        ask = _averaged_epochs if what == "epochs" else _averaged
        return ask(arrow, db, recipe, average, wanted)
    with db.snapshots(_AT_ONCE) as sessions:
        only = (
            None
            if seeds is None
            else find_seeds(sessions[0], seeds, chosen, statuses=STATUSES if what == "runs" else (FINISHED,))
        )
        if what == "epochs":
            return _epochs(arrow, sessions, chosen, only, wanted)
        if what == "leaderboard":
            query = select(*(leaderboard.c[name] for name in wanted.columns))
            query = query.order_by(leaderboard.c.arch_id, leaderboard.c.recipe, leaderboard.c.seed)
            if chosen is not None:
                query = query.where(leaderboard.c.recipe == chosen.name)
            if only is not None:
                query = query.where(leaderboard.c.seed.in_(only))
            return rows_of(
                arrow, sessions[0], parts_of(query, leaderboard.c.arch_id, wanted.archs), wanted.columns
            )
        query = _of_runs(wanted.columns, chosen, only).order_by(Run.arch_id, Recipe.name, Run.seed)
        return rows_of(arrow, sessions[0], parts_of(query, Run.arch_id, wanted.archs), wanted.columns)


def to_pandas(
    what: str,
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
    columns: Iterable[str] | None = None,
    epochs: int | Iterable[int] | None = None,
    archs: Iterable[Any] | None = None,
    first_epoch: bool = False,
) -> pd.DataFrame:
    """A table of the database as a pandas data frame.

    Only what is asked for is read: for values of many architectures or epochs this, `Dataset.table` and
    `Dataset.curve` take a fraction of the time of a loop over them.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``; or what they refer to: ``'archs'``,
        ``'static_info'``, ``'latencies'``, ``'envs'``, ``'recipes'``, ``'devices'``, ``'blocks'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name, or their environments, or it alone; all if None or ``'*'``, but
        averages need one or ``'*'``.
    seeds
        Only runs of this seed, or of these, or their environments; ``'mean'`` or ``'median'`` for averages
        of the leaderboard or of epochs over the seeds of each architecture.
    columns
        Only these, in this order; the choices stand in the error for any other name. All if None.
    epochs
        Only this epoch of each run, from 1, or these; all if None.
    archs
        Only rows of these architectures, in whatever way they are named; all if None.
    first_epoch
        Whether epoch 1 counts also where it has the best epoch's validation instead of its own, which would
        tell the end of the training; otherwise it is as not measured there.

    Returns
    -------
    pandas.DataFrame
        A row a run, an epoch, or what else the table has; of averages an architecture,
        or an epoch of one. What
        was not measured is NaN.

    Raises
    ------
    MissingExtraError
        pandas or pyarrow is not installed.
    QueryError
        There is no such table, recipe, seed, column or epoch, or rows of the table are not of one.
    InvalidArchError
        There is no such architecture.
    """
    _library("pandas")
    return to_arrow(
        what,
        db,
        recipe=recipe,
        seeds=seeds,
        columns=columns,
        epochs=epochs,
        archs=archs,
        first_epoch=first_epoch,
    ).to_pandas()


def to_polars(
    what: str,
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
    columns: Iterable[str] | None = None,
    epochs: int | Iterable[int] | None = None,
    archs: Iterable[Any] | None = None,
    first_epoch: bool = False,
) -> pl.DataFrame:
    """A table of the database as a Polars data frame.

    Only what is asked for is read: for values of many architectures or epochs this, `Dataset.table` and
    `Dataset.curve` take a fraction of the time of a loop over them.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``; or what they refer to: ``'archs'``,
        ``'static_info'``, ``'latencies'``, ``'envs'``, ``'recipes'``, ``'devices'``, ``'blocks'``.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name, or their environments, or it alone; all if None or ``'*'``, but
        averages need one or ``'*'``.
    seeds
        Only runs of this seed, or of these, or their environments; ``'mean'`` or ``'median'`` for averages
        of the leaderboard or of epochs over the seeds of each architecture.
    columns
        Only these, in this order; the choices stand in the error for any other name. All if None.
    epochs
        Only this epoch of each run, from 1, or these; all if None.
    archs
        Only rows of these architectures, in whatever way they are named; all if None.
    first_epoch
        Whether epoch 1 counts also where it has the best epoch's validation instead of its own, which would
        tell the end of the training; otherwise it is as not measured there.

    Returns
    -------
    polars.DataFrame
        A row a run, an epoch, or what else the table has; of averages an architecture,
        or an epoch of one. What
        was not measured is null.

    Raises
    ------
    MissingExtraError
        polars or pyarrow is not installed.
    QueryError
        There is no such table, recipe, seed, column or epoch, or rows of the table are not of one.
    InvalidArchError
        There is no such architecture.
    """
    polars: Any = _library("polars")
    table = to_arrow(
        what,
        db,
        recipe=recipe,
        seeds=seeds,
        columns=columns,
        epochs=epochs,
        archs=archs,
        first_epoch=first_epoch,
    )
    frame: pl.DataFrame = polars.from_arrow(table)
    return frame


def _library(name: str) -> Any:
    return library(name, "frames")


@dataclass(frozen=True)
class _Wanted:
    """What of a table is wanted; epochs and architectures in order, or None for all."""

    columns: list[str]
    epochs: list[int] | None
    archs: Ids | None
    first_epoch: bool


def _numbers(db: Database, epochs: int | Iterable[int]) -> list[int]:
    """Epochs as a list, in order and each once."""
    last = db.reader.scalar(select(func.max(Recipe.epochs))) or LARGEST
    found = listed_epochs(epochs, last)
    return [found] if isinstance(found, int) else sorted(set(found))


def _of_runs(names: Sequence[str], recipe: Recipe | None, seeds: list[int] | None, *more: Any) -> Select[Any]:
    """A query of columns of runs, and of the name of their recipe."""
    columns = [Recipe.name.label(name) if name == "recipe" else getattr(Run, name) for name in names]
    query = select(*more, *columns).select_from(Run).join(Recipe, Recipe.id == Run.recipe_id)
    if recipe is not None:
        query = query.where(Run.recipe_id == recipe.id)
    return query if seeds is None else query.where(Run.seed.in_(seeds))


def _epochs(
    arrow: Any, sessions: list[Session], recipe: Recipe | None, seeds: list[int] | None, wanted: _Wanted
) -> Any:
    """One row an epoch, in the order of runs; columns are made block by block."""
    of_run = [name for name in wanted.columns if name in _OF_EPOCH_RUNS]
    runs = _of_runs(of_run, recipe, seeds, Run.id, Recipe.first_epoch_is_best).where(Run.status == FINISHED)
    rows = [row for part in parts_of(runs, Run.arch_id, wanted.archs) for row in sessions[0].execute(part)]
    fields = schema(arrow, wanted.columns)
    if not rows or wanted.epochs == []:
        return fields.empty_table()
    rows.sort(key=lambda row: row[0])
    run_ids, first_is_best, *values = zip(*rows, strict=True)
    hides = np.array(first_is_best) & (not wanted.first_epoch)
    known = {
        name: arrow.array(list(column)).dictionary_encode() if name == "recipe" else np.array(column)
        for name, column in zip(of_run, values, strict=True)
    }
    measures = [name for name in wanted.columns if name in EPOCH_MEASURES]
    ids = np.array(run_ids)
    numbers = "epoch" in wanted.columns or bool(hides.any())
    with kinds_told():
        batches = [
            _batch(arrow, fields, block, np.searchsorted(ids, block.run_ids), known, hides)
            for block in read_epochs(sessions, ids, measures, epochs=wanted.epochs, numbers=numbers)
        ]
    return arrow.Table.from_batches(batches, fields)


def _batch(
    arrow: Any,
    fields: Any,
    block: EpochBlock,
    places: npt.NDArray[np.int64],
    of_run: dict[str, Any],
    hides: npt.NDArray[np.bool_],
) -> Any:
    """The epochs of some runs, which are at `places` of what is known of runs; some hide epoch 1."""
    each = np.repeat(places, block.counts)
    hidden = hides[each]
    columns = []
    for name in fields.names:
        if name == "recipe":
            columns.append(of_run[name].take(arrow.array(each)))
        elif name in of_run:
            columns.append(
                arrow.array(of_run[name][each].astype(np.int32 if name == "arch_id" else np.int64))
            )
        elif name == "epoch":
            columns.append(arrow.array(block.epochs.astype(np.int32)))
        else:
            stored = block.measures[name]
            absent = stored == MISSING
            if hidden.any() and (first := first_of_curve(name, first_is_best=True)) > 1:
                absent |= hidden & (block.epochs < first)
            natural = from_stored(stored, EPOCH_MEASURES[name])
            columns.append(arrow.array(natural, mask=absent if absent.any() else None))
    return arrow.record_batch(columns, schema=fields)


def _averaged(arrow: Any, db: Database, recipe: str | None, average: str, wanted: _Wanted) -> Any:
    """Averages over seeds, in place of the runs."""
    shown = [name for name in wanted.columns if name in RUN_MEASURES]
    found = Averages(Selection(db, recipe, average), average, RANKED_BY, shown=shown, archs=wanted.archs)
    rows = found.rows(np.arange(len(found.values[RANKED_BY])))
    fields = [field(arrow, name) for name in wanted.columns]
    fields = [one.with_type(arrow.float64()) if one.name in RUN else one for one in fields]
    return arrow.table([[row[name] for row in rows] for name in wanted.columns], schema=arrow.schema(fields))


def _averaged_epochs(arrow: Any, db: Database, recipe: str | None, average: str, wanted: _Wanted) -> Any:
    """Averages of each epoch over seeds, in place of the epochs of runs."""
    measures = [name for name in wanted.columns if name in EPOCH_MEASURES]
    table = to_arrow(
        "epochs",
        db,
        recipe=None if recipe == ALL_RECIPES else find_recipe(db, recipe).name,
        columns=("recipe", "arch_id", "epoch", *measures),
        epochs=wanted.epochs,
        archs=wanted.archs,
        first_epoch=wanted.first_epoch,
    )
    recipes = table["recipe"].combine_chunks()
    groups = Groups(recipes.indices.to_numpy(), *(table[name].to_numpy() for name in ("arch_id", "epoch")))
    values = {name: table[name].to_numpy() for name in measures}
    known = ~np.isnan(list(values.values())).all(axis=0) if measures else np.ones(len(table), dtype=bool)
    columns: dict[str, Any] = {name: table[name].to_numpy()[groups.first] for name in ("arch_id", "epoch")}
    columns["recipe"] = recipes.take(arrow.array(groups.first))
    columns["seeds"] = groups.counts(known)
    for name, of_runs in values.items():
        columns[name] = arrow.array(groups.averages(average, of_runs), from_pandas=True)  # NaN is null
    fields = schema(arrow, wanted.columns)
    return arrow.table([columns[name] for name in fields.names], schema=fields)
