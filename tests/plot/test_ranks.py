"""Rank correlations, against SciPy's and against counting all pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bloxdb.plot.ranks import kendall, overlap, spearman

CASES = {
    "without ties": lambda draw, n: (draw.normal(size=n), draw.normal(size=n)),
    "alike": lambda draw, n: (values := draw.normal(size=n), values + draw.normal(size=n) / 3),
    "opposite": lambda draw, n: (values := draw.normal(size=n), -values),
    "many ties": lambda draw, n: (draw.integers(0, 4, n).astype(float), draw.integers(0, 3, n).astype(float)),
    "ties in one": lambda draw, n: (draw.integers(0, 4, n).astype(float), draw.normal(size=n)),
    "thousandths": lambda draw, n: (draw.integers(0, 5000, n) / 1000, draw.integers(0, 5000, n) / 1000),
}


@pytest.mark.parametrize("n", [2, 3, 7, 64, 65, 1000])
@pytest.mark.parametrize("case", CASES)
def test_they_are_scipys(case: str, n: int) -> None:
    a, b = CASES[case](np.random.default_rng([3, n]), n)
    if len(set(a)) == 1 or len(set(b)) == 1:
        a[0], b[0] = 9.0, 9.0
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


@pytest.mark.parametrize("way", [spearman, kendall])
def test_equal_values_rank_nothing(way: object) -> None:
    assert math.isnan(way(np.ones(5), np.arange(5.0)))  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 1.0])
def test_overlap_is_what_two_sorted_lists_have_in_common(share: float) -> None:
    draw = np.random.default_rng(0)
    a = draw.permutation(500).astype(float)
    b = a + draw.normal(0, 30, 500)
    count = max(1, round(share * 500))
    best = [set(sorted(range(500), key=lambda at: -values[at])[:count]) for values in (a, b)]
    assert overlap(a, b, share) == len(best[0] & best[1]) / count


def test_of_equal_ones_the_first_are_the_best() -> None:
    assert overlap(np.zeros(10), np.array([1.0, *[0.0] * 9]), 0.2) == 1.0
