"""A database, asked one value at a time; nothing is loaded up front.

The questions are plain SQL through the driver, since a call of SQLAlchemy takes longer than the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bloxdb.dataset.source import COLUMNS
from bloxdb.db.database import Database, opened
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import EPOCH_MEASURES, FINISHED, Device
from bloxdb.measures import COSTS, ENVIRONMENT, LATENCY, to_floats
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.space.keys import KEY, Ids

_FEW = 5_000  # architectures that are looked up in less time than all are read: 0.11 s for 91,125
_AT_ONCE = 500  # that one statement names
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

    def __init__(self, db: Database, recipe: str | None = None, seeds: Seeds = None) -> None:
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

    def arch_ids(self) -> Ids:
        """The architectures that have a run of any seed, in order."""
        sql = f"SELECT DISTINCT arch_id FROM runs WHERE recipe_id = ? AND {_IS_DONE} AND "
        rows = self._rows(f"{sql}{self._seeds_sql} ORDER BY arch_id", self._recipe_id)
        return np.array([row[0] for row in rows], dtype=np.int64)

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

    def many(self, name: str, arch_ids: Ids, seed: int, epoch: int) -> npt.NDArray[np.float64]:
        """A result, or a measure at an epoch, of many architectures; NaN where there is none."""
        if name in EPOCH_MEASURES:
            measure = EPOCH_MEASURES[name]
            scale = measure.scale
            sql = (
                f"SELECT arch_id, {measure.column} FROM runs JOIN epochs ON run_id = runs.id "
                f"AND epoch = ? WHERE recipe_id = ? AND seed = ? AND {_IS_DONE}"
            )
            rows = self._rows_of(arch_ids, sql, epoch, self._recipe_id, seed)
        elif name in COSTS:
            scale = 1
            rows = self._rows_of(arch_ids, f"SELECT arch_id, {name} FROM static_info WHERE arch_id >= 0")
        elif name.partition(":")[0] == LATENCY.name:
            scale = 1
            joined = "latencies JOIN devices ON devices.id = device_id"
            sql = f"SELECT arch_id, latency_ms FROM {joined} WHERE name = ?"
            rows = self._rows_of(arch_ids, sql, name.partition(":")[2])
        else:
            scale = 1
            sql = f"SELECT arch_id, {name} FROM runs WHERE recipe_id = ? AND seed = ? AND {_IS_DONE}"
            rows = self._rows_of(arch_ids, sql, self._recipe_id, seed)
        return _placed(rows, scale, arch_ids)

    def many_best(
        self, name: str, arch_ids: Ids, seed: int, first: int, last: int
    ) -> npt.NDArray[np.float64]:
        """The best of a measure in some epochs, of many architectures; NaN where there is none."""
        measure = EPOCH_MEASURES[name]
        best = "max" if measure.higher_is_better else "min"
        sql = (
            f"SELECT arch_id, {best}({measure.column}) FROM runs JOIN epochs ON run_id = runs.id "
            f"AND epoch BETWEEN ? AND ? WHERE recipe_id = ? AND seed = ? AND {_IS_DONE}"
        )
        asked = (first, last, self._recipe_id, seed)
        rows = self._rows_of(arch_ids, sql, *asked, end=" GROUP BY runs.id, arch_id")
        return _placed(rows, measure.scale, arch_ids)

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None

    def _rows_of(self, arch_ids: Ids, sql: str, *values: Any, end: str = "") -> list[Any]:
        """Rows of a query with a condition; only those of some architectures, where they are few."""
        if len(arch_ids) > _FEW:
            return self._rows(f"{sql}{end}", *values)
        rows = []
        for first in range(0, len(arch_ids), _AT_ONCE):
            listed = ", ".join(map(str, arch_ids[first : first + _AT_ONCE].tolist()))
            rows += self._rows(f"{sql} AND arch_id IN ({listed}){end}", *values)
        return rows

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a query with `?` for values, through the driver of this thread's connection."""
        driver = self.db.reader.connection().connection.driver_connection
        return self.db.engines.fetch(driver, sql, values)


def _placed(rows: list[Any], scale: int, arch_ids: Ids) -> npt.NDArray[np.float64]:
    """Stored values by architecture, in their unit, in the order of these architectures."""
    given = np.array(rows, dtype=np.float64).reshape(-1, 2)  # NULL is NaN
    found = np.full(NUM_ARCHS, np.nan)
    found[given[:, 0].astype(np.int64)] = to_floats(given[:, 1], scale)
    return found[arch_ids]
