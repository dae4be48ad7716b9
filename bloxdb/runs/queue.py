"""Which runs are to be trained, and who has them: any number of workers share it through the database.

A run waits as `pending`; claiming makes it `running`. Its worker gives signs of life; a run without any, or
whose worker is a process that could be seen here and is gone, is claimed by the next worker that asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, false, func, select, update
from sqlalchemy.orm import Session

from bloxdb.arguments import integer, of_type, text
from bloxdb.counts import Report, counted
from bloxdb.db.database import Database, opened
from bloxdb.db.dialects import utc_now
from bloxdb.db.disks import check_alone, disk_of
from bloxdb.db.engines import insert_rows
from bloxdb.db.recipes import RecipeFacts
from bloxdb.db.references import added_once, known_environment, recipe_for
from bloxdb.db.schema import Run
from bloxdb.db.statuses import PENDING, RUNNING, UNFINISHED
from bloxdb.measures import SEEDS
from bloxdb.runs.heartbeat import Intervals
from bloxdb.runs.outages import PATIENCE, patient, through_outages
from bloxdb.runs.processes import claimed, is_here, lives, shown, worker_name
from bloxdb.runs.record import RunRecord, is_held
from bloxdb.space import arch_indices

_CHUNK = 500  # architectures that are asked for at once: a statement takes 999 values on old SQLites


def _chunks(ids: Iterable[int]) -> list[list[int]]:
    listed = list(ids)
    return [listed[i : i + _CHUNK] for i in range(0, len(listed), _CHUNK)]


_Signs = tuple[ColumnElement[bool], ColumnElement[bool]]


def _signs_of_life(intervals: Intervals) -> _Signs:
    """Whether a run has shown no life for long, and whether its last sign of life is yet to come."""
    last, long = Run.heartbeat_at, intervals.dead_after
    stopped = last.is_(None) | (last < utc_now(long))
    return stopped.label("stopped"), func.coalesce(last > utc_now(-long), false()).label("ahead")


@dataclass(frozen=True, repr=False)
class FillReport(Report):
    """What `RunQueue.fill` did.

    Attributes
    ----------
    added
        How many runs wait now that there were not before.
    """

    added: int

    def __str__(self) -> str:
        return counted(self.added, "new run waits", "new runs wait")


class RunQueue:
    """The runs of some architectures under one recipe and seed.

    It is of one database as long as it lives, so that this comes first. What is trained need not be known
    there yet: `recipe` is all facts of one, and not only its name.

    Parameters
    ----------
    db
        The database.
    archs
        Vectors, model hashes or indices, in the order in which the architectures are to be trained.
    recipe
        How they are trained; the database keeps it if it is new.
    seed
        The seed of the runs.
    patience
        For how many seconds it, and the records of its runs, wait for a server that is away.

    Raises
    ------
    ReleaseError
        The database has another recipe of this name.
    InvalidArchError
        There is no such architecture.
    """

    def __init__(
        self,
        db: Database,
        archs: Iterable[Any],
        recipe: RecipeFacts,
        seed: int,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self.db = db = opened(db)
        self.patience = patient(patience)
        self.seed = integer(seed, "a seed", low=SEEDS[0])
        of_type(recipe, RecipeFacts, "the recipe of a queue")
        advice = "train into another database, with its settings, or under another name"
        known = partial(added_once, db, lambda session: recipe_for(session, recipe, advice).id)
        self.recipe_id = through_outages(lambda again: known(), self.patience)
        self._ids = dict.fromkeys(arch_indices(archs).tolist())
        self._chunks = _chunks(self._ids)

    def __repr__(self) -> str:
        return f"<RunQueue: {counted(len(self._ids), 'architecture')}, seed {self.seed}, {self.db.name}>"

    def fill(self) -> FillReport:
        """Add a pending run for each architecture that has none.

        Returns
        -------
        FillReport
            How many runs were added.
        """
        return FillReport(through_outages(lambda again: added_once(self.db, self._fill), self.patience))

    def _fill(self, session: Session) -> int:
        added = 0
        for chunk in _chunks(self._ids):
            there = set(session.scalars(select(Run.arch_id).where(*self._of(chunk))))
            rows = [
                {"arch_id": i, "recipe_id": self.recipe_id, "seed": self.seed, "status": PENDING}
                for i in chunk
                if i not in there
            ]
            insert_rows(session, Run, rows)
            added += len(rows)
        return added

    def claim(
        self, *, worker: str | None = None, env_id: int | None = None, intervals: Intervals | None = None
    ) -> RunRecord | None:
        """Take the next run that nobody works on.

        Keep the record as long as the run is trained: one that nobody has any more is taken as given up. It
        may be sent to another process, which then trains in its name; here the run counts as trained as long
        as that one shows life, by a `Heartbeat` or an epoch.

        Parameters
        ----------
        worker
            The name of the worker that takes it; this process if None. The run has it with a token of this
            claim alone, so that no other worker can write it, were it called the same.
        env_id
            The id of the environment that it is trained in, from `bloxdb.runs.environment_id`; None if not
            known.
        intervals
            After how long without a sign of life another worker counts as dead; 60 seconds if None.

        Returns
        -------
        RunRecord or None
            The run, now `running`; None if there is none now.

        Raises
        ------
        QueryError
            The worker's name is no text, or of spaces only, or there is no such environment.
        DatabaseError
            The file is on a disk that machines share, and another process trains into it.
        """
        worker = text(worker_name() if worker in (None, "") else worker, "a worker's name", filled=True)
        intervals = intervals or Intervals()
        if env_id is not None:
            known = partial(known_environment, self.db, env_id)
            env_id = through_outages(lambda again: known(), self.patience)
        state = {"status": RUNNING, "env_id": env_id}
        signs = _signs_of_life(intervals)
        tried: list[str] = []  # names of claims whose answer may have been lost

        def take(again: bool) -> RunRecord | None:
            if again and (found := self._taken(tried)) is not None:
                return found
            return self._take(worker, state, signs, intervals, tried)

        return through_outages(take, self.patience)

    def _take(
        self, worker: str, state: dict[str, Any], signs: _Signs, intervals: Intervals, tried: list[str]
    ) -> RunRecord | None:
        while chunk := self._next_chunk():
            with self.db.transaction() as session:
                _check_alone(self.db, session, intervals)
                found = self._unfinished(session, chunk, signs)
                if not found:
                    self._chunks.pop(0)
                    continue
                for row in found:
                    if _is_trained(row):
                        continue
                    name = claimed(worker)
                    tried.append(name)
                    as_seen = (Run.id == row.id, Run.status == row.status, Run.worker == row.worker)
                    started = func.coalesce(Run.started_at, utc_now())
                    done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
                        update(Run)
                        .where(*as_seen)
                        .values(**state, worker=name, heartbeat_at=utc_now(), started_at=started)
                    )
                    if done.rowcount == 1:
                        return self._record(row, name)
            others = self._chunks[1:]
            if self._any_free(others, signs):
                self._chunks = [*others, chunk]
                continue
            self._chunks = _chunks(self._left())  # with those that were brought back since
            if not self._any_free(self._chunks, signs):
                return None
        return None

    def _taken(self, tried: list[str]) -> RunRecord | None:
        """The run of a claim that was made, and whose answer was lost."""
        columns = (Run.id, Run.arch_id, Run.worker, Run.message)
        with self.db.transaction() as session:
            row = session.execute(select(*columns).where(Run.worker.in_(tried))).first()
            if row is not None:
                session.execute(update(Run).where(Run.id == row.id).values(heartbeat_at=utc_now()))
        return None if row is None else self._record(row, row.worker)

    def _record(self, row: Any, worker: str) -> RunRecord:
        return RunRecord(self.db, row.id, row.arch_id, worker, earlier=row.message, patience=self.patience)

    def left(self) -> int:
        """How many runs have not ended: they wait, or somebody trains them."""
        return len(through_outages(lambda again: self._left(), self.patience))

    def _left(self) -> list[int]:
        """The architectures whose runs have not ended, in order."""
        query = select(Run.arch_id).where(
            Run.recipe_id == self.recipe_id, Run.seed == self.seed, Run.status.in_(UNFINISHED)
        )
        found = set(self.db.reader.scalars(query))
        return [index for index in self._ids if index in found]

    def _next_chunk(self) -> list[int]:
        """Where to look for a run; empty if all have ended, those that were brought back meanwhile too."""
        if not self._chunks:
            self._chunks = _chunks(self._left())
        return self._chunks[0] if self._chunks else []

    def _unfinished(self, session: Session, chunk: list[int], signs: _Signs) -> list[Any]:
        """Runs that have not ended, in the order of the chunk; those that were given back come last."""
        columns = (Run.id, Run.arch_id, Run.status, Run.worker, Run.message)
        query = select(*columns, *signs)
        rows = session.execute(query.where(*self._of(chunk), Run.status.in_(UNFINISHED))).all()
        place = {arch_id: at for at, arch_id in enumerate(chunk)}
        return sorted(rows, key=lambda row: (row.message is not None, place[row.arch_id]))

    def _any_free(self, chunks: list[list[int]], signs: _Signs) -> bool:
        """Whether a run of these waits, or has a worker that is gone."""
        for chunk in chunks:
            for row in self._unfinished(self.db.reader, chunk, signs):
                if not _is_trained(row):
                    return True
        return False

    def _of(self, chunk: list[int]) -> tuple[Any, ...]:
        return Run.recipe_id == self.recipe_id, Run.seed == self.seed, Run.arch_id.in_(chunk)


def _is_trained(row: Any) -> bool:
    """Whether a run has a worker that may live, or a thread of this process has it.

    A sign of life that is yet to come tells nothing: the clock was wrong then, or is now.
    """
    if row.status != RUNNING or row.stopped:
        return False
    if is_held(row.worker or ""):
        return True
    known = lives(row.worker or "")
    return not row.ahead if known is None else known


def check_workers(db: Database, *, intervals: Intervals) -> None:
    """Refuse to work on a disk that machines share beside a worker of another machine that may live.

    Those of one machine share its locks. `RunQueue.claim` asks it again, as it takes a run: two that begin
    together see each other only then.

    Parameters
    ----------
    db
        The database.
    intervals
        After how long without a sign of life a worker counts as dead.

    Raises
    ------
    DatabaseError
        There is one, on such a disk.
    """
    _check_alone(db, db.reader, intervals)


def _check_alone(db: Database, session: Session, intervals: Intervals) -> None:
    if db.path is not None and disk_of(db.path).shared:
        others = living_workers(session, intervals=intervals)
        check_alone(db.path, others, dead_after=intervals.dead_after)


def _is_ours(worker: str) -> bool:
    return is_held(worker) or is_here(worker)


def living_workers(session: Session, *, intervals: Intervals) -> list[str]:
    """Who trains runs of a database just now on another machine, and may live, whichever runs they are.

    Parameters
    ----------
    session
        To ask for them.
    intervals
        After how long without a sign of life a worker counts as dead.

    Returns
    -------
    list of str
        The workers, as people read them.
    """
    query = select(Run.status, Run.worker, *_signs_of_life(intervals)).where(Run.status == RUNNING)
    found = [row for row in session.execute(query).all() if not _is_ours(row.worker or "")]
    return sorted({shown(row.worker or "") for row in found if _is_trained(row)})
