"""Numbers in reports, as a person reads them."""

from __future__ import annotations

import pytest

from bloxdb.counts import Counts, counted


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(), "nothing"),
        (Counts(300, 600, 120_000), "300 architectures, 600 runs, 120,000 epochs"),
        (Counts(1, 1, 1, 1), "1 architecture, 1 run, 1 epoch, 1 latency"),
        (Counts(latencies=2), "2 latencies"),
        (Counts(runs=1_000_000), "1,000,000 runs"),
    ],
)
def test_counts_are_told_in_words_and_without_what_there_is_none_of(counts: Counts, text: str) -> None:
    assert str(counts) == text
    assert bool(counts) == (text != "nothing")


def test_one_is_told_otherwise_than_several() -> None:
    told = [counted(n, "row") for n in (0, 1, 2, 91_125)]
    assert told == ["0 rows", "1 row", "2 rows", "91,125 rows"]
    assert [counted(n, "run waits", "runs wait") for n in (0, 1, 2)] == [
        "0 runs wait",
        "1 run waits",
        "2 runs wait",
    ]
