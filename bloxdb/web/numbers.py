"""Numbers of all runs, of all architectures, and of the epochs of some, as the page reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import select

from bloxdb.averages import Averages
from bloxdb.db.arrays import read_numbers
from bloxdb.db.database import Database
from bloxdb.db.epochs import EpochBlock, read_epochs
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Device, Latency, Recipe, Run
from bloxdb.measures import COSTS, LATENCY, Array, first_of_curve, from_stored
from bloxdb.selection import Selection
from bloxdb.space.cells import NUM_ARCHS, NUM_BLOCKS
from bloxdb.space.keys import model_hash
from bloxdb.web.columns import Column, pack

SHELF = NUM_BLOCKS
"""Architectures whose curves are in one answer: those that differ in the first block."""

_TRAINED = {name: measure for name, measure in RUN_MEASURES.items() if name not in COSTS}
_OF_RUNS = ("seed", "status", "best_epoch", *_TRAINED, "device_workers", "env_id", "started_at",
            "finished_at", "message")  # fmt: skip


def runs(db: Database) -> bytes:
    """The finished runs of all recipes and seeds, in the order of these and of architectures.

    FLOPs and parameters are not among the columns: the page adds them up from those of blocks. The header
    has ``groups``: recipe, seed, and how many runs follow.
    """
    groups, parts = [], []
    for recipe_id, name, seed in _groups(db):
        chosen = Selection(db, name, seed)
        table = chosen.array(Run.arch_id, Run.best_epoch, *(chosen.column(one) for one in _TRAINED))
        parts.append(table[:, np.argsort(table[0], kind="stable")])
        groups.append({"recipe": recipe_id, "seed": str(seed), "rows": table.shape[1]})
    table = np.concatenate([np.empty((2 + len(_TRAINED), 0)), *parts], axis=1)
    columns = {"arch_id": Column(table[0], steps=True), "best_epoch": Column(table[1])}
    for values, (name, measure) in zip(table[2:], _TRAINED.items(), strict=True):
        columns[name] = Column(values, measure.scale)
    return pack(_known(columns), groups=groups, rows=table.shape[1])


def means(db: Database) -> bytes:
    """The mean of each architecture over its seeds, by recipe; the columns of `runs` that are measures."""
    groups: list[dict[str, Any]] = []
    parts = []
    for recipe_id, name in db.reader.execute(select(Recipe.id, Recipe.name).order_by(Recipe.name)):
        chosen = Selection(db, name, "mean")
        found = Averages(chosen, "mean", *_TRAINED, shown=())
        parts.append(np.array([found.arch_ids, *(found.values[one] for one in _TRAINED)]))
        groups.append({"recipe": recipe_id, "seed": None, "rows": len(found.arch_ids)})
    table = np.concatenate([np.empty((1 + len(_TRAINED), 0)), *parts], axis=1)
    columns = {"arch_id": Column(table[0], steps=True)}
    for values, (name, measure) in zip(table[1:], _TRAINED.items(), strict=True):
        columns[name] = Column(values, measure.scale, exact=False)
    return pack(_known(columns), groups=groups, rows=table.shape[1])


def latencies(db: Database) -> bytes:
    """Milliseconds by architecture, a column a device."""
    columns = {}
    columns_of: list[Any] = [Latency.arch_id, Latency.latency_ms]
    for device_id, name in db.reader.execute(select(Device.id, Device.name).order_by(Device.name)):
        query = select(*columns_of).where(Latency.device_id == device_id)
        archs, values = read_numbers(db.reader, query)
        of_all = np.full(NUM_ARCHS, np.nan)
        of_all[archs.astype(np.int64)] = values
        columns[f"{LATENCY.name}:{name}"] = Column(of_all, LATENCY.scale)
    return pack(columns, rows=NUM_ARCHS)


def curves(db: Database, shelf: int) -> bytes:
    """All runs of `SHELF` architectures, whatever their status, with their epochs.

    The header has ``hashes`` of the architectures, and ``runs``: what is known of each, and how many epochs
    the columns have of it, one run after the other, from epoch 1 on. What epoch 1 has instead of its own is
    left out, as it is in frames.
    """
    first = shelf * SHELF
    last = min(first + SHELF, NUM_ARCHS) - 1
    query = (
        select(Run.id, Run.arch_id, Run.recipe_id, Recipe.first_epoch_is_best)
        .add_columns(*(getattr(Run, name) for name in _OF_RUNS))
        .join(Recipe)
        .where(Run.arch_id.between(first, last))
        .order_by(Run.arch_id, Recipe.name, Run.seed)
    )
    rows = db.rows_of(query)  # no snapshot, for which a file is written to
    ids = np.array([row["id"] for row in rows], dtype=np.int64)
    blocks = list(read_epochs([db.reader], ids, list(EPOCH_MEASURES))) if len(ids) else []
    of_runs = {run_id: values for block in blocks for run_id, values in _by_run(block).items()}
    parts: dict[str, list[Array]] = {name: [] for name in EPOCH_MEASURES}
    for row in rows:
        values = of_runs.get(row.pop("id"), {name: np.empty(0) for name in parts})
        is_lost = row.pop("first_epoch_is_best")
        for name, found in values.items():
            found[: first_of_curve(name, is_lost) - 1] = np.nan
            parts[name].append(found)
            row["epochs"] = len(found)
        row["seed"] = str(row["seed"])
        for name in ("started_at", "finished_at"):
            row[name] = row[name] and f"{row[name].isoformat(timespec='seconds')}Z"
    columns = {
        name: Column(np.concatenate([np.empty(0), *found]), EPOCH_MEASURES[name].scale)
        for name, found in parts.items()
    }
    hashes = [model_hash(index) for index in range(first, last + 1)]
    return pack(_known(columns), first=first, hashes=hashes, runs=rows)


def _by_run(block: EpochBlock) -> dict[int, dict[str, Array]]:
    """By run and measure the values by epoch, NaN where there is none."""
    found = {}
    ends = np.cumsum(block.counts)
    for run_id, begin, end in zip(block.run_ids.tolist(), ends - block.counts, ends, strict=True):
        epochs = block.epochs[begin:end]
        values = {}
        for name, stored in block.measures.items():
            values[name] = np.full(epochs.max(), np.nan)
            values[name][epochs - 1] = from_stored(stored[begin:end], EPOCH_MEASURES[name])
        found[run_id] = values
    return found


def _groups(db: Database) -> list[tuple[int, str, int]]:
    """Recipes, and the seeds of their finished runs: id and name of the one, and the other."""
    finished = Selection(db, "*", None).select(Run.recipe_id, Run.seed).distinct().subquery()
    query = select(Recipe.id, Recipe.name, finished.c.seed).join(finished, finished.c.recipe_id == Recipe.id)
    rows = db.reader.execute(query.order_by(Recipe.name, finished.c.seed))
    return [(recipe_id, name, seed) for recipe_id, name, seed in rows]


def _known(columns: dict[str, Column]) -> dict[str, Column]:
    """Without what was never measured."""
    return {name: column for name, column in columns.items() if not np.isnan(column.values).all()}
