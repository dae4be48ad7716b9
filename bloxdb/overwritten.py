"""A trap of the release: epoch 1 of the validation holds the best epoch's values, not its own.

The original's trainer keeps its best epoch in a shallow copy of the history, so that what it stores there as
the best is written over the history's first epoch. The true values are lost. Whoever looks at epoch 1 of such
runs sees the end of the training, which in a study of early stopping is a leak. It is in the data alone that
this shows: epoch 1 equals the best of all later epochs, in nearly all runs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bloxdb.counts import counted
from bloxdb.measures import EPOCH, MISSING, Array

_NEARLY_ALL = 0.9  # a run that got no better after its first epoch cannot be told from one that did
_CHANCE = 0.01  # of runs, whose first epoch may be the best by itself
_ENOUGH = 3  # runs, below which it may be chance
_SLICE = 5_000  # runs looked at together
_BEST_BY = "val_top1"

LOOKED_AT = (_BEST_BY, *(name for name in EPOCH if EPOCH[name].overwritten and name != _BEST_BY))
"""The measures that show it."""


def first_epoch_is_best(measures: Mapping[str, Array]) -> bool:
    """Whether epoch 1 of nearly all runs equals the best of the later epochs, in all that is known.

    Parameters
    ----------
    measures
        Values of epochs by the names of measures, (n, epochs): stored integers or natural values. Only
        those that the original overwrites are looked at; without ``'val_top1'`` nothing is told.

    Returns
    -------
    bool
        True where it looks like that.
    """
    return FirstEpochs(measures).are_best


class FirstEpochs:
    """What the first epochs of runs look like; of many runs part after part.

    Parameters
    ----------
    measures
        As for `first_epoch_is_best`; more of them come with `add`.
    """

    def __init__(self, measures: Mapping[str, Array]) -> None:
        self._telling = self._matching = self._touched = 0
        self.add(measures)

    def add(self, measures: Mapping[str, Array]) -> None:
        """Look at more runs."""
        top1 = measures.get(_BEST_BY)
        if top1 is None or top1.shape[1] < 2:
            return
        looked_at = [name for name in LOOKED_AT if name in measures]
        for start in range(0, len(top1), _SLICE):
            part = {name: measures[name][start : start + _SLICE] for name in looked_at}
            tells, matches = _rows(part)
            self._telling += int(tells.sum())
            self._matching += int((tells & matches).sum())
            self._touched += int((tells & _touched(part)).sum())

    @property
    def are_best(self) -> bool:
        """Whether they are the best ones, in nearly all runs."""
        return self._matching >= max(_ENOUGH, _NEARLY_ALL * self._telling)

    @property
    def are_touched(self) -> bool:
        """Whether any measure of them is that of the best one, in nearly all runs."""
        return self._touched >= max(_ENOUGH, _NEARLY_ALL * self._telling)

    @property
    def are_own(self) -> bool:
        """Whether they are certainly not, in any but runs that may be chance; where nothing tells, neither is
        so.
        """
        return self._telling > 0 and self._touched <= _CHANCE * self._telling

    @property
    def own(self) -> int:
        """In how many runs they are not, in any measure."""
        return self._telling - self._touched

    def __str__(self) -> str:
        return f"{self.own:,} of {counted(self._telling, 'run')}"


def _rows(measures: Mapping[str, Array]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which runs tell anything, a level curve does not; and in which epoch 1 equals the best later one."""
    first, later = measures[_BEST_BY][:, :1], measures[_BEST_BY][:, 1:]
    # NaN among floats is what MISSING is among integers: less than any value
    highest = np.fmax.reduce(later, axis=1, keepdims=True)
    same = (later == highest) & (first == highest)
    for name, values in measures.items():
        if name != _BEST_BY:
            same &= (values[:, 1:] == values[:, :1]) | _is_missing(values[:, :1])
    lowest = np.where(_is_missing(later), highest, later).min(axis=1)
    tells = (lowest != highest[:, 0]) & ~_is_missing(first[:, 0]) & ~_is_missing(highest[:, 0])
    return tells, same.any(axis=1)


def _touched(measures: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
    """In which runs epoch 1 has the best later epoch's value of any measure."""
    later = measures[_BEST_BY][:, 1:]
    is_best = later == np.fmax.reduce(later, axis=1, keepdims=True)
    found = np.zeros(len(later), dtype=bool)
    for values in measures.values():
        found |= (is_best & (values[:, 1:] == values[:, :1]) & ~_is_missing(values[:, :1])).any(axis=1)
    return found


def _is_missing(values: Array) -> Array:
    return np.isnan(values) if values.dtype == np.float64 else values == MISSING
