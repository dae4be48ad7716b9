"""Signs of life: how a worker shows that it lives, and how others see that it does not."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

from bloxdb.arguments import number
from bloxdb.errors import DatabaseError, QueryError, RunLostError
from bloxdb.runs.record import RunRecord

_YEAR = 366 * 86_400  # seconds


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
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._why: RunLostError | None = None

    def __repr__(self) -> str:
        how = "not begun" if self._thread is None else "lost" if self.lost else f"every {self._every} s"
        return f"<Heartbeat of {self._record}: {how}>"

    def __enter__(self) -> Heartbeat:
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
    def lost(self) -> bool:
        """Whether somebody else has taken the run over."""
        return self._why is not None

    def check(self) -> None:
        """`RunLostError` if somebody else has the run: what is measured from now on is for nobody."""
        if self._why is not None:
            raise RunLostError(str(self._why))

    def _show_life(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._record.heartbeat(wait=self._every)
            except RunLostError as error:
                self._why = error
                return
            except DatabaseError as error:
                if self._record.db.is_closed:
                    self._why = RunLostError(f"{error}; without it nobody sees that this run is trained")
                    return
                continue  # busy or away; if it stays so, the next epoch cannot be written and says why
