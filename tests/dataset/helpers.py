"""What tests of data sets share: the rows of the golden release, and an architecture without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bloxdb import codecs

SMALL = "release-small"

NOT_THERE = [[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 1]]]


def rows_of(folder: Path, stem: str) -> dict[str, dict[str, Any]]:
    """A file's rows by hash, read by the pickle codec."""
    table = codecs.read(folder / f"{stem}.pickle")
    return {row[0]: dict(zip(table.header.columns, row, strict=True)) for row in table.rows()}
