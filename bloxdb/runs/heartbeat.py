"""Signs of life: how a worker shows that it lives, and how others see that it does not."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType

from bloxdb.arguments import number
from bloxdb.errors import DatabaseError, QueryError, RunLostError
from bloxdb.runs.record import RunRecord


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
    """

    every: float = 5.0
    dead_after: float = 60.0

    def __post_init__(self) -> None:
        for name in ("every", "dead_after"):
            seconds = number(getattr(self, name), f"{name} in seconds")
            if seconds <= 0:
                raise QueryError(f"{name} in seconds is more than 0, not {seconds}")
            object.__setattr__(self, name, seconds)


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
        self._thread = threading.Thread(target=self._show_life, daemon=True)
        self._why: RunLostError | None = None

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
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
            except DatabaseError:
                continue  # busy or away; if it stays so, the next epoch cannot be written and says why
