"""What contradicts the database: counted, and the first few told."""

from __future__ import annotations

from bloxdb.counts import counted
from bloxdb.errors import ConflictError

_SHOWN = 5  # more do not help a person to see what is wrong


class Conflicts:
    """Contradictions that nothing decides.

    Parameters
    ----------
    outcome
        What did not happen because of them, and what would decide, for the error.
    """

    def __init__(self, outcome: str) -> None:
        self._outcome = outcome
        self._count = 0
        self._first: list[str] = []

    def add(self, what: str) -> None:
        """Note one: what it is of, and the two values."""
        self._count += 1
        if len(self._first) < _SHOWN:
            self._first.append(what)

    def check(self) -> None:
        """Raise `ConflictError` if there was any."""
        if self._count:
            more = "; …" if self._count > len(self._first) else ""
            values = counted(self._count, "value contradicts", "values contradict")
            raise ConflictError(f"{values} the database, {self._outcome}: {'; '.join(self._first)}{more}")
