"""A database, asked one value at a time; nothing is loaded up front.

The questions are plain SQL through the driver, since a call of SQLAlchemy takes longer than the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Select, and_, func, select

from bloxdb.dataset.source import COLUMNS, RESULTS
from bloxdb.db.arrays import read_numbers
from bloxdb.db.damage import kinds_told
from bloxdb.db.database import Database, opened
from bloxdb.db.dialects import plainly
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import EPOCH_MEASURES, Device, Epoch, Latency, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.measures import COSTS, ENVIRONMENT, LATENCY, to_floats
from bloxdb.selection import parts_of
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.space.costs import all_costs
from bloxdb.space.keys import KEY, Ids

_FEW = 5_000  # architectures that are looked up in less time than all are read: 0.11 s for 91,125
_IS_DONE = f"status = '{FINISHED}'"
_RUN = f"FROM runs WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND {_IS_DONE}"
_EPOCH = (
    "FROM epochs JOIN runs ON runs.id = run_id "
    f"WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND {_IS_DONE}"
)


class DatabaseSource:
    """The finished runs of one recipe.

    Parameters
    ----------
    db
        The database.
    recipe
        The name of the recipe; needed where there are several.
    seeds
        Only runs of this seed, or of these.

    Raises
    ------
    QueryError
        There is no such recipe or seed.
    """

    def __init__(self, db: Database, *, recipe: str | None = None, seeds: Seeds = None) -> None:
        self.db = db = opened(db)
        found = find_recipe(db, recipe)
        self.dataset = found.dataset
        self.epochs = found.epochs
        self._first_epoch_is_best = found.first_epoch_is_best
        self.columns = [KEY, *COLUMNS]
        self._recipe_id = found.id
        self.seeds = find_seeds(db.reader, seeds, found)
        self.devices = list(db.reader.scalars(select(Device.name).order_by(Device.name)))
        self._seeds_sql = f"seed IN ({', '.join(str(int(seed)) for seed in self.seeds) or 'NULL'})"

    @property
    def has_info(self) -> bool:
        """Whether there are costs: every database has them."""
        return True

    @property
    def has_env(self) -> bool:
        """Whether there are environments: a database may have them."""
        return True

    @property
    def first_epoch_is_best(self) -> bool:
        """Whether epoch 1 has the best epoch's validation instead of its own: the recipe says so."""
        return self._first_epoch_is_best

    def has(self, arch_id: int, seed: int | None = None) -> bool:
        """Whether the architecture has a run of a seed, or of any."""
        if seed is not None:
            return bool(self._rows(f"SELECT 1 {_RUN}", arch_id, self._recipe_id, seed))
        sql = f"SELECT 1 FROM runs WHERE arch_id = ? AND recipe_id = ? AND {_IS_DONE} AND "
        return bool(self._rows(f"{sql}{self._seeds_sql} LIMIT 1", arch_id, self._recipe_id))

    def arch_ids(self, seed: int | None = None) -> Ids:
        """The architectures that have a run of a seed, or of any, in order."""
        seeds = self.seeds if seed is None else [seed]
        query = select(Run.arch_id).where(
            plainly(Run.recipe_id) == self._recipe_id, Run.seed.in_(seeds), Run.status == FINISHED
        )
        is_there = np.zeros(NUM_ARCHS, dtype=bool)
        found = read_numbers(self.db.reader, query)[0]
        with kinds_told(), np.errstate(invalid="raise"):
            is_there[found.astype(np.int64)] = True
        return np.flatnonzero(is_there)

    def result(self, name: str, arch_id: int, seed: int) -> float | int | None:
        """One value of a run."""
        found: float | int | None = self._value(f"SELECT {name} {_RUN}", arch_id, self._recipe_id, seed)
        return found

    def at(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """A measure at an epoch."""
        measure = EPOCH_MEASURES[name]
        sql = f"SELECT {measure.column} {_EPOCH} AND epoch = ?"
        return measure.natural(self._value(sql, arch_id, self._recipe_id, seed, epoch))

    def best(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """The best of a measure in the first epochs."""
        if name == "val_top1" and epoch == self.epochs:
            return self.result(name, arch_id, seed)
        measure = EPOCH_MEASURES[name]
        best = "max" if measure.higher_is_better else "min"
        sql = f"SELECT {best}({measure.column}) {_EPOCH} AND epoch <= ?"
        return measure.natural(self._value(sql, arch_id, self._recipe_id, seed, epoch))

    def curve(self, name: str, arch_id: int, seed: int) -> list[float | None] | None:
        """A measure of all epochs."""
        measure = EPOCH_MEASURES[name]
        sql = f"SELECT {measure.column} {_EPOCH} ORDER BY epoch"
        rows = self._rows(sql, arch_id, self._recipe_id, seed)
        if all(row[0] is None for row in rows):
            return None
        return [measure.natural(row[0]) for row in rows]

    def latency(self, device: str, arch_id: int) -> float | None:
        """The latency on a device, in milliseconds."""
        sql = "SELECT latency_ms FROM latencies JOIN devices ON id = device_id WHERE arch_id = ? AND name = ?"
        found: float | None = self._value(sql, arch_id, device)
        return found

    def info(self, arch_id: int) -> tuple[int, int] | None:
        """Multiply-accumulates for one image, and trainable parameters."""
        rows = self._rows("SELECT flops, params FROM static_info WHERE arch_id = ?", arch_id)
        return (rows[0][0], rows[0][1]) if rows else None

    def highest(self, name: str, seed: int) -> float:
        """The highest of a result among all runs of a seed.

        Parameters
        ----------
        name
            The name of a measure of runs.
        seed
            The seed of the runs.

        Returns
        -------
        float
            The value in the unit of the measure; 0 if there is none.
        """
        sql = f"SELECT max({name}) FROM runs WHERE recipe_id = ? AND seed = ? AND {_IS_DONE}"
        return float(self._value(sql, self._recipe_id, seed) or 0.0)

    def env(self, arch_id: int, seed: int) -> dict[str, str] | None:
        """The environment of a run."""
        columns = ", ".join(ENVIRONMENT)
        sql = (
            f"SELECT {columns} FROM envs JOIN runs ON envs.id = env_id "
            f"WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND {_IS_DONE}"
        )
        rows = self._rows(sql, arch_id, self._recipe_id, seed)
        return dict(zip(ENVIRONMENT, rows[0], strict=True)) if rows else None

    def many(
        self, names: Sequence[str], arch_ids: Ids, seed: int, epoch: int
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Results, measures at an epoch, costs and latencies of many architectures; NaN for none.

        What is in one table is read in one pass.
        """
        found: dict[str, npt.NDArray[np.float64]] = {}
        curves = [name for name in names if name in EPOCH_MEASURES]
        if curves:
            of_epoch = and_(plainly(Run.id) == Epoch.run_id, Epoch.epoch == epoch)
            stored = [getattr(Epoch, EPOCH_MEASURES[name].column) for name in curves]
            query = select(Run.arch_id, *stored).join(Epoch, of_epoch).where(*self._of_seed(seed))
            query = query.order_by(Run.id)  # as the epochs lie in the file
            scales = [EPOCH_MEASURES[name].scale for name in curves]
            found |= self._placed(query, curves, scales, arch_ids)
        results = [name for name in names if name in RESULTS]
        if results:
            found |= self._of_runs(results, arch_ids, seed)
        if any(name in COSTS for name in names):  # the search space alone determines them
            costs = dict(zip(("flops", "params"), all_costs()[arch_ids].T.astype(np.float64), strict=True))
            found |= {name: costs[name] for name in names if name in COSTS}
        for name in names:
            kind, _, device = name.partition(":")
            if kind == LATENCY.name:
                columns: list[Any] = [Latency.arch_id, Latency.latency_ms]
                query = select(*columns).join(Device).where(Device.name == device)
                found |= self._placed(query, [name], [1], arch_ids)
        return found

    def many_best(
        self, name: str, arch_ids: Ids, seed: int, first: int, last: int
    ) -> npt.NDArray[np.float64]:
        """The best of a measure in some epochs, of many architectures; NaN where there is none."""
        if name == "val_top1" and (first, last) == (1, self.epochs):
            return self._of_runs([name], arch_ids, seed)[name]
        measure = EPOCH_MEASURES[name]
        stored = getattr(Epoch, measure.column)
        best = func.max(stored) if measure.higher_is_better else func.min(stored)
        of_epochs = and_(plainly(Run.id) == Epoch.run_id, Epoch.epoch.between(first, last))
        runs = select(Run.arch_id, best).join(Epoch, of_epochs).where(*self._of_seed(seed))
        return self._placed(runs.group_by(Run.id, Run.arch_id), [name], [measure.scale], arch_ids)[name]

    def _of_runs(self, names: Sequence[str], arch_ids: Ids, seed: int) -> dict[str, npt.NDArray[np.float64]]:
        query = select(Run.arch_id, *(getattr(Run, name) for name in names)).where(*self._of_seed(seed))
        return self._placed(query, names, [1] * len(names), arch_ids)

    def _of_seed(self, seed: int) -> tuple[ColumnElement[bool], ...]:
        """All of its runs are wanted, and an index finds them one by one."""
        return (
            plainly(Run.recipe_id) == self._recipe_id,
            plainly(Run.seed) == seed,
            Run.status == FINISHED,
        )

    def _placed(
        self, query: Select[Any], names: Sequence[str], scales: Sequence[int], arch_ids: Ids
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Columns that a query gives after the architectures, in their unit, of these architectures."""
        arch_id = next(iter(query.selected_columns))
        parts = parts_of(query, arch_id, arch_ids if len(arch_ids) <= _FEW else None)
        read = [read_numbers(self.db.reader, part) for part in parts]
        given, *columns = np.concatenate([np.empty((1 + len(names), 0)), *read], axis=1)
        rows = np.full(NUM_ARCHS, len(given), dtype=np.int64)  # where there is none, the one after the last
        rows[given.astype(np.int64)] = np.arange(len(given))
        wanted = rows[arch_ids]
        return {
            name: np.append(to_floats(values, scale), np.nan)[wanted]
            for name, values, scale in zip(names, columns, scales, strict=True)
        }

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a query with `?` for values, through the driver of this thread's connection."""
        return self.db.engines.fetch(self.db.reader, sql, values)
