"""What an import changes, and what contradicts the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bloxdb.counts import Counts, Report, counted
from bloxdb.db.conflicts import Conflicts
from bloxdb.files import files
from bloxdb.release.tally import Tally


@dataclass(repr=False)
class ImportReport(Report):
    """What an import did.

    Attributes
    ----------
    files
        What was read.
    added, replaced, unchanged
        Rows of the files that were new, took the place of others, or were there already.
    counts
        How many architectures, runs, epochs and latencies the files tell of.
    new
        Those of them that were not there before.
    notes
        Sentences on what a reader should know: files that look like release files and were not taken, and
        what is odd in those that were.
    """

    files: list[Path] = field(default_factory=list)
    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    notes: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    new: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        parts = [str(self.counts)]
        if self.new and self.new == self.counts:
            parts.append("all new")
        elif self.new:
            parts.append(f"new: {self.new}")
        if self.added and not self.new:
            parts.append("more is known of runs that were there")
        if self.replaced:
            parts.append(f"{counted(self.replaced, 'value')} replaced")
        if not (self.added or self.replaced):
            parts.append("nothing new")
        return f"{files(len(self.files))}: {'; '.join(parts)}"


class Changes:
    """What becomes of the files' values: counted, and contradictions collected.

    Attributes
    ----------
    report
        The counts.
    replace
        Whether the files' values override those that are there.
    told, new
        What the files tell, and what of it was not there before.
    conflicts
        The places where the files' values differ and may not override.
    """

    def __init__(self, report: ImportReport, replace: bool) -> None:
        self.report = report
        self.replace = replace
        self.told, self.new = Tally(), Tally()
        self.conflicts = Conflicts("nothing was imported (replace overrides)")

    def differs(self, what: str, old: object, new: object) -> None:
        """Note a value that is there and is not the file's: replaced, or a contradiction."""
        if self.replace:
            self.report.replaced += 1
        else:
            self.conflicts.add(f"{what} {old} here, {new} in the file")
