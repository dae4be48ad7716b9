"""What an import changes, and what contradicts the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bloxdb.db.conflicts import Conflicts


@dataclass
class ImportReport:
    """What an import did.

    Attributes
    ----------
    files
        What was read.
    added, replaced, unchanged
        Rows of the files that were new, took the place of others, or were there already.
    notes
        Sentences on what a reader should know: files that look like release files and were not taken, and
        what is odd in those that were.
    """

    files: list[Path] = field(default_factory=list)
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"<ImportReport: {len(self.files)} files, {self.added:,} rows added, {self.replaced:,} replaced, "
            f"{self.unchanged:,} unchanged>"
        )


class Changes:
    """What becomes of the files' values: counted, and contradictions collected.

    Attributes
    ----------
    report
        The counts.
    replace
        Whether the files' values override those that are there.
    conflicts
        The places where the files' values differ and may not override.
    """

    def __init__(self, report: ImportReport, replace: bool) -> None:
        self.report = report
        self.replace = replace
        self.conflicts = Conflicts("nothing was imported (replace overrides)")

    def differs(self, what: str, old: object, new: object) -> None:
        """Note a value that is there and is not the file's: replaced, or a contradiction."""
        if self.replace:
            self.report.replaced += 1
        else:
            self.conflicts.add(f"{what} {old} here, {new} in the file")
