"""The table of epochs, many runs at once: arrays in and out.

SQLite makes rows of Python values slowly, one by one. So new epochs are written to a file beside the database
by ADBC, straight from arrays, and copied from there inside SQLite; and stored ones come out as one text a run
and column, which a kernel reads. ADBC has an SQLite library of its own: it never opens the database itself,
because two such libraries on one file in one process can corrupt it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Text, cast, func, insert, select, text
from sqlalchemy.orm import Session

from bloxdb.codecs.fixed import Array
from bloxdb.errors import DatabaseError
from bloxdb.release._integers import parse
from bloxdb.release.meter import Meter
from bloxdb.schema import EPOCH_MEASURES, Epoch

MISSING = int(np.iinfo(np.int64).min)
"""A stored integer that is NULL; arrays that have any are int64."""

Measures = Mapping[str, Array]
"""Stored integers by measure, shape (runs, epochs), int32 or int64; a measure that is absent is all NULL."""

_FEW = 50_000  # rows that are not worth a file
_FILES = 9  # SQLite attaches ten files at the most, and each stays until the transaction ends
_SLICE = 500  # runs that are read at once
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -65536")


class EpochWriter:
    """Adds epochs of new runs within one transaction.

    Parameters
    ----------
    session
        The transaction.
    batches
        In how many calls of `write` large amounts will come; only for speed.
    meter
        What to tell of the rows.
    """

    def __init__(self, session: Session, batches: int, meter: Meter) -> None:
        self.session = session
        self._meter = meter
        self._files_each = max(1, _FILES // max(1, batches))
        self._files_left = _FILES

    def write(self, run_ids: npt.NDArray[np.int64], measures: Measures) -> None:
        """Add the epochs 1, 2, … of runs that have none.

        Parameters
        ----------
        run_ids
            Shape (runs,).
        measures
            Their values, in the same order.
        """
        if not measures:
            return
        runs, epochs = next(iter(measures.values())).shape
        contiguous = np.array_equal(run_ids, np.arange(runs) + run_ids[:1])
        place = self._folder()
        if place is None or not contiguous or runs * epochs < _FEW or not self._files_left:
            self._insert(run_ids, measures)
        else:
            self._load(int(run_ids[0]), measures, place)

    def _folder(self) -> Path | None:
        """Where the database's file is; None for a server."""
        bind = self.session.get_bind()
        if bind.dialect.name != "sqlite":
            return None
        return Path(self.session.connection().exec_driver_sql("PRAGMA database_list").fetchall()[0][2]).parent

    def _insert(self, run_ids: npt.NDArray[np.int64], measures: Measures) -> None:
        names = ["run_id", "epoch", *(EPOCH_MEASURES[name] for name in measures)]
        runs, epochs = next(iter(measures.values())).shape
        for first in range(0, runs, _SLICE):
            block = slice(first, first + _SLICE)
            ids = run_ids[block]
            columns = [
                np.repeat(ids, epochs).tolist(),
                np.tile(np.arange(1, epochs + 1), len(ids)).tolist(),
                *(_nullable(values[block]) for values in measures.values()),
            ]
            rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
            self.session.execute(insert(Epoch.__table__), rows)  # type: ignore[arg-type]
            self._meter.rows(len(rows), runs * epochs)

    def _load(self, first_id: int, measures: Measures, place: Path) -> None:
        """A thread writes one file while SQLite copies the one before."""
        runs, epochs = next(iter(measures.values())).shape
        files = min(self._files_each, self._files_left)
        each = -(-runs // files)
        with TemporaryDirectory(prefix=".bloxdb-", dir=place) as folder, ThreadPoolExecutor(1) as pool:
            jobs = []
            for number, first in enumerate(range(0, runs, each)):
                part = {name: values[first : first + each] for name, values in measures.items()}
                path = Path(folder) / f"epochs-{number}.db"
                jobs.append((first_id + first, path, pool.submit(_write_file, path, part)))
            try:
                for run_id, path, job in jobs:
                    job.result()
                    copied = self._copy(run_id, epochs, path, list(measures))
                    self._meter.rows(copied, runs * epochs)
            finally:
                pool.shutdown(cancel_futures=True)

    def _copy(self, first_id: int, epochs: int, path: Path, names: Sequence[str]) -> int:
        stage = f"stage_{self._files_left}"
        self._files_left -= 1
        connection = self.session.connection()
        connection.execute(text(f"ATTACH :path AS {stage}"), {"path": str(path)})
        columns = ", ".join(EPOCH_MEASURES[name] for name in names)
        copied = connection.execute(
            text(
                f"INSERT INTO main.epochs (run_id, epoch, {columns}) "  # noqa: S608
                f"SELECT :first + (rowid - 1) / :epochs, (rowid - 1) % :epochs + 1, {columns} "
                f"FROM {stage}.measures ORDER BY rowid"
            ),
            {"first": first_id, "epochs": epochs},
        )
        return int(copied.rowcount)


def _write_file(path: Path, measures: Measures) -> None:
    """A file with one table of the measures, in order; it is closed when this returns."""
    import adbc_driver_sqlite.dbapi as adbc
    import pyarrow as pa

    arrays = {
        EPOCH_MEASURES[name]: pa.array(values.ravel(), mask=_mask(values))
        for name, values in measures.items()
    }
    columns = ", ".join(f"{name} INTEGER" for name in arrays)
    try:
        with adbc.connect(str(path), autocommit=True) as connection, connection.cursor() as cursor:
            for pragma in _PRAGMAS:
                cursor.execute(f"PRAGMA {pragma}")
                cursor.fetchall()
            cursor.execute(f"CREATE TABLE measures ({columns})")
            cursor.execute("BEGIN")
            cursor.adbc_ingest("measures", pa.table(arrays), mode="append")
            cursor.execute("COMMIT")
    except adbc.Error as error:
        raise DatabaseError(f"{path.parent.parent}: epochs cannot be written there: {error}") from error


def _mask(values: Array) -> Array | None:
    if values.dtype != np.int64:
        return None
    absent: Array = values.ravel() == MISSING
    return absent if absent.any() else None


def _nullable(values: Array) -> list[Any]:
    listed: list[Any] = values.ravel().tolist()
    if values.dtype == np.int64 and (values == MISSING).any():
        return [None if value == MISSING else value for value in listed]
    return listed


@dataclass(frozen=True)
class EpochBlock:
    """The stored epochs of some runs, one after the other.

    Attributes
    ----------
    run_ids, counts
        The runs, and how many epochs each has, shape (runs,).
    epochs
        The number of each epoch, shape (sum of counts,).
    measures
        Stored integers, int64 of the same shape, `MISSING` for NULL.
    """

    run_ids: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int64]
    measures: dict[str, npt.NDArray[np.int64]]


