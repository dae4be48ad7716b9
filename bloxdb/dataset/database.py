"""A database, asked one value at a time; nothing is loaded up front.

The questions are plain SQL through the driver, since a call of SQLAlchemy takes longer than the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bloxdb.codecs.columns import COLUMNS, ENV_COLUMNS, SCALES
from bloxdb.dataset.source import CURVES, RESULTS, is_lower_better
from bloxdb.db.database import Database
from bloxdb.db.schema import EPOCH_MEASURES, Device, Run
from bloxdb.errors import QueryError
from bloxdb.queries import find_recipe
from bloxdb.space.keys import Ids

_RUN = "FROM runs WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND status = 'finished'"
_EPOCH = (
    "FROM epochs JOIN runs ON runs.id = run_id "
    "WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND status = 'finished'"
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
        Which; all that there are if not given.

    Raises
    ------
    QueryError
        There is no such recipe or seed.
    """

    def __init__(self, db: Database, recipe: str | None = None, seeds: Iterable[int] | None = None) -> None:
        found = find_recipe(db, recipe)
        self.db = db
        self.dataset = found.dataset
        self.epochs = found.epochs
        self.columns = ["model_hash", *CURVES, *RESULTS]
        self._recipe_id = found.id
        query = select(Run.seed).where(Run.recipe_id == found.id, Run.status == "finished").distinct()
        there = sorted(db.reader.scalars(query))
        self.seeds = there if seeds is None else list(dict.fromkeys(seeds))
        for seed in self.seeds:
            if seed not in there:
                known = ", ".join(map(str, there)) or "none"
                raise QueryError(
                    f"recipe {found.name} has no finished run of seed {seed!r}; choose of: {known}"
                )
        self.devices = list(db.reader.scalars(select(Device.name).order_by(Device.name)))
        self._is_sqlite = db.path is not None
        self._seeds_sql = f"seed IN ({', '.join(str(int(seed)) for seed in self.seeds) or 'NULL'})"

    @property
    def has_info(self) -> bool:
        """Every database has costs."""
        return True

    @property
    def has_env(self) -> bool:
        """It may have environments."""
        return True

    def has(self, arch_id: int) -> bool:
        """Whether the architecture has a run of any seed."""
        sql = "SELECT 1 FROM runs WHERE arch_id = ? AND recipe_id = ? AND status = 'finished' AND "
        return bool(self._rows(f"{sql}{self._seeds_sql} LIMIT 1", arch_id, self._recipe_id))

    def arch_ids(self) -> Ids:
        """The architectures that have a run of any seed, in order."""
        sql = "SELECT DISTINCT arch_id FROM runs WHERE recipe_id = ? AND status = 'finished' AND "
        rows = self._rows(f"{sql}{self._seeds_sql} ORDER BY arch_id", self._recipe_id)
        return np.array([row[0] for row in rows], dtype=np.int64)

    def result(self, name: str, arch_id: int, seed: int) -> float | int | None:
        """One value of a run."""
        found: float | int | None = self._value(f"SELECT {name} {_RUN}", arch_id, self._recipe_id, seed)
        return found

    def at(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """A measure at an epoch."""
        sql = f"SELECT {EPOCH_MEASURES[name]} {_EPOCH} AND epoch = ?"
        return _unit(name, self._value(sql, arch_id, self._recipe_id, seed, epoch))

    def best(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """The best of a measure in the first epochs."""
        if name == "val_top1" and epoch == self.epochs:
            return self.result(name, arch_id, seed)
        best = "min" if is_lower_better(name) else "max"
        sql = f"SELECT {best}({EPOCH_MEASURES[name]}) {_EPOCH} AND epoch <= ?"
        return _unit(name, self._value(sql, arch_id, self._recipe_id, seed, epoch))

    def curve(self, name: str, arch_id: int, seed: int) -> list[float] | None:
        """A measure of all epochs."""
        sql = f"SELECT {EPOCH_MEASURES[name]} {_EPOCH} ORDER BY epoch"
        rows = self._rows(sql, arch_id, self._recipe_id, seed)
        if not rows or rows[0][0] is None:
            return None
        scale = SCALES[COLUMNS[name]]
        return [row[0] / scale for row in rows]

    def latency(self, device: str, arch_id: int) -> float | None:
        """Milliseconds."""
        sql = "SELECT latency_ms FROM latencies JOIN devices ON id = device_id WHERE arch_id = ? AND name = ?"
        found: float | None = self._value(sql, arch_id, device)
        return found

    def info(self, arch_id: int) -> tuple[int, int] | None:
        """FLOPs and parameters."""
        rows = self._rows("SELECT flops, params FROM static_info WHERE arch_id = ?", arch_id)
        return (rows[0][0], rows[0][1]) if rows else None

    def highest(self, name: str, seed: int) -> float:
        """The highest of a result among all runs of a seed."""
        sql = f"SELECT max({name}) FROM runs WHERE recipe_id = ? AND seed = ? AND status = 'finished'"
        return float(self._value(sql, self._recipe_id, seed) or 0.0)

    def env(self, arch_id: int, seed: int) -> dict[str, str] | None:
        """The environment of a run."""
        columns = ", ".join(ENV_COLUMNS)
        sql = (
            f"SELECT {columns} FROM envs JOIN runs ON envs.id = env_id "
            "WHERE arch_id = ? AND recipe_id = ? AND seed = ? AND status = 'finished'"
        )
        rows = self._rows(sql, arch_id, self._recipe_id, seed)
        return dict(zip(ENV_COLUMNS, rows[0], strict=True)) if rows else None

    def many(self, name: str, arch_ids: Ids, seed: int, epoch: int) -> npt.NDArray[np.float64]:
        """A result, or a measure at an epoch, of many architectures; NaN where there is none."""
        if name in EPOCH_MEASURES:
            scale = SCALES[COLUMNS[name]]
            sql = (
                f"SELECT arch_id, {EPOCH_MEASURES[name]} FROM runs JOIN epochs ON run_id = runs.id "
                "AND epoch = ? WHERE recipe_id = ? AND seed = ? AND status = 'finished'"
            )
            rows = self._rows(sql, epoch, self._recipe_id, seed)
        else:
            scale = 1
            sql = f"SELECT arch_id, {name} FROM runs WHERE recipe_id = ? AND seed = ? AND status = 'finished'"
            rows = self._rows(sql, self._recipe_id, seed)
        found = np.full(int(arch_ids.max(initial=0)) + 1, np.nan)
        given = [(index, value) for index, value in rows if value is not None and index < len(found)]
        if given:
            ids, values = zip(*given, strict=True)
            found[np.array(ids)] = np.array(values, dtype=np.float64) / scale
        return found[arch_ids]

    def _value(self, sql: str, *values: Any) -> Any:
        rows = self._rows(sql, *values)
        return rows[0][0] if rows else None

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a query with `?` for values, through the driver of this thread's connection."""
        driver: Any = self.db.reader.connection().connection.driver_connection
        if self._is_sqlite:
            found: list[Any] = driver.execute(sql, values).fetchall()
            return found
        with driver.cursor() as cursor:
            found = cursor.execute(sql.replace("?", "%s"), values).fetchall()
            return found


def _unit(name: str, stored: int | None) -> float | None:
    return None if stored is None else stored / SCALES[COLUMNS[name]]
