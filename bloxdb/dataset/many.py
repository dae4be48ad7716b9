"""Values of many architectures at once, as arrays: columns, epochs, bests, averages over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bloxdb import space
from bloxdb.arguments import names as listed
from bloxdb.dataset.source import ANY_SEED, CURVES, NO_COSTS, Source
from bloxdb.errors import QueryError, spelled
from bloxdb.grouping import average
from bloxdb.measures import COSTS, LATENCY, first_of_curve
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

    def columns(
        self, names: Iterable[str], epochs: int | Sequence[int], best: bool, first_epoch: bool
    ) -> dict[str, Values]:
        """Some columns.

        Parameters
        ----------
        names
            Columns with a value a run or an epoch, ``'flops'``, ``'params'`` or ``'latency:DEVICE'``.
        epochs
            The epoch, or several, of columns with a value an epoch.
        best
            Whether the best of the epochs up to each of these is wanted.
        first_epoch
            Whether epoch 1 counts where it has the best epoch's values.

        Returns
        -------
        dict
            By name float64 (n,), or (n, epochs) where several are asked for; NaN where there is no value.

        Raises
        ------
        QueryError
            There is no such column, or what it needs is not loaded.
        """
        wanted = listed(names, "columns")
        of_archs = self._of_archs(wanted)
        last = self._source.epochs
        found = self._source.many(of_archs, self.ids, ANY_SEED, last) if of_archs else {}
        found |= {name: self._computed(name, found[name]) for name in COSTS if name in found}
        of_runs = [name for name in wanted if name not in of_archs and name not in CURVES]
        if of_runs:
            found |= self._over_seeds(of_runs, lambda seed: self._source.many(of_runs, self.ids, seed, last))
        curves = [name for name in wanted if name in CURVES]
        is_best = self._source.first_epoch_is_best
        firsts = {name: first_of_curve(name, is_best, wanted=first_epoch) for name in curves}
        several = [epochs] if isinstance(epochs, int) else epochs
        each = [self._at(firsts, epoch, best) for epoch in several] if curves else []
        for name in curves:
            values = [at[name] for at in each]
            table = np.stack(values, axis=1) if values else np.empty((len(self.ids), 0))
            found[name] = table[:, 0] if isinstance(epochs, int) else table
        return {name: found[name] for name in wanted}

    def _of_archs(self, names: list[str]) -> list[str]:
        """Which of these are of an architecture, whatever its run; an error if one is nothing at all."""
        known = [*(COSTS if self._source.has_info else ())]
        known += [f"{LATENCY.name}:{device}" for device in self._source.devices]
        for name in names:
            if name in COSTS and not self._source.has_info:
                raise QueryError(NO_COSTS)
            if name not in known and name not in self._source.columns[1:]:
                choices = ", ".join([*self._source.columns[1:], *known])
                raise QueryError(f"there is no column {spelled(name)}; choose of: {choices}")
        return [name for name in names if name in known]

    def _computed(self, name: str, values: Values) -> Values:
        """Costs, computed where the release does not say them."""
        absent = np.isnan(values)
        if not absent.any():
            return values
        computed = space.all_costs()[self.ids, list(space.Cost._fields).index(name)]
        return np.where(absent, computed, values)

    def _at(self, firsts: dict[str, int], epoch: int, best: bool) -> dict[str, Values]:
        """Measures at an epoch, or the best up to it; `firsts` are the first epochs that count."""
        there = [name for name, first in firsts.items() if epoch >= first]

        def ask(seed: int) -> dict[str, Values]:
            if not best:
                return self._source.many(there, self.ids, seed, epoch)
            return {name: self._source.many_best(name, self.ids, seed, firsts[name], epoch) for name in there}

        nothing = {name: np.full(len(self.ids), np.nan) for name in firsts if name not in there}
        return nothing | (self._over_seeds(there, ask) if there else {})

    def _over_seeds(self, names: list[str], ask: Callable[[int], dict[str, Values]]) -> dict[str, Values]:
        found = [ask(seed) for seed in self._seeds]
        if len(found) == 1:
            return found[0]
        shape = len(found), len(self.ids)
        values = {name: np.reshape([of_seed[name] for of_seed in found], shape) for name in names}
        return {name: average(self._average, table) for name, table in values.items()}
