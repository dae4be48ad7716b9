"""Training files into runs and epochs: new ones are added, what is there is compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, select, update

from bloxdb.codecs import Table
from bloxdb.codecs.columns import is_list
from bloxdb.db.best import best_epochs
from bloxdb.db.epochs import EpochWriter, stored_curves
from bloxdb.db.references import costs_of
from bloxdb.db.schema import EPOCH_MEASURES, Epoch, Recipe, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import ReleaseError
from bloxdb.measures import MISSING, RUN, Array, from_stored, to_stored
from bloxdb.release.changes import Changes

_SLICE = 1_000  # runs whose fields are made or compared at once
_RESULTS = tuple(name for name, measure in RUN.items() if measure.file is not None)


@dataclass(frozen=True)
class RunData:
    """Values of many runs.

    Attributes
    ----------
    name
        The files they come from, for messages.
    ids
        Architecture indices, shape (n,).
    results
        `test_top1`, … as float64 (n,), NaN for NULL.
    measures
        Stored integers of the epochs by measure, each (n, epochs), as `bloxdb.db.epochs` has them.
    """

    name: str
    ids: npt.NDArray[np.int64]
    results: dict[str, npt.NDArray[np.float64]]
    measures: dict[str, Array]

    def take(self, rows: Any) -> RunData:
        """Some of the runs."""
        results = {name: values[rows] for name, values in self.results.items()}
        measures = {name: values[rows] for name, values in self.measures.items()}
        return RunData(self.name, self.ids[rows], results, measures)

    def sorted(self) -> RunData:
        """The runs in the order of their architectures."""
        return self if np.all(self.ids[1:] > self.ids[:-1]) else self.take(np.argsort(self.ids))


def run_data(table: Table, ids: npt.NDArray[np.int64], path: Path, *, rounds: bool = False) -> RunData:
    """The values of a training file, in the order of architectures.

    Raises
    ------
    BloxFormatError
        A value has more decimals than the database keeps.
    """
    measures = {}
    results = {name: np.full(len(table), np.nan) for name in _RESULTS}
    for name in table.header.columns:
        if is_list(name):
            measures[name] = to_stored(table[name], EPOCH_MEASURES[name], str(path), rounds=rounds)
        elif name in results:
            results[name] = table.values(name).astype(np.float64)
    return RunData(path.name, ids, results, measures).sorted()


def merge_parts(base: RunData, ext: RunData) -> tuple[RunData, RunData]:
    """Base rows with their ext values, and the ext rows that have no base row here; both are in order."""
    name = f"{base.name}, {ext.name}"
    rest = ext.take(~np.isin(ext.ids, base.ids, assume_unique=True))
    rows = np.searchsorted(base.ids, ext.ids)
    if len(rest.ids):
        matched = np.isin(ext.ids, base.ids, assume_unique=True)
        ext, rows = ext.take(matched), rows[matched]
    results = {key: values.copy() for key, values in base.results.items()}
    for key, values in results.items():
        values[rows] = _first_given(ext.results[key], values[rows])
    measures = dict(base.measures)
    for key, given in ext.measures.items():
        if len(rows) == len(base.ids) and key not in measures:
            measures[key] = given
            continue
        merged = np.full((len(base.ids), given.shape[1]), MISSING)
        if key in measures:
            merged[:] = measures[key]
        merged[rows] = _first_given(given, merged[rows])
        measures[key] = merged
    return RunData(name, base.ids, results, measures), rest


def _first_given(new: Array, old: Array) -> Array:
    """New values, and old ones where there are none."""
    absent = np.isnan(new) if new.dtype == np.float64 else new == MISSING
    return np.where(absent, old, new)


class RunStore:
    """The runs of one recipe and seed, all of one status."""

    def __init__(
        self, writer: EpochWriter, recipe: Recipe, seed: int, changes: Changes, *, status: str = FINISHED
    ) -> None:
        self.session = writer.session
        self.writer = writer
        self.recipe = recipe
        self.seed = seed
        self.changes = changes
        self.report = changes.report
        self.status = status

    def save(self, data: RunData, *, create: bool) -> None:
        """Add what is new and compare what is there; without `create` every run must be there."""
        query = select(Run.arch_id).where(Run.recipe_id == self.recipe.id, Run.seed == self.seed)
        is_new = ~np.isin(data.ids, np.array(self.session.scalars(query).all(), dtype=np.int64))
        if is_new.any():
            if not create:
                raise ReleaseError(
                    f"{data.name}: architecture {data.ids[is_new][0]} has no run of seed {self.seed} and "
                    f"recipe {self.recipe.name}; an ext file extends its base file, import that too"
                )
            self._add(data if is_new.all() else data.take(is_new))
        if not is_new.all():
            self.writer.flush()
            there = data.take(~is_new)
            for first in range(0, len(there.ids), _SLICE):
                block = there.take(slice(first, first + _SLICE))
                self._compare(block, self._known(block.ids))

    def _known(self, ids: npt.NDArray[np.int64]) -> dict[int, Run]:
        query = select(Run).where(
            Run.recipe_id == self.recipe.id,
            Run.seed == self.seed,
            Run.arch_id.between(int(ids[0]), int(ids[-1])),
        )
        self.session.expire_all()
        return {run.arch_id: run for run in self.session.scalars(query)}

    def _add(self, data: RunData) -> None:
        first_id = (self.session.scalar(select(func.max(Run.id))) or 0) + 1
        best = _best_epochs(data)
        costs = costs_of(self.session, data.ids)
        for first in range(0, len(data.ids), _SLICE):
            block = slice(first, first + _SLICE)
            ids = data.ids[block].tolist()
            flops, params = zip(*(costs[index] for index in ids), strict=True)
            columns: dict[str, Iterable[object]] = {
                "arch_id": ids,
                "recipe_id": [self.recipe.id] * len(ids),
                "seed": [self.seed] * len(ids),
                "status": [self.status] * len(ids),
                "flops": flops,
                "params": params,
                **_summaries(data.take(block), best[block]),
            }
            rows = list(zip(*columns.values(), strict=True))
            self.writer.engines.add_rows(self.session, Run, list(columns), rows)
        query = (
            select(Run.id)
            .where(Run.recipe_id == self.recipe.id, Run.seed == self.seed, Run.id >= first_id)
            .order_by(Run.arch_id)
        )
        run_ids = np.array(self.session.scalars(query).all(), dtype=np.int64)
        self.writer.write(run_ids, data.measures)
        self.report.added += len(data.ids)
        epochs = max((values.shape[1] for values in data.measures.values()), default=0)
        self.changes.new.runs(self.recipe.name, self.seed, epochs, data.ids)

    def _compare(self, data: RunData, known: dict[int, Run]) -> None:
        runs = [known[index] for index in data.ids.tolist()]
        old = self._stored(runs, data)
        changed = np.zeros(len(runs), dtype=bool)
        for row, run in enumerate(runs):
            if run.status != self.status:
                changed[row] = True
                self._note(data, row, "status", run.status, self.status)
        for name in _RESULTS:
            self._compare_field(data, name, old.results[name], data.results[name], np.nan, changed)
        for name, values in data.measures.items():
            self._compare_field(data, name, old.measures[name], values, MISSING, changed)
        self.report.unchanged += int((~changed).sum())
        if changed.any():
            self._rewrite(old.take(changed), data.take(changed), known)

    def _compare_field(
        self, data: RunData, name: str, old: Array, new: Array, missing: float, changed: Array
    ) -> None:
        given = ~np.isnan(new) if np.isnan(missing) else new != missing
        there = ~np.isnan(old) if np.isnan(missing) else old != missing
        differs = given & (old != new)
        changed |= differs.reshape(len(changed), -1).any(axis=1)
        against = (differs & there).reshape(len(changed), -1)
        natural = EPOCH_MEASURES[name].natural if is_list(name) else float
        for row in np.flatnonzero(against.any(axis=1)).tolist():
            at = int(np.flatnonzero(against[row])[0])
            epoch = f" of epoch {at + 1}" if is_list(name) else ""
            pair = (natural(np.atleast_1d(values[row])[at]) for values in (old, new))
            self._note(data, row, name + epoch, *pair)

    def _note(self, data: RunData, row: int, what: str, old: object, new: object) -> None:
        self.changes.differs(
            f"{data.name}, architecture {data.ids[row]}, seed {self.seed}: {what} is", old, new
        )

    def _stored(self, runs: list[Run], data: RunData) -> RunData:
        """What the database holds for these runs, in the shape of `data`."""
        epochs = max((values.shape[1] for values in data.measures.values()), default=0)
        run_ids = np.array([run.id for run in runs], dtype=np.int64)
        measures = stored_curves(self.session, run_ids, list(EPOCH_MEASURES), epochs)
        results = {
            name: np.array([getattr(run, name) for run in runs], dtype=np.float64) for name in _RESULTS
        }
        return RunData(data.name, data.ids, results, measures)

    def _rewrite(self, old: RunData, new: RunData, known: dict[int, Run]) -> None:
        """Store the new values over the old ones; what the files do not give stays."""
        merged = RunData(
            new.name,
            new.ids,
            {name: _first_given(values, old.results[name]) for name, values in new.results.items()},
            {
                name: _first_given(new.measures[name], values) if name in new.measures else values
                for name, values in old.measures.items()
            },
        )
        run_ids = np.array([known[index].id for index in merged.ids.tolist()], dtype=np.int64)
        summaries = _summaries(merged, _best_epochs(merged))
        changes = [
            {"id": run_id, "status": self.status, **dict(zip(summaries, row, strict=True))}
            for run_id, row in zip(run_ids.tolist(), zip(*summaries.values(), strict=True), strict=True)
        ]
        self.session.execute(update(Run), changes)
        self.session.execute(delete(Epoch).where(Epoch.run_id.in_(run_ids.tolist())))
        self.writer.write(run_ids, merged.measures)
        if not self.changes.replace:
            self.report.added += len(run_ids)


def _best_epochs(data: RunData) -> npt.NDArray[np.int64]:
    """The position of the best epoch of each run; -1 where no validation top-1 is known."""
    if "val_top1" not in data.measures:
        return np.full(len(data.ids), -1)
    best = np.empty(len(data.ids), dtype=np.int64)
    for first in range(0, len(data.ids), _SLICE):
        block = slice(first, first + _SLICE)
        loss = data.measures.get("val_loss")
        best[block] = best_epochs(data.measures["val_top1"][block], None if loss is None else loss[block])
    return best


def _summaries(data: RunData, best: npt.NDArray[np.int64]) -> dict[str, list[object]]:
    """The columns that the values of runs determine."""
    top1 = np.full(len(best), np.nan)
    if "val_top1" in data.measures:
        at_best = data.measures["val_top1"][np.arange(len(best)), best]
        top1 = np.where(best < 0, np.nan, from_stored(at_best, EPOCH_MEASURES["val_top1"]))
    columns: dict[str, list[object]] = {
        "best_epoch": [None if at < 0 else at + 1 for at in best.tolist()],
        "val_top1": _or_none(top1),
    }
    for name in _RESULTS:
        values = _or_none(data.results[name])
        whole = RUN[name].scale == 1
        columns[name] = [int(v) if whole and v is not None else v for v in values]
    return columns


def _or_none(values: npt.NDArray[np.float64]) -> list[Any]:
    return [None if value != value else value for value in values.tolist()]
