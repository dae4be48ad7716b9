"""Signs of life: how a worker shows that it lives, and how others see that it does not."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

from bloxdb.arguments import number
from bloxdb.counts import counted
from bloxdb.errors import DatabaseError, QueryError, RunLostError
from bloxdb.runs.record import RunRecord, show_life

_YEAR = 366 * 86_400  # seconds
_TOGETHER = 200  # runs a transaction, which had SQLite's lock for 12 ms, on two busy cores


@dataclass(frozen=True)
class Intervals:
    """How often workers show that they live.

    Attributes
    ----------
    every
        Seconds between two heartbeats.
    dead_after
        Seconds without a heartbeat after which a run is taken over: a dozen are missed by then, so that a
        database that is busy for a while takes no run from a worker that lives.

    Raises
    ------
    QueryError
        One is not between 0 and a year, or heartbeats are further apart than what is taken for death.
    """

    every: float = 5.0
    dead_after: float = 60.0

    def __post_init__(self) -> None:
        for name in ("every", "dead_after"):
            seconds = number(getattr(self, name), f"{name} in seconds")
            if not 0 < seconds <= _YEAR:
                raise QueryError(
                    f"{name} in seconds is more than 0 and at most {_YEAR}, a year, not {seconds}"
                )
            object.__setattr__(self, name, seconds)
        if self.every >= self.dead_after:
            raise QueryError(
                f"with a heartbeat every {self.every} s, workers that live would be taken for dead after "
                f"{self.dead_after} s; let more time pass, or less between heartbeats"
            )


class Heartbeats:
    """Gives signs of life for any number of runs of one database, in one thread, as long as the block lasts.

    Parameters
    ----------
    intervals
        How long to wait between two signs of life; 5 seconds if None.
    """

    def __init__(self, *, intervals: Intervals | None = None) -> None:
        self._every = (intervals or Intervals()).every
        self._records: list[RunRecord] = []
        self._lost: dict[RunRecord, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Heartbeats: {counted(len(self._records), 'run')} every {self._every} s>"

    def __enter__(self) -> Heartbeats:
        if self._thread is not None:
            raise QueryError("this heartbeat has begun already; make one for each block")
        self._thread = threading.Thread(target=self._show_life, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def has_begun(self) -> bool:
        """Whether the block has been entered."""
        return self._thread is not None

    def add(self, record: RunRecord) -> None:
        """Give signs of life for this run, too."""
        self._records = [*self._records, record]  # the thread goes through the list that was there

    def drop(self, record: RunRecord) -> None:
        """Give none any more: the run has ended here."""
        self._records = [other for other in self._records if other is not record]
        self._lost.pop(record, None)

    def has_lost(self, record: RunRecord) -> bool:
        """Whether somebody else has taken the run over."""
        return record in self._lost

    def check(self, record: RunRecord) -> None:
        """`RunLostError` if somebody else has the run: what is measured from now on is for nobody."""
        if (why := self._lost.get(record)) is not None:
            raise RunLostError(why)

    def _show_life(self) -> None:
        while not self._stop.wait(self._every):
            records = [record for record in self._records if record not in self._lost]
            for start in range(0, len(records), _TOGETHER):
                part = records[start : start + _TOGETHER]
                try:
                    lost = show_life(part, wait=self._every)
                except DatabaseError as error:
                    if not part[0].db.is_closed:  # busy or away; if it stays so, the next epoch says why
                        continue
                    gone = f"{error}; without it nobody sees that this run is trained"
                    self._lost.update(dict.fromkeys(part, gone))
                    return
                self._lost.update({record: str(error) for record, error in lost.items()})


class Heartbeat:
    """Gives signs of life for one run in a thread, as long as the block lasts.

    Parameters
    ----------
    record
        The run that this worker has claimed.
    intervals
        How long to wait between two signs of life; 5 seconds if None.
    """

    def __init__(self, record: RunRecord, *, intervals: Intervals | None = None) -> None:
        self._record = record
        self._every = (intervals or Intervals()).every
        self._beats = Heartbeats(intervals=intervals)
        self._beats.add(record)

    def __repr__(self) -> str:
        begun = self._beats.has_begun
        how = "not begun" if not begun else "lost" if self.lost else f"every {self._every} s"
        return f"<Heartbeat of {self._record}: {how}>"

    def __enter__(self) -> Heartbeat:
        self._beats.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beats.__exit__(kind, error, trace)

    @property
    def lost(self) -> bool:
        """Whether somebody else has taken the run over."""
        return self._beats.has_lost(self._record)

    def check(self) -> None:
        """`RunLostError` if somebody else has the run: what is measured from now on is for nobody."""
        self._beats.check(self._record)
