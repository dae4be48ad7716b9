"""What tables of Parquet files say of each other: references, names, and copies of what is said elsewhere.

The rules are those of the database, asked where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bloxdb.arrow_checks import FileColumn, Row
from bloxdb.counts import Counts
from bloxdb.db.best import best_epochs
from bloxdb.db.needed import NEEDED_OF_RUNS
from bloxdb.db.recipes import new_name
from bloxdb.db.schema import Base, Device, Env, Latency, Recipe, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.device_names import new_device_name
from bloxdb.errors import QueryError
from bloxdb.measures import COSTS, MISSING, NEEDED, RUN
from bloxdb.space.costs import check_costs


class Tables(NamedTuple):
    """The rows of all tables but epochs, and their files.

    Attributes
    ----------
    rows
        The rows of each table.
    folder
        The folder of the files.
    """

    rows: Mapping[type[Base], list[Row]]
    folder: Path

    def place(self, model: type[Base], column: str) -> FileColumn:
        """A column of a table's file.

        Parameters
        ----------
        model
            The table.
        column
            The column.
        """
        return FileColumn(self.folder / f"{model.__tablename__}.parquet", column)

    def check(self) -> None:
        """References, names, and copies of what is said elsewhere.

        Raises
        ------
        BloxFormatError
            A row refers to none, or contradicts what it copies.
        """
        for model, column, other in (
            (Run, "recipe_id", Recipe),
            (Run, "env_id", Env),
            (Latency, "device_id", Device),
        ):
            known = {row["id"] for row in self.rows[other]}
            for i, row in enumerate(self.rows[model]):
                if row[column] is not None and row[column] not in known:
                    what = (
                        f"it refers to one that is in none of the files: {other.__tablename__} {row[column]}"
                    )
                    raise self.place(model, column).error(what, i)
        for named, may_be_called in ((Recipe, new_name), (Device, new_device_name)):
            for i, row in enumerate(self.rows[named]):
                try:
                    may_be_called(row["name"])
                except QueryError as error:
                    raise self.place(named, "name").error(str(error), i) from error
        runs = self.rows[Run]
        costs = {name: np.array([row[name] for row in runs], dtype=np.int64) for name in COSTS}
        ids = np.array([row["arch_id"] for row in runs], dtype=np.int64)
        check_costs(ids, costs, str(self.place(Run, "arch_id").path))
        for i, row in enumerate(runs):
            if (row["best_epoch"] is None) and row["val_top1"] is not None:
                raise self.place(Run, "val_top1").error("there is no best epoch that it is of", i)
            for name in NEEDED_OF_RUNS if row["status"] == FINISHED else ():
                if row[name] is None:
                    raise self.place(Run, name).error(f"the run is finished, and {NEEDED}", i)


class EpochChecks:
    """What epochs and runs say of each other.

    Parameters
    ----------
    tables
        The rows of the other tables.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.rows[Run]
        self._index = {row["id"]: i for i, row in enumerate(self._rows)}
        self._most = {row["id"]: row["epochs"] for row in tables.rows[Recipe]}
        self._counts: dict[int, int] = {}

    def look(
        self,
        run_ids: Collection[int],
        arch_ids: Sequence[int],
        measures: Mapping[str, npt.NDArray[np.int64]],
        path: Path,
    ) -> None:
        """Check runs that have so many epochs.

        Parameters
        ----------
        run_ids, arch_ids
            The runs, and the architectures that their epochs are of.
        measures
            Stored integers of each measure, shape (runs, epochs).
        path
            The file of epochs.

        Raises
        ------
        BloxFormatError
            A run is not there, is there twice, has too many epochs, or another best epoch than it says.
        """
        val_top1, loss = measures["val_top1"], measures["val_loss"]
        firsts = best_epochs(val_top1, loss).tolist()
        for k, (run_id, arch_id) in enumerate(zip(run_ids, arch_ids, strict=True)):
            place = FileColumn(path, "run_id")
            if run_id not in self._index:
                raise place.error(f"run {run_id} refers to one that is in none of the files")
            if run_id in self._counts:
                raise place.error(f"the epochs of run {run_id} are there twice, or apart from each other")
            row = self._rows[self._index[run_id]]
            if row["arch_id"] != arch_id:
                raise FileColumn(path, "arch_id").error(
                    f"run {run_id} is of architecture {row['arch_id']}, not {arch_id}"
                )
            count = val_top1.shape[1]
            most = self._most[row["recipe_id"]]
            if count > most:
                raise place.error(f"run {run_id} has {Counts(epochs=count)}, and its recipe {most}")
            self._counts[run_id] = count
            self._check_best(row, val_top1[k], loss[k], firsts[k])

    def _check_best(
        self, row: Row, val_top1: npt.NDArray[np.int64], loss: npt.NDArray[np.int64], first: int
    ) -> None:
        """Of equal epochs, as they are kept, any may be the best one; `first` is the position of one."""
        best, i = row["best_epoch"], self._index[row["id"]]
        if best is None and row["status"] == FINISHED and first >= 0:
            what = f"the run is finished, and no best epoch is given; it is {first + 1}"
            raise self._tables.place(Run, "best_epoch").error(what, i)
        if best is None:
            return
        if best > len(val_top1):
            what = f"the run has {Counts(epochs=len(val_top1))}, and no {best}"
            raise self._tables.place(Run, "best_epoch").error(what, i)
        measure = RUN["val_top1"]
        stored = int(val_top1[best - 1])
        known = None if stored == MISSING else measure.natural(stored)
        if row["val_top1"] != known:
            what = f"it is {row['val_top1']}, but epoch {best}, the best one, has {known}"
            raise self._tables.place(Run, "val_top1").error(what, i)
        if first >= 0 and stored < val_top1[first]:
            better = measure.natural(int(val_top1[first]))
            what = f"epoch {best} is said to be the best and has {known}, but another has {better}"
            raise self._tables.place(Run, "best_epoch").error(what, i)
        if first >= 0 and loss[best - 1] != loss[first]:
            what = f"epoch {best} is said to be the best, but {first + 1} has the same top-1 and a lower loss"
            raise self._tables.place(Run, "best_epoch").error(what, i)

    @property
    def most(self) -> int:
        """How many epochs there can be: the recipes of all runs say so."""
        return sum(self._most[row["recipe_id"]] for row in self._rows)

    def finish(self) -> None:
        """Check the runs of which no epoch came.

        Raises
        ------
        BloxFormatError
            One has a best epoch, or is finished and lacks epochs.
        """
        for i, row in enumerate(self._rows):
            count = self._counts.get(row["id"], 0)
            if row["best_epoch"] is not None and not count:
                raise self._tables.place(Run, "best_epoch").error("the run has no epochs", i)
            most = self._most[row["recipe_id"]]
            if row["status"] == FINISHED and count != most:
                raise self._tables.place(Run, "status").error(
                    f"a finished run has {Counts(epochs=most)}, and it has {count}", i
                )
