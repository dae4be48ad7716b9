"""Values of many architectures at once, as arrays: columns, epochs, bests, averages over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.dataset.source import ANY_SEED, CURVES, Source
from bloxdb.errors import QueryError
from bloxdb.grouping import average
from bloxdb.measures import COSTS, LATENCY, OVERWRITTEN
from bloxdb.space.keys import Ids

Values = npt.NDArray[np.float64]


class Many:
    """Columns of some architectures.

    Parameters
    ----------
    source
        Where the values come from.
    ids
        Architecture indices, int64 (n,).
    seeds
        The seeds of the runs; of several, values are averaged.
    average
        ``'mean'`` or ``'median'``: how.

    Attributes
    ----------
    ids
        The architectures.
    """

    def __init__(self, source: Source, ids: Ids, seeds: Sequence[int], average: str) -> None:
        self._source = source
        self.ids = ids
        self._seeds = seeds
        self._average = average

    def column(self, name: str, epochs: int | Sequence[int], best: bool, first_epoch: bool) -> Values:
        """One column.

        Parameters
        ----------
        name
            A column with a value a run or an epoch, ``'flops'``, ``'params'`` or ``'latency:DEVICE'``.
        epochs
            The epoch, or several, of a column with a value an epoch.
        best
            Whether the best of the epochs up to each of these is wanted.
        first_epoch
            Whether epoch 1 counts where it has the best epoch's values.

        Returns
        -------
        numpy.ndarray
            Float64 (n,), or (n, epochs) where several are asked for; NaN where there is no value.

        Raises
        ------
        QueryError
            There is no such column, or what it needs is not loaded.
        """
        if name in COSTS and not self._source.has_info:
            raise QueryError(f"{name} is not loaded; load with include_static_info=True")
        of_archs = [*(COSTS if self._source.has_info else ())]
        of_archs += [f"{LATENCY.name}:{device}" for device in self._source.devices]
        if name in of_archs:
            return self._source.many(name, self.ids, ANY_SEED, self._source.epochs)
        if name not in self._source.columns[1:]:
            choices = ", ".join([*self._source.columns[1:], *of_archs])
            raise QueryError(f"there is no column {name!r}; choose of: {choices}")
        if name not in CURVES:
            return self._over_seeds(lambda seed: self._source.many(name, self.ids, seed, self._source.epochs))
        lost = self._source.first_epoch_is_best and name in OVERWRITTEN and not first_epoch
        several = [epochs] if isinstance(epochs, int) else epochs
        found = [self._at(name, epoch, best, 2 if lost else 1) for epoch in several]
        if isinstance(epochs, int):
            return found[0]
        return np.stack(found, axis=1) if found else np.empty((len(self.ids), 0))

    def _at(self, name: str, epoch: int, best: bool, first: int) -> Values:
        if epoch < first:
            return np.full(len(self.ids), np.nan)
        if best:
            return self._over_seeds(lambda seed: self._source.many_best(name, self.ids, seed, first, epoch))
        return self._over_seeds(lambda seed: self._source.many(name, self.ids, seed, epoch))

    def _over_seeds(self, ask: Any) -> Values:
        if len(self._seeds) == 1:
            found: Values = ask(self._seeds[0])
            return found
        values = [ask(seed) for seed in self._seeds]
        return average(self._average, np.reshape(values, (len(values), len(self.ids))))
