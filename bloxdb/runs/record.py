"""Writing a run into the database as it happens, each step in a transaction of its own."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.arguments import integer, number
from bloxdb.db.database import Database, opened
from bloxdb.db.dialects import utc_now
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Epoch, Run
from bloxdb.db.statuses import FAILED, PENDING, RUNNING
from bloxdb.errors import QueryError, RunLostError
from bloxdb.measures import TOO_LONG, Measure
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
        The name of the worker that has claimed it, with the token of the claim, as it stands in the row.
    earlier
        Why it was given back before, to be trained once more; None if it was not.

    Attributes
    ----------
    run_id, arch_id
        The run, and its architecture's index.
    worker
        The worker that has it.
    earlier
        Why it was given back before.
    """

    def __init__(
        self, db: Database, run_id: int, arch_id: int, worker: str, *, earlier: str | None = None
    ) -> None:
        self.db = db = opened(db)
        self.run_id = run_id
        self.arch_id = arch_id
        self.worker = worker
        self.earlier = earlier
        _held[_whose(db), run_id] = self

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

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            `done` is no number of epochs.
        """
        done = integer(done, "the number of epochs that are done", low=0)
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
        best = None if result.best is None else integer(result.best.epoch, "an epoch", low=1)
        workers = result.device_workers
        shared = None if workers is None else integer(workers, "the number of workers of a device", low=1)
        with self.db.transaction() as session:
            self._change(
                session,
                status=result.status,
                finished_at=utc_now(),
                best_epoch=best,
                device_workers=shared,
                message=None,
                **measured,
            )
        self._end()

    def fail(self, message: str, *, once_more: bool = False) -> bool:
        """Write that the run cannot be trained, and why: it is `failed` now.

        Parameters
        ----------
        message
            A sentence that says why.
        once_more
            Whether it may go better another time. The first time the run is `pending` then, with its epochs
            and the message, and is claimed after those that nothing was said of.

        Returns
        -------
        bool
            Whether it has failed; False if it is to be trained once more.

        Raises
        ------
        RunLostError
            Another worker has the run.
        """
        again = once_more and self.earlier is None
        now = {"status": PENDING, "worker": None} if again else {"status": FAILED, "finished_at": utc_now()}
        with self.db.transaction() as session:
            self._change(session, message=message, **now)
        self._end()
        return not again

    def heartbeat(self, *, wait: float | None = None) -> None:
        """Give a sign of life.

        Parameters
        ----------
        wait
            As for `bloxdb.Database.transaction`.
        """
        with self.db.transaction(wait=wait) as session:
            self._change(session, heartbeat_at=utc_now())

    def release(self, message: str | None = None, *, wait: float | None = None) -> None:
        """Give the run back as it is, for somebody to go on with: it is `pending` now.

        Parameters
        ----------
        message
            Why, where something else than the run is to blame; it is claimed after those that nothing was
            said of.
        wait
            As for `bloxdb.Database.transaction`.
        """
        with self.db.transaction(wait=wait) as session:
            told = {} if message is None else {"message": message}
            self._change(session, status=PENDING, worker=None, **told)
        self._end()

    def _end(self) -> None:
        key = _whose(self.db), self.run_id
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
    return (_whose(db), run_id) in _held


def _whose(db: Database) -> str:
    """One text for one database, through whichever link its file was opened."""
    return db.name if db.path is None else str(db.path.resolve())


def _stored(known: Mapping[str, Measure], measured: Mapping[str, float], where: str) -> dict[str, int | None]:
    """What was measured as stored integers; None for NaN, which is not measured."""
    stored = {}
    for name, given in measured.items():
        if name not in known:
            raise QueryError(f"{where} has {name!r}, which is no measure; choose of: {', '.join(known)}")
        value = number(given, f"{name} of {where}", finite=False)
        if problem := known[name].problem(value):
            raise QueryError(f"{name} of {where}: the value {value} {problem}")
        if not known[name].keeps(value):
            raise QueryError(f"{name} of {where}: the value {value} {TOO_LONG}")
        stored[name] = None if math.isnan(value) else known[name].rounded(value)
    return stored
