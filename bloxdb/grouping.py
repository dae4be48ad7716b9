"""Means, medians and deviations of values that belong together, as the seeds of an architecture do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.errors import QueryError, spelled
from bloxdb.measures import EXACT, MICRO

Floats = npt.NDArray[np.float64]

AVERAGES = ("mean", "median")
"""What can be asked for instead of seeds, where a row or a value is to be one of an architecture."""

_LARGE, _SMALLER = (
    2.0**500,
    2.0**-600,
)  # beyond the one squares overflow; times the other, no sum of them does


class Groups:
    """Rows in groups: those whose keys are equal.

    Parameters
    ----------
    *keys
        One array a key, of any type that sorts, shape (rows,); groups are in the order of the first key, then
        of the second.

    Attributes
    ----------
    first
        For each group the place of its first row, int64 (groups,).

    Notes
    -----
    Where all values of a group have at most six decimals, as whatever a database keeps, its mean and median
    are the floats nearest to the exact ones: of 76.26 and 76.28 the mean is 76.27. Other sums go over rows in
    their order, one by one, so that everybody who averages the same values gets the same digits.
    """

    def __init__(self, *keys: npt.NDArray[np.generic]) -> None:
        self._order = np.lexsort(keys[::-1])
        is_first = np.ones(len(self._order), dtype=bool)
        ordered = [key[self._order] for key in keys]
        is_first[1:] = np.any([key[1:] != key[:-1] for key in ordered], axis=0)
        self._group = np.cumsum(is_first) - 1
        self.first = self._order[is_first]

    def __len__(self) -> int:
        return len(self.first)

    def counts(self, known: Any) -> npt.NDArray[np.int64]:
        """How many rows of each group are known.

        Parameters
        ----------
        known
            Whether a row is, bool (rows,).

        Returns
        -------
        numpy.ndarray
            int64 (groups,).
        """
        return np.bincount(self._group[known[self._order]], minlength=len(self)).astype(np.int64)

    def averages(self, how: str, values: Floats) -> Floats:
        """The average of each group over those values that are known.

        Parameters
        ----------
        how
            ``'mean'`` or ``'median'``.
        values
            Float64 (rows,), NaN where there is none.

        Returns
        -------
        numpy.ndarray
            Float64 (groups,), NaN where a group has none.

        Raises
        ------
        QueryError
            There is no such average.
        """
        if how not in AVERAGES:
            raise QueryError(f"there is no average {spelled(how)}; choose one of: {', '.join(AVERAGES)}")
        ways = dict(zip(AVERAGES, (self._means, self._medians), strict=True))
        return ways[how](values[self._order])

    def deviations(self, values: Floats) -> Floats:
        """Standard deviations of samples: sums of squares by one less than there are values.

        Parameters
        ----------
        values
            Float64 (rows,), NaN where there is none.

        Returns
        -------
        numpy.ndarray
            Float64 (groups,), NaN where a group has fewer than two.
        """
        ordered = values[self._order]
        known = ~np.isnan(ordered)
        shrinking = self._shrinking(ordered)
        groups = self._group[known]
        with np.errstate(invalid="ignore"):  # of infinities, which SQL may have stored
            apart = (ordered[known] - self._means(ordered)[groups]) * shrinking[groups]
        squares = np.bincount(groups, apart**2, minlength=len(self))
        return np.sqrt(_ratios(squares, np.bincount(groups, minlength=len(self)) - 1)) / shrinking

    def _means(self, ordered: Floats) -> Floats:
        counts = np.bincount(self._group[~np.isnan(ordered)], minlength=len(self))
        decimals = self._in_decimals(ordered)
        sums = np.bincount(self._group, np.nan_to_num(decimals), minlength=len(self))
        # sums of sizes lose nothing up to there, and so do those of the values
        sizes = np.bincount(self._group, np.abs(np.nan_to_num(decimals)), minlength=len(self))
        is_exact = self._all(np.isnan(ordered) | ~np.isnan(decimals)) & (sizes < EXACT)
        return np.where(is_exact, _ratios(sums, MICRO * counts), self._plain_means(ordered))

    def _in_decimals(self, ordered: Floats) -> Floats:
        """Values as whole numbers of the last decimal that is kept; NaN where one has more, or is large."""
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(ordered * MICRO)
        return np.where((np.abs(whole) < EXACT) & (whole / MICRO == ordered), whole, np.nan)

    def _all(self, holds: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Whether something holds for all rows of each group."""
        found = np.ones(len(self), dtype=bool)
        found[self._group[~holds]] = False
        return found

    def _plain_means(self, ordered: Floats) -> Floats:
        known = ~np.isnan(ordered)
        shrinking = self._shrinking(ordered)
        small = ordered[known] * shrinking[self._group[known]]
        sums = np.bincount(self._group[known], small, minlength=len(self))
        return _ratios(sums, np.bincount(self._group[known], minlength=len(self))) / shrinking

    def _shrinking(self, ordered: Floats) -> Floats:
        """By what the values of each group are multiplied so that none overflows: a power of two, or one."""
        found = np.ones(len(self))
        found[self._group[np.abs(ordered) > _LARGE]] = _SMALLER
        return found

    def _medians(self, ordered: Floats) -> Floats:
        counts = np.bincount(self._group[~np.isnan(ordered)], minlength=len(self))
        starts = np.searchsorted(self._group, np.arange(len(self)))
        by_size = ordered[np.lexsort((ordered, self._group))]  # NaN comes last in its group
        found = np.full(len(self), np.nan)
        some = counts > 0
        low, high = (starts + half // 2 for half in (counts - 1, counts))
        middle = by_size[low[some]], by_size[high[some]]
        one, other = (self._in_decimals(values) for values in middle)
        exact = (one + other) / (2 * MICRO)  # NaN where one of them is not
        is_exact = np.abs(one) + np.abs(other) < EXACT
        found[some] = np.where(is_exact, exact, middle[0] / 2 + middle[1] / 2)
        return found


def average(how: str, values: Floats) -> Floats:
    """The average of each column of a table over those values that are known.

    Parameters
    ----------
    how
        ``'mean'`` or ``'median'``.
    values
        Float64 (seeds, n), NaN where there is none.

    Returns
    -------
    numpy.ndarray
        Float64 (n,), NaN where a column has none.

    Raises
    ------
    QueryError
        There is no such average.
    """
    seeds, n = values.shape
    return Groups(np.tile(np.arange(n), seeds)).averages(how, values.ravel())


def _ratios(sums: npt.NDArray[Any], counts: npt.NDArray[Any]) -> Floats:
    ratios: Floats = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return ratios
