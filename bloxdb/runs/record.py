"""Writing a run into the database as it happens, each step in a transaction of its own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.arguments import MOST, integer, of_type, text
from bloxdb.db.database import Database, opened
from bloxdb.db.dialects import utc_now
from bloxdb.db.references import known_environment
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Epoch, Recipe, Run
from bloxdb.db.statuses import FAILED, PENDING, RUNNING
from bloxdb.errors import QueryError, RunLostError
from bloxdb.runs.ends import End, last_epoch, stored_values
from bloxdb.runs.outages import PATIENCE, patient, through_outages
from bloxdb.runs.results import EpochResult, RunResult

_T = TypeVar("_T")

_held: weakref.WeakValueDictionary[str, RunRecord] = weakref.WeakValueDictionary()
"""The records of this process, by the worker of the claim, whose token no other claim has."""

_away: set[str] = set()
"""Workers whose records were sent to other processes, which train in their name."""


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
    patience
        For how many seconds each method but `heartbeat` waits for a server that is away.

    Attributes
    ----------
    run_id, arch_id
        The run, and its architecture's index.
    worker
        The worker that has it.
    earlier, patience
        As given.
    """

    def __init__(
        self,
        db: Database,
        run_id: int,
        arch_id: int,
        worker: str,
        *,
        earlier: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.db = db = opened(db)
        self.run_id = run_id
        self.arch_id = arch_id
        self.worker = worker
        self.earlier = earlier
        self.patience = patient(patience)
        self._ended = ""
        _held[worker] = self

    def __repr__(self) -> str:
        return f"<RunRecord: architecture {self.arch_id}, run {self.run_id}, {self.db.name}>"

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to train the run; here it counts as trained as long as it shows life."""
        _away.add(self.worker)
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _held[self.worker] = self

    def begin(self, done: int = 0, *, env_id: int | None = None) -> bool:
        """Go on after so many epochs; what was written of later ones is removed.

        Parameters
        ----------
        done
            Epochs that a checkpoint has; 0 to begin anew.
        env_id
            The id of the environment that it is trained in, where that was not known when the run was
            claimed; None for what the claim said.

        Returns
        -------
        bool
            False if the database does not have them all: then all epochs are removed, and 0 are done.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            `done` is no number of epochs, or there is no such environment.
        """
        done = integer(done, "the number of epochs that are done", low=0, high=self._epochs)
        told: dict[str, Any] = {}
        if env_id is not None:
            known = partial(known_environment, self.db, env_id)
            told["env_id"] = through_outages(lambda again: known(), self.patience)

        def keep(session: Session, again: bool) -> bool:
            self._change(session, heartbeat_at=utc_now(), **told)
            count = select(func.count()).where(Epoch.run_id == self.run_id, Epoch.epoch <= done)
            whole = session.scalar(count) == done
            first = done if whole else 0
            session.execute(delete(Epoch).where(Epoch.run_id == self.run_id, Epoch.epoch > first))
            return whole

        return self._write(keep)

    def epoch(self, result: EpochResult) -> None:
        """Write an epoch that has ended, in the release's precision.

        Epochs are written one after the other, from 1 or from where `begin` goes on, to the recipe's last.

        Parameters
        ----------
        result
            What was measured.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            It is not the next epoch, or there is no such value of a measure, or no measure of its name.
        """
        of_type(result, EpochResult, "an epoch's result")
        epoch = integer(result.epoch, "an epoch", low=1, high=self._epochs)
        where = f"epoch {epoch} of architecture {self.arch_id}"
        values = stored_values(EPOCH_MEASURES, result.measures(), where)
        stored = {EPOCH_MEASURES[name].column: value for name, value in values.items()}

        def add(session: Session, again: bool) -> None:
            self._change(session, heartbeat_at=utc_now())
            done = last_epoch(session, self.run_id)
            if again and epoch == done and self._has(session, epoch, stored):
                return
            if epoch != done + 1:
                raise QueryError(
                    f"{where} was measured, but {done} are written, and the next is {done + 1}; begin(done) "
                    "removes epochs that are to be written again"
                )
            session.execute(insert(Epoch).values(run_id=self.run_id, epoch=epoch, **stored))

        self._write(add)

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
            It is finished and lacks epochs of its recipe, a best epoch, a test or what release files cannot
            leave out, as `train_time`; its best epoch is none that
            was written, or was written with other values; or there is no such value of a measure, or no
            measure of its name.
        """
        of_type(result, RunResult, "a run's result")
        stored = stored_values(RUN_MEASURES, result.measures(), f"the result of architecture {self.arch_id}")
        measured = {name: RUN_MEASURES[name].natural(value) for name, value in stored.items()}
        if result.best is not None:
            best_epoch = integer(result.best.epoch, "the best epoch", low=1)
            result = replace(result, best=replace(result.best, epoch=best_epoch))
        workers = result.device_workers
        if workers is not None:
            workers = integer(workers, "the number of workers of a device", low=1, high=MOST)

        def end(session: Session, again: bool) -> None:
            if again and self._now(session) == (result.status, self.worker):
                return
            self._change(
                session,
                status=result.status,
                finished_at=utc_now(),
                best_epoch=None if result.best is None else result.best.epoch,
                device_workers=workers,
                message=None,
                **measured,
            )
            End(self.run_id, self.arch_id, self._epochs, result, stored).check(session)

        self._write(end)
        self._end(result.status)

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
        QueryError
            The message is no text, or blank.
        """
        message = text(message, "a message", filled=True)
        once = once_more and self.earlier is None
        now = {"status": PENDING, "worker": None} if once else {"status": FAILED, "finished_at": utc_now()}
        status, worker = (PENDING, None) if once else (FAILED, self.worker)

        def end(session: Session, again: bool) -> None:
            if not (again and self._now(session) == (status, worker)):
                self._change(session, message=message, **now)

        self._write(end)
        self._end(status)
        return not once

    def heartbeat(self, *, wait: float | None = None) -> None:
        """Give a sign of life.

        Parameters
        ----------
        wait
            As for `bloxdb.Database.transaction`.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        """
        for error in show_life([self], wait=wait).values():
            raise error

    def release(self, message: str | None = None, *, wait: float | None = None) -> None:
        """Give the run back as it is, for somebody to go on with: it is `pending` now.

        Parameters
        ----------
        message
            Why, where something else than the run is to blame; it is claimed after those that nothing was
            said of.
        wait
            As for `bloxdb.Database.transaction`.

        Raises
        ------
        RunLostError
            Another worker has the run, or it has ended.
        QueryError
            The message is no text, or blank.
        """
        told = {} if message is None else {"message": text(message, "a message", filled=True)}

        def give_back(session: Session, again: bool) -> None:
            now = self._now(session) if again else None
            if now is None or now[1] == self.worker:  # else it was given back, and may be another's by now
                self._change(session, status=PENDING, worker=None, **told)

        self._write(give_back, wait=wait)
        self._end(PENDING)

    @cached_property
    def _epochs(self) -> int:
        """How many epochs the run's recipe has."""
        query = select(Recipe.epochs).join(Run).where(Run.id == self.run_id)
        found = through_outages(lambda again: self.db.reader.scalar(query), self.patience)
        if found is None:
            raise self._removed()
        return found

    def row(self) -> Run:
        """The run's row, as it is now, in this thread's session for reading.

        Raises
        ------
        RunLostError
            It was removed.
        """
        ask = partial(self.db.reader.get, Run, self.run_id, populate_existing=True)
        found = through_outages(lambda again: ask(), self.patience)
        if found is None:
            raise self._removed()
        return found

    def _removed(self) -> RunLostError:
        return RunLostError(
            f"architecture {self.arch_id} has no such run any more: it was removed from the database"
        )

    def _write(self, write: Callable[[Session, bool], _T], *, wait: float | None = None) -> _T:
        """Write in one transaction, which may be tried again; who has no time to wait does not."""

        def once(again: bool) -> _T:
            with self.db.transaction(wait=wait) as session:
                return write(session, again)

        return through_outages(once, self.patience if wait is None else 0.0)

    def _has(self, session: Session, epoch: int, stored: Mapping[str, int | None]) -> bool:
        """Whether an epoch is written as it is to be."""
        row = session.get_one(Epoch, (self.run_id, epoch))
        return {name: getattr(row, name) for name in stored} == dict(stored)

    def _now(self, session: Session) -> tuple[str, str | None] | None:
        """Status and worker of the run, which a lost answer may have told; None if it was removed."""
        return session.execute(select(Run.status, Run.worker).filter_by(id=self.run_id)).one_or_none()

    def _end(self, status: str = "") -> None:
        """The record has no run any more; with what the run is now, if that was written here."""
        self._ended = self._ended or status
        _away.discard(self.worker)
        if _held.get(self.worker) is self:
            _held.pop(self.worker, None)  # a heartbeat may find at this moment that the run has ended

    def _change(self, session: Session, **fields: Any) -> None:
        ours = (Run.id == self.run_id, Run.worker == self.worker, Run.status == RUNNING)
        done: CursorResult[Any] = session.execute(update(Run).where(*ours).values(**fields))  # type: ignore[assignment]
        if done.rowcount != 1:
            self._end()
            which = f"architecture {self.arch_id}"
            if self._ended == PENDING:
                raise RunLostError(f"{which} was given back by this record; claim it again to go on")
            if self._ended:
                raise RunLostError(f"{which} was ended by this record: it is {self._ended}")
            raise RunLostError(f"{which} was taken over by another worker, or has ended")


def is_held(worker: str) -> bool:
    """Whether this process has the record of a claim that has not ended, or has sent it to another one."""
    return worker in _held or worker in _away


def show_life(records: Sequence[RunRecord], *, wait: float | None = None) -> dict[RunRecord, RunLostError]:
    """Give a sign of life for runs of one database, in one transaction.

    Parameters
    ----------
    records
        The runs that this process has claimed, some hundreds at most.
    wait
        As for `bloxdb.Database.transaction`.

    Returns
    -------
    dict
        Those that somebody else has, or that have ended, with what says so.
    """
    lost: dict[RunRecord, RunLostError] = {}
    ids, workers = [one.run_id for one in records], [one.worker for one in records]
    theirs = (Run.id.in_(ids), Run.worker.in_(workers), Run.status == RUNNING)
    with records[0].db.transaction(wait=wait) as session:
        done: CursorResult[Any] = session.execute(update(Run).where(*theirs).values(heartbeat_at=utc_now()))  # type: ignore[assignment]
        if done.rowcount == len(records):
            return lost
        for record in records:
            try:
                record._change(session, heartbeat_at=utc_now())
            except RunLostError as error:
                lost[record] = error
    return lost
