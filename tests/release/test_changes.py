"""What an import tells of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb
from bloxdb import ImportReport
from bloxdb.counts import Counts
from bloxdb.release.changes import Changes

RUNS = Counts(architectures=2, runs=3, epochs=30)
TOLD = "2 files: 2 architectures, 3 runs, 30 epochs"


@pytest.mark.parametrize(
    ("added", "replaced", "new", "told"),
    [
        (5, 0, RUNS, f"{TOLD}; all new"),
        (5, 0, Counts(runs=1), f"{TOLD}; new: 1 run"),
        (5, 0, Counts(), f"{TOLD}; more is known of runs that were there"),
        (5, 2, Counts(), f"{TOLD}; more is known of runs that were there; 2 values replaced"),
        (0, 1, Counts(), f"{TOLD}; 1 value replaced"),
        (0, 1_200, Counts(), f"{TOLD}; 1,200 values replaced"),
        (0, 0, Counts(), f"{TOLD}; nothing new"),
    ],
)
def test_a_report_says_what_a_person_asks(added: int, replaced: int, new: Counts, told: str) -> None:
    paths = [Path("a.csv"), Path("b.csv")]
    report = ImportReport(files=paths, added=added, replaced=replaced, counts=RUNS, new=new)
    assert str(report) == told
    assert repr(report) == f"<ImportReport: {told}>"


def test_a_value_that_differs_is_replaced_or_a_contradiction() -> None:
    report = ImportReport()
    Changes(report, replace=True).differs("test_top1", 1.5, 2.5)
    assert report.replaced == 1
    changes = Changes(report, replace=False)
    changes.differs("test_top1", 1.5, 2.5)
    assert report.replaced == 1
    with pytest.raises(bloxdb.ConflictError) as caught:
        changes.conflicts.check()
    assert str(caught.value) == (
        "1 value contradicts the database, nothing was imported (replace overrides): "
        "test_top1 1.5 here, 2.5 in the file"
    )
