"""What training an architecture gives: an epoch, and a run."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metrics:
    """Means over a split: top-1 and top-5 in percent, cross-entropy."""

    top1: float
    top5: float
    loss: float


@dataclass(frozen=True)
class EpochResult:
    """One epoch, counted from 1; training metrics are averaged over the epoch as it ran."""

    epoch: int
    train: Metrics
    val: Metrics

    @property
    def is_finite(self) -> bool:
        """Whether both losses are numbers."""
        return math.isfinite(self.train.loss) and math.isfinite(self.val.loss)

    def is_better_than(self, other: EpochResult | None) -> bool:
        """Whether it has the higher validation top-1, or the same and a lower loss."""
        return other is None or (self.val.top1, -self.val.loss) > (other.val.top1, -other.val.loss)


@dataclass(frozen=True)
class RunResult:
    """The end of a run.

    Attributes
    ----------
    diverged
        A loss was not finite; there is no test then.
    best
        The epoch of the highest validation top-1, ties by lower loss.
    test
        Measured once, with the weights of the best epoch.
    train_time
        Seconds of training and validation, without the test.
    """

    diverged: bool
    best: EpochResult | None
    test: Metrics | None
    train_time: float
