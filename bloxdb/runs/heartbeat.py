"""Signs of life: how a worker shows that it lives, and how others see that it does not."""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass
from types import TracebackType

from bloxdb.arguments import number
from bloxdb.errors import DatabaseError, RunLostError
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
            object.__setattr__(self, name, number(getattr(self, name), f"{name} in seconds"))


class Heartbeat:
    """Gives signs of life for one run in a thread, as long as the block lasts.

    Parameters
    ----------
    record
        The run that this worker has claimed.
    intervals
        How long to wait between two signs of life; 5 seconds if None.

    Attributes
    ----------
    lost
        Whether somebody else has taken the run over.
    """

    def __init__(self, record: RunRecord, intervals: Intervals | None = None) -> None:
        self._record = record
        self._every = (intervals or Intervals()).every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.lost = False

    def __enter__(self) -> Heartbeat:
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
                self._record.heartbeat(wait=self._every)
            except RunLostError:
                self.lost = True
                return
            except DatabaseError:
                continue  # busy or away; if it stays so, the next epoch cannot be written and says why


def worker_name() -> str:
    """This process, as the database knows it: ``MACHINE:PID``."""
    return f"{platform.node()}:{os.getpid()}"


def may_live(worker: str) -> bool:
    """Whether a worker may be running.

    Parameters
    ----------
    worker
        The name of a worker, from `worker_name`.

    Returns
    -------
    bool
        False for a process of this machine that is gone. A worker of another machine may live: only its
        heartbeat can tell.
    """
    node, _, pid = worker.rpartition(":")
    if node != platform.node() or not pid.isdigit():
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
