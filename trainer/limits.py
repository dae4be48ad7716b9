"""A time limit: until when a training may go on, and whether there is time for one more run.

A run that is cut off loses nothing, since it is given back with a checkpoint. That it is not begun spares its
start, twice, and a batch system's time to whoever can use it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bloxdb.arguments import number
from bloxdb.errors import QueryError

USUAL_GRACE, SHARE = 60.0, 0.1
"""Seconds before the end for epochs to end in, if nothing is said, and the largest share of the time:
an epoch of the release takes a few seconds on a GPU, and a checkpoint less than one."""


@dataclass(frozen=True)
class TimeLimit:
    """A time until which workers train.

    Attributes
    ----------
    began, end
        By `time.monotonic`, which all processes of a machine share.
    grace
        For how many seconds before the end workers stop after their epoch; then they stop at once.
    expected
        Seconds that a run is expected to take; None where that is not known.

    Raises
    ------
    QueryError
        There is no time, or no such grace.
    """

    began: float
    end: float
    grace: float
    expected: float | None = None

    def __post_init__(self) -> None:
        if not number(self.end, "the end of a time limit") > number(self.began, "its beginning"):
            raise QueryError("a time limit is more than 0 seconds")
        if not 0 <= number(self.grace, "the grace of a time limit") < self.end - self.began:
            raise QueryError(
                f"workers may take {self.grace:g} s to stop, which is no less than the time limit of "
                f"{self.end - self.began:g} s; give a shorter grace, or more time"
            )

    @classmethod
    def of(cls, seconds: float, grace: float | None = None) -> TimeLimit:
        """A limit of so many seconds from now.

        Parameters
        ----------
        seconds
            How many.
        grace
            How many of them are for the last epochs; a tenth if None, and no more than `USUAL_GRACE`.
        """
        now = time.monotonic()
        seconds = number(seconds, "a time limit, in seconds,")
        usual = min(USUAL_GRACE, SHARE * seconds)
        return cls(now, now + seconds, usual if grace is None else grace)

    @property
    def asks_at(self) -> float:
        """When workers are asked to stop after their epoch."""
        return self.end - self.grace

    def left(self) -> float:
        """Seconds until workers are asked to stop."""
        return self.asks_at - time.monotonic()


class Pace:
    """How long runs take here, by those that ended in this process.

    Parameters
    ----------
    limit
        The limit that they have; None for none.
    epochs
        Epochs of a run.
    """

    def __init__(self, limit: TimeLimit | None, epochs: int) -> None:
        self._limit = limit
        self._epochs = epochs
        self._asked = False
        self._seconds = 0.0
        self._trained = 0

    def ended(self, seconds: float, epochs: int) -> None:
        """Count a run that has ended.

        Parameters
        ----------
        seconds
            How long it took here, its beginning and its test included.
        epochs
            Its epochs that were trained here.
        """
        self._seconds += seconds
        self._trained += epochs

    def run_seconds(self) -> float | None:
        """Seconds that a whole run is expected to take; None where that is not known."""
        if self._trained:
            return self._seconds / self._trained * self._epochs
        return None if self._limit is None else self._limit.expected

    def too_little(self) -> tuple[float, float] | None:
        """Seconds that are left, and that a run needs, where these are more; None where one may begin.

        When it is asked for the first time, one may begin in any case: a run that is longer than the limit
        goes on with each process, from its checkpoint.
        """
        is_first, self._asked = not self._asked, True
        needed = self.run_seconds()
        if self._limit is None or needed is None or is_first:
            return None
        left = self._limit.left()
        return (left, needed) if left < needed else None
