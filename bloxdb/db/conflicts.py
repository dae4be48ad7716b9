"""What an import changes, and what contradicts the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bloxdb.errors import ConflictError

_SHOWN = 5


@dataclass
class ImportReport:
    """What an import did: the files, and how many rows of them were new, replaced or there already."""

    files: list[Path] = field(default_factory=list)
    added: int = 0
    replaced: int = 0
    unchanged: int = 0


class Changes:
    """Counts what becomes of the files' values, and collects contradictions to list the first few of all.

    Attributes
    ----------
    report
        The counts.
    replace
        Whether the files' values override those that are there.
    """

    def __init__(self, report: ImportReport, replace: bool) -> None:
        self.report = report
        self.replace = replace
        self._conflicts = 0
        self._first: list[str] = []

    def differs(self, what: str, old: object, new: object) -> None:
        """Note a value that is there and is not the file's: replaced, or a contradiction."""
        if self.replace:
            self.report.replaced += 1
            return
        self._conflicts += 1
        if len(self._first) < _SHOWN:
            self._first.append(f"{what} {old} here, {new} in the file")

    def check(self) -> None:
        """Raise `ConflictError` if there was any contradiction."""
        if self._conflicts:
            raise ConflictError(
                f"{self._conflicts} values contradict the database, nothing was imported (replace "
                f"overrides): {'; '.join(self._first)}{'; …' if self._conflicts > len(self._first) else ''}"
            )
