"""Runs, epochs and the leaderboard as data frames: Arrow, pandas, Polars.

Each library is imported when it is asked for; `pip install 'bloxdb[frames]'` brings all three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bloxdb.codecs.columns import COLUMNS, SCALES, Kind
from bloxdb.db.database import Database, current
from bloxdb.db.epochs import EpochBlock, read_epochs
from bloxdb.db.schema import EPOCH_MEASURES, LEADERBOARD_COLUMNS, Recipe, Run, leaderboard
from bloxdb.db.staging import MISSING
from bloxdb.errors import MissingExtraError, QueryError
from bloxdb.queries import find_recipe

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

FRAMES = ("runs", "epochs", "leaderboard")
"""What can be had as a frame."""

RUN_COLUMNS = (
    "arch_id",
    "recipe",
    "seed",
    "status",
    "best_epoch",
    "val_top1",
    "test_top1",
    "test_top5",
    "test_loss",
    "train_time_s",
    "flops",
    "params",
    "started_at",
    "finished_at",
)
"""Of the frame `runs`."""

UNITS = {
    **{name: "percent" for name, kind in COLUMNS.items() if kind is Kind.ACCURACY},
    **{name: "nats" for name, kind in COLUMNS.items() if kind is Kind.FLOAT},
    "train_time_s": "seconds",
    "latency_ms": "milliseconds",
    "spread_ms": "milliseconds",
    "flops": "multiply-accumulates for one 3x32x32 image",
    "started_at": "UTC",
    "finished_at": "UTC",
}
"""Of columns that have one; it stands in the metadata of their fields."""

_AT_ONCE = 4  # readers of one state of the database


def to_arrow(
    what: str, db: Database | None = None, *, recipe: str | None = None, seeds: Iterable[int] | None = None
) -> pa.Table:
    """A table of the database as an Arrow table; units stand in the metadata of its fields.

    Parameters
    ----------
    what
        ``'runs'``, ``'epochs'`` (of finished runs) or ``'leaderboard'``.
    db
        The database; the one opened last if not given.
    recipe, seeds
        Only runs of this recipe, of these seeds.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    QueryError
        There is no such table or recipe.
    """
    if what not in FRAMES:
        raise QueryError(f"there is no frame {what!r}; choose one of: {', '.join(FRAMES)}")
    arrow: Any = _library("pyarrow")
    db = db or current()
    chosen = None if recipe is None else find_recipe(db, recipe)
    with db.snapshots(_AT_ONCE) as sessions:
        if what == "epochs":
            return _epochs(arrow, sessions, chosen, seeds)
        if what == "leaderboard":
            query = select(*(leaderboard.c[name] for name in LEADERBOARD_COLUMNS))
            query = query.order_by(leaderboard.c.arch_id, leaderboard.c.seed)
            if chosen is not None:
                query = query.where(leaderboard.c.recipe == chosen.name)
            if seeds is not None:
                query = query.where(leaderboard.c.seed.in_(list(seeds)))
            return _rows(arrow, sessions[0], query, LEADERBOARD_COLUMNS)
        columns = [getattr(Run, name) for name in RUN_COLUMNS if name != "recipe"]
        columns.insert(1, Recipe.name.label("recipe"))
        runs = _chosen(select(*columns).join(Recipe, Recipe.id == Run.recipe_id), chosen, seeds)
        return _rows(arrow, sessions[0], runs.order_by(Run.arch_id, Recipe.name, Run.seed), RUN_COLUMNS)


def to_pandas(what: str, db: Database | None = None, **chosen: Any) -> pd.DataFrame:
    """`to_arrow` as a pandas data frame."""
    _library("pandas")
    return to_arrow(what, db, **chosen).to_pandas()


def to_polars(what: str, db: Database | None = None, **chosen: Any) -> pl.DataFrame:
    """`to_arrow` as a Polars data frame."""
    polars: Any = _library("polars")
    frame: pl.DataFrame = polars.from_arrow(to_arrow(what, db, **chosen))
    return frame


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"this needs {name}: pip install 'bloxdb[frames]'") from error


def _chosen(query: Select[Any], recipe: Recipe | None, seeds: Iterable[int] | None) -> Select[Any]:
    if recipe is not None:
        query = query.where(Run.recipe_id == recipe.id)
    return query if seeds is None else query.where(Run.seed.in_(list(seeds)))


_TYPES = {
    "arch_id": "int32",
    "seed": "int64",
    "best_epoch": "int32",
    "flops": "int64",
    "params": "int64",
    "train_time_s": "int64",
    "hash": "string",
    "vec": "string",
    "status": "string",
    "started_at": "timestamp[us]",
    "finished_at": "timestamp[us]",
    "epoch": "int32",
}
"""Of columns that are not float64."""


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


def _epochs(arrow: Any, sessions: list[Session], recipe: Recipe | None, seeds: Iterable[int] | None) -> Any:
    """One row an epoch, in the order of runs; columns are made block by block."""
    columns: list[Any] = [Run.id, Run.arch_id, Recipe.name, Run.seed]
    runs = select(*columns).join(Recipe, Recipe.id == Run.recipe_id).where(Run.status == "finished")
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
        natural = stored / SCALES[COLUMNS[name]]
        columns.append(arrow.array(natural, mask=absent if absent.any() else None))
    return arrow.record_batch(columns, schema=schema)
