"""A trap of the release: epoch 1 of the validation holds the best epoch's values, not its own.

The original's trainer keeps its best epoch in a shallow copy of the history, so that what it stores there as
the best is written over the history's first epoch. The true values are lost. Whoever looks at epoch 1 of such
runs sees the end of the training, which in a study of early stopping is a leak. It is in the data alone that
this shows: epoch 1 equals the best of all later epochs, in nearly all runs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bloxdb.measures import EPOCH, MISSING, Array

_NEARLY_ALL = 0.9  # a run that got no better after its first epoch cannot be told from one that did
_ENOUGH = 3  # runs, below which it may be chance
_BEST_BY = "val_top1"
_OTHERS = tuple(name for name in EPOCH if EPOCH[name].overwritten and name != _BEST_BY)


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
    top1 = measures.get(_BEST_BY)
    if top1 is None or len(top1) < _ENOUGH or top1.shape[1] < 2:
        return False
    first, later = top1[:, :1], top1[:, 1:]
    # NaN among floats is what MISSING is among integers: less than any value
    highest = np.fmax.reduce(later, axis=1, keepdims=True)
    same = (later == highest) & (first == highest)
    for name in _OTHERS:
        if name in measures:
            values = measures[name]
            same &= (values[:, 1:] == values[:, :1]) | _is_missing(values[:, :1])
    lowest = np.where(_is_missing(later), highest, later).min(axis=1)
    tells = (lowest != highest[:, 0]) & ~_is_missing(first[:, 0])  # a level curve says nothing
    tells &= ~_is_missing(highest[:, 0])
    matching = same.any(axis=1) & tells
    return bool(matching.sum() >= max(_ENOUGH, _NEARLY_ALL * tells.sum()))


def _is_missing(values: Array) -> Array:
    return np.isnan(values) if values.dtype == np.float64 else values == MISSING
