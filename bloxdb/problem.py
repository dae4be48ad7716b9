"""Searching on the benchmark: an objective that charges the training time that an answer would have cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bloxdb import space
from bloxdb.arguments import integer, number
from bloxdb.counts import counted
from bloxdb.dataset.database import DatabaseSource
from bloxdb.dataset.source import CURVES
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds, average_of
from bloxdb.errors import BudgetExhausted, QueryError, spelled
from bloxdb.grouping import AVERAGES, average
from bloxdb.measures import EPOCH, first_of_curve


@dataclass(frozen=True)
class Point:
    """The search after one evaluation.

    Attributes
    ----------
    seconds
        Simulated training time so far.
    arch_id, epoch, value
        What was evaluated, up to which epoch, and its metric there.
    best
        The best metric so far.
    test_top1
        The test accuracy, in percent, of the architecture that has it; NaN where it was not measured.
    regret
        How much lower that is than the highest of all runs of the recipe and seed; NaN with it.
    """

    seconds: float
    arch_id: int
    epoch: int
    value: float
    best: float
    test_top1: float
    regret: float


class Problem:
    """What an architecture reaches, and what it costs to know that.

    Parameters
    ----------
    db
        A database with finished runs; the current one if not given.
    metric
        A measure of epochs, as ``'val_top1'`` (percent) or ``'val_loss'``.
    epoch
        Up to which epoch a call trains if it does not say; the last of the recipe if None.
    budget_seconds
        Training time that may be spent; None for no end.
    recipe
        The name of the recipe of the runs; the only one if None.
    seed
        The seed of the runs, whose noise the answers have; the lowest if None. It stands beside `seeds` since
        an objective has one answer to a question: several seeds are no choice of it.
    seeds
        ``'mean'`` or ``'median'``, for averages of values and costs over the seeds that an architecture has;
        or one seed, as `seed`. Not both.
    first_epoch
        Whether epoch 1 can be asked for also where the recipe says that it has the best epoch's validation
        instead of its own, so that it tells the end of the training.

    Attributes
    ----------
    seconds
        Simulated training time that was spent.
    trajectory
        A `Point` an evaluation.

    Raises
    ------
    QueryError
        There is no such metric, epoch, recipe or seed.

    Notes
    -----
    Training time is linear in epochs. What an architecture has reached is free to ask for again, and going on
    from there costs only the epochs that are added.
    """

    def __init__(
        self,
        db: Database | None = None,
        *,
        metric: str = "val_top1",
        epoch: int | None = None,
        budget_seconds: float | None = None,
        recipe: str | None = None,
        seed: int | None = None,
        seeds: Seeds = None,
        first_epoch: bool = False,
    ) -> None:
        if metric not in CURVES:
            raise QueryError(f"there is no metric {spelled(metric)}; choose one of: {', '.join(CURVES)}")
        db = asked(db)
        if seed is not None and seeds is not None:
            raise QueryError("name the seed once, as seed or as seeds")
        how = average_of(seeds)
        self._source = DatabaseSource(
            db, recipe=recipe, seeds=seed if seeds is None else None if how else seeds
        )
        if seeds is not None and not how and len(self._source.seeds) > 1:
            raise QueryError("a search has one seed, or an average over all: seeds='mean' or 'median'")
        if not self._source.seeds:
            raise QueryError(f"{db.name} has no finished run to search among")
        self.metric = metric
        self._seeds = self._source.seeds if how else self._source.seeds[:1]
        self._average = how or AVERAGES[0]
        self.seed = how or self._seeds[0]
        self.epochs = self._source.epochs
        self._first = first_of_curve(metric, self._source.first_epoch_is_best, wanted=first_epoch)
        self.epoch = self._checked(self.epochs if epoch is None else epoch)
        self.budget_seconds = None if budget_seconds is None else number(budget_seconds, "budget_seconds")
        self.seconds = 0.0
        self.trajectory: list[Point] = []
        self._reached: dict[int, int] = {}
        self._lower = not EPOCH[metric].higher_is_better
        self._highest_test = self._highest()

    def __repr__(self) -> str:
        budget = "" if self.budget_seconds is None else f" of {self.budget_seconds:,.0f}"
        return (
            f"<Problem {self.metric} at epoch {self.epoch}, seed {self.seed}: "
            f"{counted(len(self.trajectory), 'evaluation')}, {self.seconds:,.0f}{budget} s>"
        )

    def __copy__(self) -> Problem:
        """A search on the same database that goes on from here by itself."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, trajectory=self.trajectory.copy(), _reached=self._reached.copy())
        return twin

    def __call__(self, key: Any, epoch: int | None = None) -> float:
        """The metric of an architecture at an epoch, which is paid for.

        Parameters
        ----------
        key
            A vector, a model hash or an index.
        epoch
            The epoch, from 1; the problem's own if None.

        Raises
        ------
        BudgetExhausted
            Training up to there would exceed the budget; nothing was spent.
        QueryError
            There is no such epoch, or no finished run of the architecture.
        InvalidArchError
            The key is malformed, or there is no such architecture.
        """
        last = self.epoch if epoch is None else self._checked(epoch)
        index = space.arch_index(key)
        value = self._over_seeds(lambda seed: self._source.at(self.metric, index, seed, last))
        if value is None:
            raise QueryError(f"the database has no {self.metric} of {spelled(key)} at epoch {last}")
        self._pay(index, last)
        self._note(index, last, value)
        return value

    def cost(self, key: Any, epoch: int | None = None) -> float:
        """Seconds that a call would charge now.

        Parameters
        ----------
        key, epoch
            The architecture, and the epoch up to which it would be trained.

        Returns
        -------
        float
            0 for what the architecture has reached already.

        Raises
        ------
        QueryError
            There is no such epoch, or no finished run of the architecture.
        InvalidArchError
            The key is malformed, or there is no such architecture.
        """
        last = self.epoch if epoch is None else self._checked(epoch)
        index = space.arch_index(key)
        whole = self._over_seeds(lambda seed: self._source.result("train_time_s", index, seed))
        if whole is None:
            raise QueryError(f"the database has no training time of {spelled(key)}")
        return whole * max(0, last - self._reached.get(index, 0)) / self.epochs

    @property
    def best(self) -> Point | None:
        """Where the search stands; None before the first evaluation."""
        return self.trajectory[-1] if self.trajectory else None

    @property
    def best_vec(self) -> space.ArchVec | None:
        """The architecture with the best metric so far."""
        found = min(self.trajectory, key=self._rank, default=None)
        return None if found is None else space.arch_vec(found.arch_id)

    def _pay(self, index: int, epoch: int) -> None:
        price = self.cost(index, epoch)
        if self.budget_seconds is not None and self.seconds + price > self.budget_seconds:
            raise BudgetExhausted(
                f"{self.seconds:,.0f} of {self.budget_seconds:,.0f} seconds are spent, and architecture "
                f"{index} up to epoch {epoch} would take {price:,.0f}"
            )
        self.seconds += price
        self._reached[index] = max(epoch, self._reached.get(index, 0))

    def _note(self, index: int, epoch: int, value: float) -> None:
        before = self.best
        if before is not None and (value >= before.best if self._lower else value <= before.best):
            best, test = before.best, before.test_top1
        else:
            best = value
            test = self._test(index)
        regret = self._highest_test - test
        self.trajectory.append(Point(self.seconds, index, epoch, value, best, test, regret))

    def _test(self, index: int) -> float:
        found = self._over_seeds(lambda seed: self._source.result("test_top1", index, seed))
        return math.nan if found is None else found

    def _over_seeds(self, ask: Callable[[int], float | None]) -> float | None:
        """What a question gives for the seed, or on the average of those seeds that have an answer."""
        found = [value for value in map(ask, self._seeds) if value is not None]
        if len(found) < 2:  # most searches have one seed
            return found[0] if found else None
        return float(average(self._average, np.array(found)[:, None])[0])

    def _highest(self) -> float:
        """The highest test accuracy of all architectures, in percent; 0 if there is none."""
        if len(self._seeds) == 1:
            return self._source.highest("test_top1", self._seeds[0])
        ids = self._source.arch_ids()
        tests = [self._source.many(["test_top1"], ids, seed, self.epochs) for seed in self._seeds]
        values = np.array([found["test_top1"] for found in tests])
        return float(np.nanmax(average(self._average, values), initial=0.0))

    def _rank(self, point: Point) -> float:
        return point.value if self._lower else -point.value

    def _checked(self, epoch: int) -> int:
        found = integer(epoch, "an epoch", low=1, high=self.epochs)
        if found < self._first:
            raise QueryError(
                f"epoch 1 of these runs has the best epoch's {self.metric} instead of its own and would tell "
                "the end of the training; begin with epoch 2, or say first_epoch=True"
            )
        return found
