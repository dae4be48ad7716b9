"""Which epoch of a run is the best one: the rule, for one epoch, for arrays, and for SQL.

It is the epoch of the highest validation top-1; of equal ones that of the lowest validation loss, a loss that
was not measured being the highest; of those that are equal still the latest. The release has it so.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bloxdb.db.schema import Epoch
from bloxdb.measures import EPOCH, MISSING, Array

TOP1, LOSS = (getattr(Epoch, EPOCH[name].column) for name in ("val_top1", "val_loss"))
"""The columns that decide."""

BEST_FIRST = (TOP1.desc().nulls_last(), LOSS.asc().nulls_last(), Epoch.epoch.desc())
"""The order of SQL in which the best epoch of a run is the first."""

_LAST = int(np.iinfo(np.int64).max) - 1  # a rank after every loss


def is_as_good(top1: float, loss: float, than_top1: float, than_loss: float) -> bool:
    """Whether an epoch is the best one if it comes after another that was.

    Parameters
    ----------
    top1, loss
        Its validation top-1, in percent, and validation loss, in nats.
    than_top1, than_loss
        Those of the epoch before.

    Returns
    -------
    bool
        True of equal ones, too; a loss that is NaN is above every other.
    """
    return (top1, -_known(loss)) >= (than_top1, -_known(than_loss))


def _known(loss: float) -> float:
    return math.inf if math.isnan(loss) else loss


def best_epochs(top1: Array, loss: Array | None) -> npt.NDArray[np.int64]:
    """The best epoch of each of many runs.

    Parameters
    ----------
    top1
        Stored integers of the validation top-1, shape (runs, epochs); `MISSING` where it was not measured.
    loss
        Those of the validation loss; None where no run has it.

    Returns
    -------
    numpy.ndarray
        Positions, from 0, int64 (runs,); -1 for a run without any validation top-1.
    """
    highest = top1.max(axis=1, keepdims=True)
    rank = np.full(top1.shape, _LAST)
    if loss is not None:
        loss = loss.astype(np.int64)
        rank = np.where(loss == MISSING, _LAST, loss)
    backwards = np.where(top1 == highest, rank, _LAST + 1)[:, ::-1]
    best: npt.NDArray[np.int64] = top1.shape[1] - 1 - backwards.argmin(axis=1)
    best[highest[:, 0] == MISSING] = -1
    return best
