"""Writing a run into the database as it happens, each step in a transaction of its own."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.arguments import integer
from bloxdb.db.database import Database
from bloxdb.db.dialects import utc_now
from bloxdb.db.schema import (
    DIVERGED,
    EPOCH_MEASURES,
    FAILED,
    FINISHED,
    PENDING,
    RUN_MEASURES,
    RUNNING,
    Epoch,
    Run,
)
from bloxdb.errors import QueryError, RunLostError
from bloxdb.measures import EXACT, Measure
from bloxdb.runs.results import EpochResult, RunResult

_held: weakref.WeakValueDictionary[tuple[str, int], RunRecord] = weakref.WeakValueDictionary()


class RunRecord:
    """A run that a worker has claimed, from its first epoch to its result.

    Every change is made only while the run is still this worker's; each method that writes raises
    `RunLostError` if it is not.

    Parameters
    ----------
    db
        The database.
    run_id
        The id of the run.
    arch_id
        The index of its architecture.
    worker
        The name of the worker that has claimed it.

    Attributes
    ----------
    run_id, arch_id
        The run, and its architecture's index.
    worker
        The worker that has it.
    """

    def __init__(self, db: Database, run_id: int, arch_id: int, worker: str) -> None:
        self.db = db
        self.run_id = run_id
        self.arch_id = arch_id
        self.worker = worker
        _held[db.name, run_id] = self

    def begin(self, done: int = 0) -> bool:
        """Go on after so many epochs; what was written of later ones is removed.

        Parameters
        ----------
        done
            Epochs that a checkpoint has; 0 to begin anew.

        Returns
        -------
        bool
            False if the database does not have them all: then all epochs are removed, and 0 are done.
        """
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())
            count = select(func.count()).where(Epoch.run_id == self.run_id, Epoch.epoch <= done)
            whole = session.scalar(count) == done
            first = done if whole else 0
            session.execute(delete(Epoch).where(Epoch.run_id == self.run_id, Epoch.epoch > first))
        return whole

    def epoch(self, result: EpochResult) -> None:
        """Write an epoch that has ended, in the release's precision.

        Parameters
        ----------
        result
            What was measured.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            There is no such value of a measure, or no measure of its name.
        """
        epoch = integer(result.epoch, "an epoch", low=1)
        where = f"epoch {epoch} of architecture {self.arch_id}"
        values = _stored(EPOCH_MEASURES, result.measures(), where)
        stored = {EPOCH_MEASURES[name].column: value for name, value in values.items()}
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())
            session.execute(insert(Epoch).values(run_id=self.run_id, epoch=epoch, **stored))

    def finish(self, result: RunResult) -> None:
        """Write the end of the run: it is `finished` now, or `diverged`.

        Parameters
        ----------
        result
            What was measured, and whether the run diverged.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            There is no such value of a measure, or no measure of its name.
        """
        stored = _stored(RUN_MEASURES, result.measures(), f"the result of architecture {self.arch_id}")
        measured = {name: RUN_MEASURES[name].natural(value) for name, value in stored.items()}
        with self.db.transaction() as session:
            self._change(
                session,
                status=DIVERGED if result.diverged else FINISHED,
                finished_at=utc_now(),
                best_epoch=None if result.best is None else result.best.epoch,
                **measured,
            )
        self._end()

    def fail(self, message: str) -> None:
        """Write that the run cannot be trained, and why: it is `failed` now.

        Parameters
        ----------
        message
            A sentence that says why.

        Raises
        ------
        RunLostError
            Another worker has the run.
        """
        with self.db.transaction() as session:
            self._change(session, status=FAILED, message=message, finished_at=utc_now())
        self._end()

    def heartbeat(self) -> None:
        """Give a sign of life."""
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())

    def release(self) -> None:
        """Give the run back as it is, for somebody to go on with: it is `pending` now."""
        with self.db.transaction() as session:
            self._change(session, status=PENDING, worker=None)
        self._end()

    def _end(self) -> None:
        key = self.db.name, self.run_id
        if _held.get(key) is self:
            del _held[key]

    def _change(self, session: Session, **fields: Any) -> None:
        ours = (Run.id == self.run_id, Run.worker == self.worker, Run.status == RUNNING)
        done: CursorResult[Any] = session.execute(update(Run).where(*ours).values(**fields))  # type: ignore[assignment]
        if done.rowcount != 1:
            self._end()
            raise RunLostError(f"architecture {self.arch_id} was taken over by another worker, or has ended")


def is_held(db: Database, run_id: int) -> bool:
    """Whether this process has a record of a run that has not ended."""
    return (db.name, run_id) in _held


def _stored(known: Mapping[str, Measure], measured: Mapping[str, float], where: str) -> dict[str, int | None]:
    """What was measured as stored integers; None for NaN, which is not measured."""
    stored = {}
    for name, value in measured.items():
        if name not in known:
            raise QueryError(f"{where} has {name!r}, which is no measure; choose of: {', '.join(known)}")
        if problem := known[name].problem(value):
            raise QueryError(f"{name} of {where}: the value {value} {problem}")
        kept = None if math.isnan(value) else known[name].rounded(value)
        if kept is not None and kept >= EXACT:
            raise QueryError(f"{name} of {where}: the value {value} has more digits than the database keeps")
        stored[name] = kept
    return stored
