"""What training an architecture gives: an epoch, and a run, with the names of what was measured."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields

from bloxdb.arguments import of_type
from bloxdb.db.best import is_as_good
from bloxdb.db.statuses import DIVERGED, FINISHED
from bloxdb.errors import QueryError
from bloxdb.measures import COSTS


@dataclass(frozen=True)
class Metrics:
    """Means over a split.

    Attributes
    ----------
    top1, top5
        Shares of images, in percent.
    loss
        Cross-entropy, in nats.
    """

    top1: float
    top5: float
    loss: float

    def measures(self, part: str) -> dict[str, float]:
        """The metrics by the names of measures.

        Parameters
        ----------
        part
            The name of the split, as ``'val'``.

        Returns
        -------
        dict
            Values by name, as ``'val_top1'``.
        """
        return {f"{part}_{name}": value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class EpochResult:
    """What was measured in one epoch.

    Attributes
    ----------
    epoch
        The number of the epoch, from 1.
    train
        Metrics of the training images, averaged over the epoch as it ran.
    val
        Metrics of the validation images at the end of the epoch.
    more
        Further measures of epochs, by name.

    Raises
    ------
    QueryError
        A part is of another type.
    """

    epoch: int
    train: Metrics
    val: Metrics
    more: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("train", "val"):
            of_type(getattr(self, part), Metrics, f"{part} of an epoch")
        of_type(self.more, Mapping, "more of an epoch")
        _check_more(self.more, {**self.train.measures("train"), **self.val.measures("val")}, "an epoch")

    @property
    def is_finite(self) -> bool:
        """Whether both losses are numbers."""
        return math.isfinite(self.train.loss) and math.isfinite(self.val.loss)

    def is_better_than(self, other: EpochResult | None) -> bool:
        """Whether this epoch is the best one, where it comes after the other; `bloxdb.db.best` has the rule.

        Parameters
        ----------
        other
            The epoch to compare with; None is worse than any.

        Returns
        -------
        bool
            True if this one is better.
        """
        if other is None:
            return True
        return is_as_good(self.val.top1, self.val.loss, other.val.top1, other.val.loss)

    def measures(self) -> dict[str, float]:
        """All that was measured, by the names of `bloxdb.measures`."""
        return {**self.train.measures("train"), **self.val.measures("val"), **self.more}


@dataclass(frozen=True)
class RunResult:
    """The end of a run.

    Attributes
    ----------
    diverged
        Whether a loss was not finite, which ended the run; best and test are those of the epochs before, and
        None if there is none.
    best
        The best epoch, as `bloxdb.db.best` says.
    test
        Measured once, with the weights of the best epoch; a run that did not diverge has one, with NaN for
        what was not measured.
    train_time
        Seconds of training and validation, without the test.
    more
        Further measures of runs, by name.
    device_workers
        How many workers shared the device meanwhile, this one counted; None if that is not known. A time
        means little without it.

    Raises
    ------
    QueryError
        A part is of another type.
    """

    diverged: bool
    best: EpochResult | None
    test: Metrics | None
    train_time: float
    more: Mapping[str, float] = field(default_factory=dict)
    device_workers: int | None = None

    def __post_init__(self) -> None:
        of_type(self.diverged, bool, "diverged of a run")
        of_type(self.best, EpochResult, "the best epoch", or_none=True)
        of_type(self.test, Metrics, "test of a run", or_none=True)
        of_type(self.more, Mapping, "more of a run")
        of_test = (f"test_{one.name}" for one in fields(Metrics))
        _check_more(self.more, ("val_top1", "train_time_s", *of_test, *COSTS), "a run")

    @property
    def status(self) -> str:
        """What the run has become: `finished` or `diverged`."""
        return DIVERGED if self.diverged else FINISHED

    def measures(self) -> dict[str, float]:
        """All that was measured, by the names of `bloxdb.measures`; what was not is left out."""
        best = {} if self.best is None else {"val_top1": self.best.val.top1}
        test = {} if self.test is None else self.test.measures("test")
        return {**best, **test, "train_time_s": self.train_time, **self.more}


def _check_more(more: Mapping[str, float], known: Collection[str], what: str) -> None:
    """Refuse further measures that are given otherwise, or follow from the architecture."""
    for name in more:
        if name in known:
            raise QueryError(
                f"more of {what} has {name}, which is {'computed' if name in COSTS else 'given otherwise'}: "
                "more is for further measures"
            )
