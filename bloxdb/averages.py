"""Averages over the seeds of an architecture: what it reaches, not what its luckiest seed does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bloxdb import space
from bloxdb.db.schema import LEADERBOARD_COLUMNS, RUN_MEASURES, Recipe, Run
from bloxdb.measures import COSTS, RUN, Array
from bloxdb.selection import Selection

_SHOWN = [name for name in LEADERBOARD_COLUMNS if name in RUN_MEASURES]


class Averages:
    """The mean or the median of measures of each architecture over its seeds.

    Parameters
    ----------
    chosen
        The runs.
    how
        ``'mean'`` or ``'median'``.
    *names
        The measures that are asked for; an architecture has as many seeds as have the first of them.

    Attributes
    ----------
    values
        For each measure the averages, float64 (n,), NaN where no seed has it.
    """

    def __init__(self, chosen: Selection, how: str, *names: str) -> None:
        self._chosen = chosen
        self._names = list(dict.fromkeys((*_SHOWN, *names, *chosen.limited)))
        columns = [chosen.column(name) for name in self._names]
        table = chosen.array(Run.recipe_id, Run.arch_id, *columns)
        table = table[:, np.lexsort((table[1], table[0]))]
        keys = table[:2].T.astype(np.int64)
        is_first = np.ones(len(keys), dtype=bool)
        is_first[1:] = np.any(keys[1:] != keys[:-1], axis=1)
        self._keys = keys[is_first]
        group = np.cumsum(is_first) - 1
        average = average_by(how)
        self._of_seeds = {name: table[2 + c] for c, name in enumerate(self._names)}
        self.values = {
            name: average(values, group, len(self._keys)) for name, values in self._of_seeds.items()
        }
        first = self._of_seeds[names[0]]
        self._seeds = np.bincount(group[~np.isnan(first)], minlength=len(self._keys))
        self._deviations = {
            name: _deviations(self._of_seeds[name], group, len(self._keys)) for name in names if name in RUN
        }

    def ranked(self, by: str) -> npt.NDArray[np.int64]:
        """The places of architectures, from the best average on; those without one are left out.

        Parameters
        ----------
        by
            The measure.
        """
        values = self.values[by]
        sign = -1 if self._chosen.measure(by).higher_is_better else 1
        order = np.lexsort((np.arange(len(values)), sign * values))
        return order[~np.isnan(values[order])]

    def rows(self, places: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """What is known of some architectures.

        Parameters
        ----------
        places
            Their places in the arrays, int64 (n,).

        Returns
        -------
        list of dict
            A dict an architecture.
        """
        recipes = self._chosen.db.reader.execute(select(Recipe.id, Recipe.name))
        names = {row[0]: row[1] for row in recipes}
        rows = []
        for place in places.tolist():
            recipe_id, index = self._keys[place].tolist()
            row: dict[str, Any] = {
                "arch_id": index,
                "hash": space.model_hash(index),
                "vec": space.vec_text(space.arch_vec(index)),
                "recipe": names[recipe_id],
                "seeds": int(self._seeds[place]),
            }
            for name in self._names:
                value = float(self.values[name][place])
                row[name] = None if value != value else int(value) if name in COSTS else value
            for name, deviations in self._deviations.items():
                value = float(deviations[place])
                row[f"{name}_std"] = None if value != value else value
            rows.append(row)
        return rows


def average_by(how: str) -> Callable[[Array, Array, int], npt.NDArray[np.float64]]:
    """What averages values by groups; called with them, their groups (in order) and how many there are."""
    return _means if how == "mean" else _medians


def _means(values: Array, group: Array, groups: int) -> npt.NDArray[np.float64]:
    known = ~np.isnan(values)
    counts = np.bincount(group[known], minlength=groups)
    sums = np.bincount(group[known], values[known], minlength=groups)
    means: npt.NDArray[np.float64] = np.divide(sums, counts, out=np.full(groups, np.nan), where=counts > 0)
    return means


def _medians(values: Array, group: Array, groups: int) -> npt.NDArray[np.float64]:
    order = np.lexsort((values, group))  # NaN comes last in its group
    counts = np.bincount(group[~np.isnan(values)], minlength=groups)
    starts = np.searchsorted(group, np.arange(groups))
    found = np.full(groups, np.nan)
    some = counts > 0
    low, high = (starts + half // 2 for half in (counts - 1, counts))
    ordered = values[order]
    found[some] = (ordered[low[some]] + ordered[high[some]]) / 2
    return found


def _deviations(values: Array, group: Array, groups: int) -> npt.NDArray[np.float64]:
    """Standard deviations of samples: divided by one less than there are, NaN for one alone."""
    known = ~np.isnan(values)
    counts = np.bincount(group[known], minlength=groups)
    apart = values[known] - _means(values, group, groups)[group[known]]
    squares = np.bincount(group[known], apart**2, minlength=groups)
    variances = np.divide(squares, counts - 1, out=np.full(groups, np.nan), where=counts > 1)
    deviations: npt.NDArray[np.float64] = np.sqrt(variances)
    return deviations
