"""How far work is that takes long: an import, an export, a merge, a backup, a check, a repair."""

from __future__ import annotations

import time
from typing import Protocol


class Progress(Protocol):
    """What long work can be given to call, again and again, with how far it is."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Take note.

        Parameters
        ----------
        done, total
            What is done, and all there is to do: an import counts bytes of its files, an export rows of the
            database, a merge runs.
        what
            What is going on now, with how many rows a second that is.
        """
        ...


class Meter:
    """Tells a `Progress` how far things are.

    Parameters
    ----------
    progress
        What is told; None for nobody.
    total
        All there is to do, in whatever unit.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._size = 0
        self._what = ""
        self._rows = 0
        self._since = 0.0

    def begin(self, what: str, size: int) -> None:
        """A part of the work begins, and with it what came before is done."""
        self._done += self._size
        self._what, self._size = what, size
        self._rows, self._since = 0, time.monotonic()
        self._tell(0, what)

    def rows(self, done: int, total: int) -> None:
        """So many rows more of this part are done, of so many in all."""
        self._rows += done
        seconds = max(time.monotonic() - self._since, 1e-3)
        self._tell(
            self._size * min(self._rows, total) // max(total, 1),
            f"{self._what}, {self._rows / seconds:,.0f} rows/s",
        )

    def finish(self) -> None:
        """The whole work is done."""
        self._done, self._size = self._total, 0
        self._tell(0, "done")

    def _tell(self, part: int, what: str) -> None:
        if self._progress is not None:
            self._progress(min(self._done + part, self._total), self._total, what)
