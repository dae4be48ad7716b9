"""What has been trained, what is missing, and what went wrong."""

from __future__ import annotations

import itertools

from bloxdb import Database, runs


def test_progress_and_gaps_count_what_is_there(tiny_db: Database) -> None:
    (row,) = runs.overview()
    assert (row["recipe"], row["seed"], row["finished"], row["missing"]) == ("cifar100-10", 3, 40, 91_085)
    done = {found["arch_id"] for found in tiny_db.rows("SELECT arch_id FROM runs")}
    gaps = runs.gaps("cifar100-10", 3)
    missing = {index for first, last in gaps for index in range(first, last + 1)}
    assert missing == set(range(91_125)) - done
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(gaps))
