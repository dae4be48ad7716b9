"""Which runs are to be trained, and who has them: any number of workers share it through the database.

A run waits as `pending`; claiming makes it `running`. Its worker beats; a run whose heart has stopped, or
whose worker is a process of this machine that is gone, is claimed by the next worker that asks.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from sqlalchemy import CursorResult, func, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.db.database import Database
from bloxdb.db.dialects import utc_now
from bloxdb.db.schema import Run
from bloxdb.errors import DatabaseError
from bloxdb.runs.record import RunLostError, RunRecord

_CHUNK = 500  # architectures that are asked for at once
_UNFINISHED = ("pending", "running")


@dataclass(frozen=True)
class Pulse:
    """How workers show that they live.

    Attributes
    ----------
    every
        Seconds between two beats.
    dead_after
        Seconds without a beat after which a run is taken over.
    """

    every: float = 5.0
    dead_after: float = 60.0


class RunQueue:
    """The runs of some architectures under one recipe and seed.

    Parameters
    ----------
    db
        The database.
    arch_ids
        Architecture indices, in the order in which they are to be trained.
    recipe_id, seed
        Of the runs.
    """

    def __init__(self, db: Database, arch_ids: Sequence[int], recipe_id: int, seed: int) -> None:
        self.db = db
        self.recipe_id = recipe_id
        self.seed = seed
        self._chunks = [list(arch_ids[i : i + _CHUNK]) for i in range(0, len(arch_ids), _CHUNK)]

    def fill(self) -> None:
        """Add a pending run for each architecture that has none."""
        with self.db.transaction() as session:
            for chunk in self._chunks:
                there = set(session.scalars(select(Run.arch_id).where(*self._of(chunk))))
                rows = [
                    {"arch_id": i, "recipe_id": self.recipe_id, "seed": self.seed, "status": "pending"}
                    for i in chunk
                    if i not in there
                ]
                if rows:
                    session.execute(insert(Run), rows)

    def claim(self, worker: str, env_id: int | None, pulse: Pulse) -> RunRecord | None:
        """Take the next run that nobody works on; None if there is none now."""
        state = {"status": "running", "worker": worker, "env_id": env_id, "message": None}
        stopped = Run.heartbeat_at < utc_now(pulse.dead_after)
        while self._chunks:
            with self.db.transaction() as session:
                chunk = self._chunks[0]
                found = self._unfinished(session, chunk, stopped)
                if not found:
                    self._chunks.pop(0)
                    continue
                for row in found:
                    if row.status == "running" and not row.stopped and may_live(row.worker or ""):
                        continue
                    as_seen = (Run.id == row.id, Run.status == row.status, Run.worker == row.worker)
                    started = func.coalesce(Run.started_at, utc_now())
                    done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
                        update(Run)
                        .where(*as_seen)
                        .values(**state, heartbeat_at=utc_now(), started_at=started)
                    )
                    if done.rowcount == 1:
                        return RunRecord(self.db, row.id, row.arch_id, worker)
            others = self._chunks[1:]
            if not self._any_free(others, stopped):
                return None
            self._chunks = [*others, chunk]
        return None

    def left(self) -> int:
        """How many runs have not ended: they wait, or somebody trains them."""
        count = func.count()
        total = 0
        for chunk in self._chunks:
            query = select(count).where(*self._of(chunk), Run.status.in_(_UNFINISHED))
            total += self.db.reader.scalar(query) or 0
        return total

    def _unfinished(self, session: Session, chunk: list[int], stopped: Any) -> list[Any]:
        """Runs that have not ended, in the order of the chunk."""
        query = select(Run.id, Run.arch_id, Run.status, Run.worker, stopped.label("stopped"))
        rows = session.execute(query.where(*self._of(chunk), Run.status.in_(_UNFINISHED))).all()
        place = {arch_id: at for at, arch_id in enumerate(chunk)}
        return sorted(rows, key=lambda row: place[row.arch_id])

    def _any_free(self, chunks: list[list[int]], stopped: Any) -> bool:
        """Whether a run of these waits, or has a worker that is gone."""
        for chunk in chunks:
            for row in self._unfinished(self.db.reader, chunk, stopped):
                if row.status == "pending" or row.stopped or not may_live(row.worker or ""):
                    return True
        return False

    def _of(self, chunk: list[int]) -> tuple[Any, ...]:
        return Run.recipe_id == self.recipe_id, Run.seed == self.seed, Run.arch_id.in_(chunk)


class Heart:
    """Beats for one run in a thread, as long as the block lasts.

    Attributes
    ----------
    lost
        Whether somebody else has taken the run over.
    """

    def __init__(self, record: RunRecord, pulse: Pulse) -> None:
        self._record = record
        self._every = pulse.every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.lost = False

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._record.beat()
            except RunLostError:
                self.lost = True
                return
            except DatabaseError:
                continue  # busy or away; if it stays so, the next epoch cannot be written and says why


def worker_name() -> str:
    """This process, as the database knows it: ``MACHINE:PID``."""
    return f"{platform.node()}:{os.getpid()}"


def may_live(worker: str) -> bool:
    """Whether a worker may be running; of another machine only its heartbeat can tell, so it may."""
    node, _, pid = worker.rpartition(":")
    if node != platform.node():
        return True
    if int(pid) == os.getpid():
        return False  # we ask, so we do not train it: it was a process before us that had our number
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
