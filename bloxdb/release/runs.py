"""Training files into runs and epochs: new ones are added, what is there is compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.codecs import Table
from bloxdb.codecs.columns import COLUMNS, SCALES, is_list
from bloxdb.codecs.fixed import Array, to_floats
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.release.changes import Changes
from bloxdb.schema import EPOCH_MEASURES, Epoch, Recipe, Run

MISSING = int(np.iinfo(np.int64).min)
"""A stored integer that is NULL."""

_SLICE = 1_000  # runs a step: 200,000 rows of epochs
_MEASURES = tuple(EPOCH_MEASURES)
_RESULTS = ("test_top1", "test_top5", "test_loss", "train_time_s")


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
        Stored integers of the epochs, shape (n, epochs, 6 measures), `MISSING` for NULL.
    """

    name: str
    ids: npt.NDArray[np.int64]
    results: dict[str, npt.NDArray[np.float64]]
    measures: npt.NDArray[np.int64]

    def take(self, rows: Any) -> RunData:
        """Some of the runs."""
        results = {name: values[rows] for name, values in self.results.items()}
        return RunData(self.name, self.ids[rows], results, self.measures[rows])


def run_data(table: Table, ids: npt.NDArray[np.int64], path: Path) -> RunData:
    """The values of a training file.

    Raises
    ------
    BloxFormatError
        A value has more decimals than the database keeps.
    """
    measures = np.full((len(table), table.header.epochs or 0, len(_MEASURES)), MISSING, np.int64)
    results = {name: np.full(len(table), np.nan) for name in _RESULTS}
    for name in table.header.columns:
        if is_list(name):
            measures[:, :, _MEASURES.index(name)] = _stored(table[name], name, path)
        elif name in results:
            results[name] = table.values(name).astype(np.float64)
    return RunData(path.name, ids, results, measures)


def _stored(array: Array, name: str, path: Path) -> npt.NDArray[np.int64]:
    """A per-epoch column as the integers that the database keeps."""
    if array.dtype != np.float64:
        return array.astype(np.int64)
    scale = SCALES[COLUMNS[name]]
    absent = np.isnan(array)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.rint(np.where(absent, 0, array) * scale)
        fits = np.abs(scaled) < 2**53
        stored = np.where(fits, scaled, 0).astype(np.int64)
    bad = ~absent & ~(fits & (to_floats(stored, scale) == array))
    if bad.any():
        row, epoch = np.argwhere(bad)[0].tolist()
        raise BloxFormatError(
            f"the value {array[row, epoch]} of epoch {epoch + 1} has more decimals than the "
            f"{len(str(scale)) - 1} that the database keeps",
            source=str(path),
            row=row,
            column=name,
        )
    return np.where(absent, MISSING, stored)


def merge_parts(base: RunData, ext: RunData) -> tuple[RunData, RunData]:
    """Base rows with their ext values, and the ext rows that have no base row here."""
    order = np.argsort(base.ids)
    place = np.minimum(np.searchsorted(base.ids[order], ext.ids), max(len(order) - 1, 0))
    matched = base.ids[order][place] == ext.ids if len(order) else np.zeros(len(ext.ids), bool)
    rows = order[place[matched]]
    measures = base.measures.copy()
    measures[rows] = np.where(ext.measures[matched] == MISSING, measures[rows], ext.measures[matched])
    results = {name: values.copy() for name, values in base.results.items()}
    for name, values in results.items():
        given = ext.results[name][matched]
        values[rows] = np.where(np.isnan(given), values[rows], given)
    merged = RunData(f"{base.name}, {ext.name}", base.ids, results, measures)
    return merged, ext.take(~matched)