def read_epochs(
    session: Session, run_ids: npt.NDArray[np.int64], names: Sequence[str]
) -> Iterator[EpochBlock]:
    """The stored epochs of runs that have any, in no particular order of runs or epochs."""
    ordered = np.sort(run_ids)
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    stored = [getattr(Epoch, EPOCH_MEASURES[name]) for name in names]
    columns = [_listed(column, is_sqlite) for column in (Epoch.epoch, *stored)]
    query = select(Epoch.run_id, func.count(), *columns).group_by(Epoch.run_id)
    for first in range(0, len(ordered), _SLICE):
        ids = ordered[first : first + _SLICE]
        if ids[-1] - ids[0] + 1 == len(ids):
            wanted = Epoch.run_id.between(int(ids[0]), int(ids[-1]))
        else:
            wanted = Epoch.run_id.in_(ids.tolist())
        rows = session.execute(query.where(wanted)).all()
        if not rows:
            continue
        found, counts, *texts = zip(*rows, strict=True)
        size = sum(counts)
        epochs, *measures = (_integers(column, size) for column in texts)
        yield EpochBlock(
            np.array(found, dtype=np.int64),
            np.array(counts, dtype=np.int64),
            epochs,
            dict(zip(names, measures, strict=True)),
        )


def _listed(column: Any, is_sqlite: bool) -> Any:
    """All values of a group as one text; nothing between two commas is NULL."""
    if is_sqlite:
        return func.group_concat(func.coalesce(column, ""))
    return func.string_agg(func.coalesce(cast(column, Text), ""), ",")


def _integers(texts: Sequence[str], size: int) -> npt.NDArray[np.int64]:
    out = np.empty(size, dtype=np.int64)
    if parse(",".join(texts).encode(), MISSING, out) != size:
        raise DatabaseError("the table epochs holds something else than integers")
    return out
