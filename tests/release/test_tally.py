"""A run is counted once, however many files speak of it."""

from __future__ import annotations

import numpy as np

from bloxdb.codecs import Header
from bloxdb.codecs.columns import BASE, BENCH, ENV, EXT, INFO
from bloxdb.counts import Counts
from bloxdb.release.tally import Tally, counts_of

HEADERS = [
    (Header("static", INFO), Counts(architectures=3)),
    (Header("training", BASE, seed=0, epochs=10, dataset="d", part="base"), Counts(runs=3, epochs=30)),
    (Header("training", EXT, seed=0, epochs=10, dataset="d", part="ext"), Counts(runs=3, epochs=30)),
    (Header("training", BASE, seed=1, epochs=10, dataset="d", part="base"), Counts(runs=3, epochs=30)),
    (Header("env", ENV, seed=0), Counts(runs=3)),
    (Header("benchmarking", BENCH, device="a"), Counts(latencies=3)),
]


def test_the_files_of_a_release_are_counted_together() -> None:
    tally = Tally()
    ids = np.array([7, 5, 9])
    counts = []
    for header, alone in HEADERS:
        tally.add(header, ids)
        counts.append(tally.counts())
        assert counts_of(header, 3) == alone
    assert counts == [
        Counts(3),
        Counts(3, 3, 30),
        Counts(3, 3, 30),
        Counts(3, 6, 60),
        Counts(3, 6, 60),
        Counts(3, 6, 60, 3),
    ]
    tally.add(HEADERS[1][0], np.array([9, 11]))
    tally.add(HEADERS[0][0], np.arange(1000))
    assert tally.counts() == Counts(4, 7, 70, 3)


def test_runs_of_several_recipes_and_lengths_are_all_counted() -> None:
    tally = Tally()
    tally.runs("cifar100-10", 0, 10, np.array([1, 2, 3]))
    tally.runs("cifar100-10", 0, 3, np.array([4]))  # it diverged
    tally.runs("cifar100-10", 0, 3, np.array([1]))
    tally.runs("cifar100-10", 0, 0, np.array([5]))  # in its first epoch
    tally.runs("digits-5", 0, 5, np.array([1, 2]))
    assert tally.counts() == Counts(5, 7, 43)
    tally.add(HEADERS[1][0], np.array([1]), "cifar100-10")
    tally.add(HEADERS[1][0], np.array([1]))
    assert tally.counts() == Counts(5, 8, 53)
