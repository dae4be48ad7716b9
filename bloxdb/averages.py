"""Averages over the seeds of an architecture: what it reaches, not what its luckiest seed does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bloxdb import space
from bloxdb.db.damage import kinds_told
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS
from bloxdb.db.schema import RUN_MEASURES, Recipe, Run
from bloxdb.grouping import Groups
from bloxdb.measures import COSTS, RUN
from bloxdb.selection import Selection
from bloxdb.space.keys import Ids

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
        The measures that are asked for; an architecture has as many seeds as have all of them.
    shown
        The measures that rows have beside these.
    archs
        Only these architectures; all if None.

    Attributes
    ----------
    values
        For each measure the averages, float64 (n,), NaN where no seed has it.
    arch_ids
        The architectures that they are of, int64 (n,).
    """

    def __init__(
        self,
        chosen: Selection,
        how: str,
        *names: str,
        shown: Sequence[str] = _SHOWN,
        archs: Ids | None = None,
    ) -> None:
        self._chosen = chosen
        self._names = list(dict.fromkeys((*shown, *names, *chosen.limited)))
        columns = [chosen.column(name) for name in self._names]
        table = chosen.array(Run.recipe_id, Run.arch_id, *columns, archs=archs)
        groups = Groups(table[0], table[1])
        with kinds_told(), np.errstate(invalid="raise"):
            self._keys = table[:2, groups.first].T.astype(np.int64)
        self.arch_ids: Ids = self._keys[:, 1]
        of_seeds = dict(zip(self._names, table[2:], strict=True))
        self.values = {name: groups.averages(how, values) for name, values in of_seeds.items()}
        self._seeds = groups.counts(~np.isnan([of_seeds[name] for name in names]).any(axis=0))
        self._deviations = {name: groups.deviations(of_seeds[name]) for name in names if name in RUN}

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