class RunStore:
    """The runs of one recipe and seed."""

    def __init__(self, session: Session, recipe: Recipe, seed: int, changes: Changes) -> None:
        self.session = session
        self.recipe = recipe
        self.seed = seed
        self.changes = changes
        self.report = changes.report

    def save(self, data: RunData, *, create: bool) -> None:
        """Add what is new and compare what is there; without `create` every run must be there."""
        data = data.take(np.argsort(data.ids))
        for start in range(0, len(data.ids), _SLICE):
            self._save_slice(data.take(slice(start, start + _SLICE)), create)

    def _save_slice(self, data: RunData, create: bool) -> None:
        known = self._known(data.ids)
        is_new = np.array([index not in known for index in data.ids.tolist()], dtype=bool)
        if is_new.any():
            if not create:
                raise ReleaseError(
                    f"{data.name}: architecture {data.ids[is_new][0]} has no run of seed {self.seed} and "
                    f"recipe {self.recipe.name}; an ext file extends its base file, import that too"
                )
            self._add(data.take(is_new))
        if not is_new.all():
            self._compare(data.take(~is_new), known)

    def _known(self, ids: npt.NDArray[np.int64]) -> dict[int, Run]:
        query = select(Run).where(
            Run.recipe_id == self.recipe.id,
            Run.seed == self.seed,
            Run.arch_id.between(int(ids[0]), int(ids[-1])),
        )
        self.session.expire_all()
        return {run.arch_id: run for run in self.session.scalars(query)}

    def _add(self, data: RunData) -> None:
        best = _best_epochs(data.measures)
        fields = [
            {
                "arch_id": index,
                "recipe_id": self.recipe.id,
                "seed": self.seed,
                "status": "finished",
                **_summary(data, row, best),
            }
            for row, index in enumerate(data.ids.tolist())
        ]
        self.session.execute(insert(Run.__table__), fields)  # type: ignore[arg-type]
        known = self._known(data.ids)
        run_ids = np.array([known[index].id for index in data.ids.tolist()], dtype=np.int64)
        self._insert_epochs(run_ids, data.measures)
        self.report.added += len(data.ids)

    def _insert_epochs(self, run_ids: npt.NDArray[np.int64], measures: npt.NDArray[np.int64]) -> None:
        epochs = measures.shape[1]
        names = ["run_id", "epoch", *EPOCH_MEASURES.values()]
        columns = [
            np.repeat(run_ids, epochs).tolist(),
            np.tile(np.arange(1, epochs + 1), len(run_ids)).tolist(),
        ]
        for values in np.moveaxis(measures, -1, 0).reshape(len(_MEASURES), -1):
            listed = values.tolist()
            if (values == MISSING).any():
                listed = [None if value == MISSING else value for value in listed]
            columns.append(listed)
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        self.session.execute(insert(Epoch.__table__), rows)  # type: ignore[arg-type]

    def _compare(self, data: RunData, known: dict[int, Run]) -> None:
        runs = [known[index] for index in data.ids.tolist()]
        old = self._stored(runs, data)
        changed = np.zeros(len(runs), dtype=bool)
        for row, run in enumerate(runs):
            if run.status != "finished":
                changed[row] = True
                self._note(data, row, "status", run.status, "finished")
        for name in _RESULTS:
            self._compare_field(data, name, old.results[name], data.results[name], np.nan, changed)
        for m, name in enumerate(_MEASURES):
            self._compare_field(data, name, old.measures[:, :, m], data.measures[:, :, m], MISSING, changed)
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
        scale = SCALES[COLUMNS[name]] if is_list(name) else 1
        for row in np.flatnonzero(against.any(axis=1)).tolist():
            at = int(np.flatnonzero(against[row])[0])
            epoch = f" of epoch {at + 1}" if is_list(name) else ""
            pair = (np.atleast_1d(values[row])[at] / scale for values in (old, new))
            self._note(data, row, name + epoch, *pair)

    def _note(self, data: RunData, row: int, what: str, old: object, new: object) -> None:
        self.changes.differs(
            f"{data.name}, architecture {data.ids[row]}, seed {self.seed}: {what} is", old, new
        )

    def _stored(self, runs: list[Run], data: RunData) -> RunData:
        """What the database holds for these runs, in the shape of `data`."""
        measures = np.full_like(data.measures, MISSING)
        place = {run.id: row for row, run in enumerate(runs)}
        columns = [getattr(Epoch, name) for name in EPOCH_MEASURES.values()]
        low, high = min(place), max(place)
        query = select(Epoch.run_id, Epoch.epoch, *columns).where(Epoch.run_id.between(low, high))
        for run_id, epoch, *values in self.session.execute(query):
            if run_id in place and epoch <= measures.shape[1]:
                measures[place[run_id], epoch - 1] = [MISSING if v is None else v for v in values]
        results = {
            name: np.array([getattr(run, name) for run in runs], dtype=np.float64) for name in _RESULTS
        }
        return RunData(data.name, data.ids, results, measures)

    def _rewrite(self, old: RunData, new: RunData, known: dict[int, Run]) -> None:
        """Store the new values over the old ones; what the files do not give stays."""
        merged = RunData(
            new.name,
            new.ids,
            {
                name: np.where(np.isnan(values), old.results[name], values)
                for name, values in new.results.items()
            },
            np.where(new.measures == MISSING, old.measures, new.measures),
        )
        best = _best_epochs(merged.measures)
        run_ids = np.array([known[index].id for index in merged.ids.tolist()], dtype=np.int64)
        changes = [
            {"id": run_id, "status": "finished", **_summary(merged, row, best)}
            for row, run_id in enumerate(run_ids.tolist())
        ]
        self.session.execute(update(Run), changes)
        self.session.execute(delete(Epoch).where(Epoch.run_id.in_(run_ids.tolist())))
        self._insert_epochs(run_ids, merged.measures)
        if not self.changes.replace:
            self.report.added += len(run_ids)


def _best_epochs(measures: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Position of the highest validation top-1, ties by lower validation loss, then the earlier one."""
    top1 = measures[:, :, _MEASURES.index("val_top1")]
    loss = measures[:, :, _MEASURES.index("val_loss")]
    is_best = top1 == top1.max(axis=1, keepdims=True)
    last = np.iinfo(np.int64).max
    rank = np.where(is_best, np.where(loss == MISSING, last - 1, loss), last)
    best: npt.NDArray[np.int64] = rank.argmin(axis=1)
    return best


def _summary(data: RunData, row: int, best: npt.NDArray[np.int64]) -> dict[str, object]:
    """The columns of a run that its values determine."""
    at = int(best[row])
    top1 = int(data.measures[row, at, _MEASURES.index("val_top1")])
    fields: dict[str, object] = {
        "best_epoch": None if top1 == MISSING else at + 1,
        "val_top1": None if top1 == MISSING else top1 / SCALES[COLUMNS["val_top1"]],
    }
    for name in _RESULTS:
        value = float(data.results[name][row])
        fields[name] = None if np.isnan(value) else value
    if fields["train_time_s"] is not None:
        fields["train_time_s"] = int(data.results["train_time_s"][row])
    return fields
