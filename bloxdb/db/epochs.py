"""The table of epochs, many runs at once: arrays in and out.

SQLite makes rows of Python values slowly, one by one. So many new epochs become pages straight from arrays:
of the database itself while it is made, else of a file beside it, from which SQLite copies the rows. Stored
ones come out as one text a run and column, which a kernel reads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Column, ColumnElement, Connection, func, select, text
from sqlalchemy.orm import Session

from bloxdb.db._integers import parse
from bloxdb.db.dialects import engines_of
from bloxdb.db.engines import check_stored
from bloxdb.db.grafting import Graft, graft
from bloxdb.db.schema import EPOCH_MEASURES, Epoch
from bloxdb.db.sqlite import add_columns, drop_columns, is_untouched
from bloxdb.db.staging import STORED, EpochPages, Staging
from bloxdb.db.watching import watched
from bloxdb.errors import DatabaseError, ReleaseError
from bloxdb.measures import MISSING, Array
from bloxdb.progress import Meter

Measures = Mapping[str, Array]
"""Stored integers by measure, shape (runs, epochs), int32 or int64; a measure that is absent is all NULL."""

_FEW = 20_000  # rows that are not worth a file
_FILES = 9  # SQLite attaches ten files at the most, and each stays until the transaction ends
_SLICE = 500  # runs that are read, inserted or copied at once
_STEPS = 1_000_000  # of SQLite's machine between two looks at what it does
_STEPS_A_ROW = 3  # of a copy of the whole table: read, write, next
_TABLE: Any = Epoch.__table__
_SHOWN: list[Column[Any]] = [_TABLE.c[name] for name in EPOCH_MEASURES]


class EpochWriter:
    """Adds epochs of new runs within one transaction; they are all there after `flush`.

    Parameters
    ----------
    session
        The transaction.
    folder
        Where files may be made, which must stay until the transaction ends; None where there is no such
        place near the database, which is a server.
    meter
        What to tell of the rows.

    Attributes
    ----------
    engines
        What the session's kind of engine does in its own way.
    """

    def __init__(self, session: Session, folder: Path | None, meter: Meter) -> None:
        self.session = session
        self.engines = engines_of(session.get_bind().dialect)
        self._folder = folder
        self._meter = meter
        self._files = 0
        self._staging: Staging | Graft | None = None
        self._keys: list[str] | None = None

    def __enter__(self) -> EpochWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._staging is not None:
            self._staging.__exit__(kind, error, trace)

    def write(self, run_ids: npt.NDArray[np.int64], measures: Measures) -> None:
        """Add the epochs 1, 2, … of runs that have none.

        Parameters
        ----------
        run_ids
            Shape (runs,).
        measures
            Their values, in the same order; they must not be changed before `flush`.
        """
        if not measures:
            return
        self.session.flush()
        staging = self._staging_for(run_ids, next(iter(measures.values())).size)
        if staging is None:
            if isinstance(self._staging, Graft):  # whose table must have no other rows
                self.flush()
            self._insert(run_ids, measures)
        else:
            staging.add(run_ids, {EPOCH_MEASURES[name].column: values for name, values in measures.items()})

    def wait(self) -> None:
        """Wait until the arrays that `write` got are not needed any more."""
        if self._staging is not None:
            self._staging.wait()

    def flush(self) -> None:
        """Bring into the database what is not there yet."""
        for key in self._keys or ():
            self.session.execute(text(key))
        self._keys = []
        if self._staging is None:
            return
        self.session.flush()
        staging, self._staging = self._staging, None
        with staging:
            if isinstance(staging, Graft):
                staging.finish(lambda rows: self._meter.rows(rows, staging.rows))
                return
            staging.finish()
        connection = self.session.connection()
        stage = f"stage_{self._files}"
        connection.execute(text(f"ATTACH :path AS {stage}"), {"path": str(staging.path)})
        if is_untouched(connection, _TABLE) and drop_columns(connection, _SHOWN):
            self._copy_whole(connection, stage, staging.rows)
        else:
            self._copy_slices(connection, stage, staging.rows)

    def _staging_for(self, run_ids: npt.NDArray[np.int64], rows: int) -> EpochPages | None:
        """What makes pages of them; None where plain insertion is better."""
        if self._folder is None or not np.all(run_ids[1:] > run_ids[:-1]):
            return None
        if self._staging is not None:
            return self._staging if run_ids[0] > self._staging.last_run else None
        self._staging = graft(self.session.connection())
        if self._staging is None and rows >= _FEW and self._files < _FILES:
            self._files += 1
            self._staging = Staging(self._folder / f"epochs-{self._files}.db")
        return self._staging

    def _insert(self, run_ids: npt.NDArray[np.int64], measures: Measures) -> None:
        names = ["run_id", "epoch", *(EPOCH_MEASURES[name].column for name in measures)]
        runs, epochs = next(iter(measures.values())).shape
        if self._keys is None and runs * epochs >= _FEW:
            self._keys = self.engines.keys_aside(self.session, Epoch)
        for first in range(0, runs, _SLICE):
            block = slice(first, first + _SLICE)
            ids = run_ids[block]
            columns: list[Array] = [
                np.repeat(ids, epochs),
                np.tile(np.arange(1, epochs + 1), len(ids)),
                *(values[block].ravel() for values in measures.values()),
            ]
            self.engines.add_integers(self.session, Epoch, dict(zip(names, columns, strict=True)))
            self._meter.rows(len(ids) * epochs, runs * epochs)

    def _copy_whole(self, connection: Connection, stage: str, rows: int) -> None:
        """Into an empty table without the shown columns: SQLite copies rows without taking them apart.

        It does so only between tables of the same columns: https://www.sqlite.org/src `xferOptimization`.
        """
        told = 0

        def tell() -> None:
            nonlocal told
            step = min(_STEPS // _STEPS_A_ROW, rows - told)
            told += step
            self._meter.rows(step, rows)

        with watched(connection, tell, _STEPS):
            connection.exec_driver_sql(f"INSERT INTO main.epochs SELECT * FROM {stage}.epochs")  # noqa: S608
        self._meter.rows(rows - told, rows)
        add_columns(connection, _SHOWN)

    def _copy_slices(self, connection: Connection, stage: str, rows: int) -> None:
        """Into a table that holds rows already, some runs at a time."""
        columns = ", ".join(STORED)
        low, high = connection.exec_driver_sql(
            f"SELECT min(run_id), max(run_id) FROM {stage}.epochs"  # noqa: S608
        ).one()
        stored = 0
        for first in range(low, high + 1, _SLICE):
            copied = connection.exec_driver_sql(
                f"INSERT INTO main.epochs ({columns}) "  # noqa: S608
                f"SELECT {columns} FROM {stage}.epochs WHERE run_id BETWEEN ? AND ? ORDER BY run_id, epoch",
                (first, first + _SLICE - 1),
            )
            self._meter.rows(copied.rowcount, rows)
            stored += copied.rowcount
        check_stored(Epoch, stored, rows)


@dataclass(frozen=True)
class EpochBlock:
    """The stored epochs of some runs, one after the other.

    Attributes
    ----------
    run_ids, counts
        The runs, and how many epochs each has, shape (runs,).
    epochs
        The number of each epoch, shape (sum of counts,); empty where it was not asked for.
    measures
        Stored integers, int64 of the same shape, `MISSING` for NULL.
    """

    run_ids: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    epochs: npt.NDArray[np.int64]
    measures: dict[str, npt.NDArray[np.int64]]


def whole_runs(block: EpochBlock, otherwise: str) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, Array]]]:
    """Runs whose epochs are 1, 2, … up to their last, with the epochs in this order.

    Parameters
    ----------
    block
        Runs, with the number of each epoch; the epochs of a run may be in any order.
    otherwise
        What to say where a run lacks one of its epochs, or has one twice.

    Yields
    ------
    tuple of numpy.ndarray and dict
        The runs that have the same number of epochs, int64 (runs,), and by measure their stored integers,
        (runs, epochs); views of the block's where it is in order already.

    Raises
    ------
    ReleaseError
        The epochs of a run are others; the error says `otherwise`.

    Examples
    --------
    >>> block = EpochBlock(np.array([7]), np.array([2]), np.array([2, 1]), {"val_top1": np.array([20, 10])})
    >>> [(runs.tolist(), found["val_top1"].tolist()) for runs, found in whole_runs(block, "a gap")]
    [([7], [[10, 20]])]
    """
    starts = np.cumsum(block.counts) - block.counts
    for count in np.unique(block.counts).tolist():
        chosen = block.counts == count
        columns = {"": block.epochs, **block.measures}
        if chosen.all():
            columns = {name: values.reshape(-1, count) for name, values in columns.items()}
        else:
            places = starts[chosen][:, None] + np.arange(count)
            columns = {name: values[places] for name, values in columns.items()}
        numbers, wanted = columns.pop(""), np.arange(1, count + 1)
        if np.any(numbers != wanted):
            order = np.argsort(numbers, axis=1, kind="stable")
            if np.any(np.take_along_axis(numbers, order, axis=1) != wanted):
                raise ReleaseError(otherwise)
            columns = {name: np.take_along_axis(values, order, axis=1) for name, values in columns.items()}
        yield block.run_ids[chosen], columns


def read_epochs(
    sessions: Sequence[Session],
    run_ids: npt.NDArray[np.int64],
    names: Sequence[str],
    *,
    epochs: Sequence[int] | None = None,
    numbers: bool = True,
) -> Iterator[EpochBlock]:
    """The stored epochs of runs that have any, in no particular order of runs or epochs.

    Parameters
    ----------
    sessions
        See the same state of the database; each is used by a thread of its own if there are several.
    run_ids
        The runs.
    names
        Measures.
    epochs
        Only these, in order and each once; all if None.
    numbers
        Whether the number of each epoch is read, too; without, `EpochBlock.epochs` is empty.
    """
    ordered = np.sort(run_ids)
    read = partial(_read_block, names=names, epochs=epochs, numbers=numbers)
    slices = [ordered[first : first + _SLICE] for first in range(0, len(ordered), _SLICE)]
    if len(sessions) == 1:
        blocks = (read(sessions[0], ids) for ids in slices)
        yield from (block for block in blocks if block is not None)
        return
    with ExitStack() as stack:
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in sessions]
        ahead: deque[Future[EpochBlock | None]] = deque()
        for number, ids in enumerate(slices):
            if len(ahead) == 2 * len(threads) and (block := ahead.popleft().result()) is not None:
                yield block
            which = number % len(threads)
            ahead.append(threads[which].submit(read, sessions[which], ids))
        for job in ahead:
            if (block := job.result()) is not None:
                yield block


def _read_block(
    session: Session,
    ids: npt.NDArray[np.int64],
    names: Sequence[str],
    epochs: Sequence[int] | None,
    numbers: bool,
) -> EpochBlock | None:
    engines = engines_of(session.get_bind().dialect)
    stored = [getattr(Epoch, EPOCH_MEASURES[name].column) for name in names]
    columns = [engines.listed(column) for column in (*([Epoch.epoch] if numbers else []), *stored)]
    query = select(Epoch.run_id, func.count(), *columns).group_by(Epoch.run_id)
    if epochs is None:
        query = query.where(_among(Epoch.run_id, ids))
    else:  # a run's few epochs are looked up; a range of runs would be walked through, epoch by epoch
        query = query.where(Epoch.run_id.in_(ids.tolist()), _among(Epoch.epoch, epochs))
    rows = session.execute(query).all()
    if not rows:
        return None
    found, counts, *texts = zip(*rows, strict=True)
    size = sum(counts)
    read = [_integers(column, size) for column in texts]
    return EpochBlock(
        np.array(found, dtype=np.int64),
        np.array(counts, dtype=np.int64),
        read.pop(0) if numbers else np.empty(0, dtype=np.int64),
        dict(zip(names, read, strict=True)),
    )


def _among(column: Any, numbers: Sequence[int] | npt.NDArray[np.int64]) -> ColumnElement[bool]:
    """The condition that a column is one of some numbers, which are in order."""
    first, last = int(numbers[0]), int(numbers[-1])
    found: ColumnElement[bool] = (
        column.between(first, last)
        if last - first + 1 == len(numbers)
        else column.in_([int(number) for number in numbers])
    )
    return found


def _integers(texts: Sequence[str], size: int) -> npt.NDArray[np.int64]:
    out = np.empty(size, dtype=np.int64)
    if parse(",".join(texts).encode(), MISSING, out) != size:
        raise DatabaseError("the table epochs holds something else than integers")
    return out


def stored_curves(
    session: Session, run_ids: npt.NDArray[np.int64], names: Sequence[str], epochs: int
) -> dict[str, Array]:
    """The stored integers of measures of runs, (runs, epochs) each; `MISSING` where there is none."""
    measures = {name: np.full((len(run_ids), epochs), MISSING) for name in names}
    order = np.argsort(run_ids)
    for block in read_epochs([session], run_ids, names):
        rows = np.repeat(order[np.searchsorted(run_ids[order], block.run_ids)], block.counts)
        fits = block.epochs <= epochs
        for name, values in block.measures.items():
            measures[name][rows[fits], block.epochs[fits] - 1] = values[fits]
    return measures
