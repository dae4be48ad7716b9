"""How well two rankings agree: by NumPy alone, ties counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def spearman(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation: Pearson's of ranks, equal values sharing the mean of theirs.

    Parameters
    ----------
    a, b
        Two values of each, float64 (n,), without NaN.

    Returns
    -------
    float
        -1 … 1; NaN where all values of one are equal.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0]))
    0.5
    """
    x, y = (ranks - ranks.mean() for ranks in (_mean_ranks(a), _mean_ranks(b)))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else float("nan")


def kendall(a: Floats, b: Floats) -> float:
    """Kendall's tau-b, in a time of n log n.

    Parameters
    ----------
    a, b
        Two values of each, float64 (n,), without NaN.

    Returns
    -------
    float
        -1 … 1; NaN where all values of one are equal.

    Notes
    -----
    W. R. Knight, A Computer Method for Calculating Kendall's Tau with Ungrouped Data, 1966: pairs in the
    wrong order are counted as a sort would put them right; here bit by bit, from the highest on.

    Examples
    --------
    >>> round(kendall(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 4)
    0.3333
    """
    x, y = _dense_ranks(a), _dense_ranks(b)
    both = x * (int(y.max(initial=0)) + 1) + y
    pairs = len(x) * (len(x) - 1) // 2
    ties_x, ties_y, ties_both = _ties(x), _ties(y), _ties(both)
    order = np.argsort(both, kind="stable")  # among equal x by y, so that those are in no wrong order
    wrong = _inversions(y[order])
    difference = pairs - ties_x - ties_y + ties_both - 2 * wrong
    size = float(np.sqrt(float(pairs - ties_x) * float(pairs - ties_y)))
    return difference / size if size else float("nan")


def overlap(a: Floats, b: Floats, share: float) -> float:
    """The share of the best by one that are among the best by the other; higher is better.

    Parameters
    ----------
    a, b
        Two values of each, float64 (n,), without NaN.
    share
        How many are the best: this share of all, one at the least; of equal ones the first.

    Returns
    -------
    float
        0 … 1.
    """
    count = max(1, round(share * len(a)))
    best_a, best_b = (np.argsort(-values, kind="stable")[:count] for values in (a, b))
    return len(np.intersect1d(best_a, best_b)) / count


def _dense_ranks(values: Floats) -> Ints:
    """0 for the lowest, one more for each that is higher."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64).ravel()


def _mean_ranks(values: Floats) -> Floats:
    ranks = _dense_ranks(values)
    counts = np.bincount(ranks)
    ends = np.cumsum(counts)
    means: Floats = (ends - (counts - 1) / 2)[ranks]
    return means


def _ties(ranks: Ints) -> int:
    """Pairs of equal ones."""
    counts = np.unique(ranks, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(ranks: Ints) -> int:
    """Pairs of which the first is higher than the second."""
    values = ranks
    found = 0
    for bit in reversed(range(int(values.max(initial=0)).bit_length())):
        group = values >> (bit + 1)  # values are in the order of these, and as they came within each
        is_one = (values >> bit) & 1
        starts = np.ones(len(values), dtype=bool)
        starts[1:] = group[1:] != group[:-1]
        before = np.cumsum(is_one) - is_one
        first = np.maximum.accumulate(np.where(starts, np.arange(len(values)), 0))
        found += int((before - before[first])[is_one == 0].sum())
        values = values[np.argsort(values >> bit, kind="stable")]
    return found
