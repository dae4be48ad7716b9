"""Means, medians and deviations of groups, against the standard library."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.errors import QueryError
from bloxdb.grouping import Groups, average

VALUES = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6))
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), VALUES), max_size=30)


def by_key(rows: list[tuple[int, int, float]]) -> dict[tuple[int, int], list[float]]:
    """The known values of each group, groups in order."""
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for one, other, value in sorted(rows, key=lambda row: row[:2]):
        found[one, other] += [] if math.isnan(value) else [value]
    return found


@given(rows=ROWS)
def test_groups_are_what_the_standard_library_says(rows: list[tuple[int, int, float]]) -> None:
    ones, others, values = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    groups, truth = Groups(ones, others), by_key(rows)
    assert [(ones[at], others[at]) for at in groups.first] == list(truth)
    assert groups.counts(~np.isnan(values)).tolist() == [len(known) for known in truth.values()]
    for how, function in (("mean", statistics.fmean), ("median", statistics.median)):
        expected = [function(known) if known else math.nan for known in truth.values()]
        assert groups.averages(how, values) == pytest.approx(expected, nan_ok=True, abs=1e-9)
    expected = [statistics.stdev(known) if len(known) > 1 else math.nan for known in truth.values()]
    assert groups.deviations(values) == pytest.approx(expected, nan_ok=True, abs=1e-7)


@given(
    columns=st.lists(st.lists(VALUES, min_size=3, max_size=3), max_size=5),
    how=st.sampled_from(["mean", "median"]),
)
def test_a_column_is_a_group(columns: list[list[float]], how: str) -> None:
    table = np.array(columns, dtype=np.float64).reshape(-1, 3).T
    found = average(how, table)
    for place, column in enumerate(columns):
        alone = Groups(np.zeros(3)).averages(how, np.array(column))
        assert np.array_equal(found[place : place + 1], alone, equal_nan=True), "the same digits"


@pytest.mark.parametrize("how", ["mode", "", None])
def test_another_average_is_refused(how: Any) -> None:
    with pytest.raises(QueryError, match="there is no average .*; choose one of: mean, median"):
        Groups(np.zeros(2)).averages(how, np.zeros(2))


LARGE = st.one_of(st.floats(0, 1.7e308), st.floats(0, 10), st.just(1.7e308))


@given(values=st.lists(st.tuples(st.integers(0, 3), LARGE), min_size=1, max_size=30))
def test_no_average_overflows_that_is_a_number_itself(values: list[tuple[int, float]]) -> None:
    groups = Groups(np.array([key for key, _ in values]))
    given_values = np.array([value for _, value in values])
    found = zip(
        groups.averages("mean", given_values),
        groups.averages("median", given_values),
        groups.deviations(given_values),
        strict=True,
    )
    for key, (mean, median, deviation) in zip(sorted({key for key, _ in values}), found, strict=True):
        own = [Fraction(value) for other, value in values if other == key]
        exact = sum(own) / len(own)
        assert mean == pytest.approx(float(exact), rel=1e-14)
        assert median == pytest.approx(float(statistics.median(own)), rel=1e-14)
        if len(own) > 1:
            squares = sum((value - exact) ** 2 for value in own) / (len(own) - 1)
            scale = max(own) or 1  # `float` of a square would overflow
            assert deviation / float(scale) == pytest.approx(
                math.sqrt(squares / scale**2), rel=1e-9, abs=1e-14
            )


@given(
    decimals=st.sampled_from([0, 2, 3, 6]),
    wholes=st.lists(st.tuples(st.integers(0, 3), st.integers(-(10**8), 10**8)), min_size=1, max_size=30),
    missing=st.integers(0, 3),
)
def test_averages_of_decimals_are_the_nearest_floats_to_the_exact_ones(
    decimals: int, wholes: list[tuple[int, int]], missing: int
) -> None:
    keys = [key for key, _ in wholes] + [0] * missing
    values = [number / 10**decimals for _, number in wholes] + [math.nan] * missing
    groups = Groups(np.array(keys))
    for how, function in (("mean", lambda own: sum(own) / len(own)), ("median", statistics.median)):
        for key, found in zip(sorted(set(keys)), groups.averages(how, np.array(values)), strict=True):
            own = [Fraction(number, 10**decimals) for other, number in wholes if other == key]
            assert math.isnan(found) if not own else found == float(function(own))


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([76.26, 76.27, 76.28], 76.27),
        ([76.25, 76.29], 76.27),
        ([0.1, 0.2, 0.3], 0.2),
        ([1e-6, 3e-6], 2e-6),
        ([93.17, 93.17, 93.17], 93.17),
        ([1234.0, 1235.0], 1234.5),
        ([-0.1, 0.1], 0.0),
        ([0.1 + 0.2, 0.3], (0.1 + 0.2 + 0.3) / 2),  # the first is no decimal
        ([2.0**60, 2.0**60], 2.0**60),
    ],
)
def test_an_exact_mean_reads_as_a_decimal(values: list[float], mean: float) -> None:
    table = np.array(values)[:, None]
    assert average("mean", table).tolist() == [mean]
    assert Groups(np.zeros(len(values))).averages("mean", np.array(values)).tolist() == [mean]
