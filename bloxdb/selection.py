"""Which finished runs a question is about, and what it can ask of them: measures, latencies, limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Integer, Select, and_, func, select

from bloxdb.arguments import number
from bloxdb.db.arrays import read_numbers
from bloxdb.db.database import Database
from bloxdb.db.dialects import plainly
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS
from bloxdb.db.recipes import ALL_RECIPES
from bloxdb.db.references import Seeds, average_of, find_device, find_recipe, find_seeds
from bloxdb.db.schema import RUN_MEASURES, Arch, Latency, Recipe, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import LATENCY, Measure
from bloxdb.space.keys import Ids

_ARCHS_AT_ONCE = 500  # that one statement names
_TOO_MUCH = 2.0**63  # for an integer of a database

# where a limit leaves no more than these, they are looked at one by one faster than an index of all is walked
_FEW_RUNS = 4_000
_FEW_ARCHS = 16_000  # two indices have all that this needs

_NAMED = {"hash": Arch.hash, "vec": Arch.vec_text.label("vec"), "recipe": Recipe.name.label("recipe")}


class Selection:
    """The finished runs of a recipe and of seeds, under limits.

    Parameters
    ----------
    db
        The database.
    recipe
        The name of the recipe; the only one that there is if None, and all of them if ``'*'``.
    seeds
        Only runs of this seed, or of these; all seeds if None or the name of an average.

    Raises
    ------
    QueryError
        There is no such recipe or seed, or the recipe has to be named.
    """

    def __init__(self, db: Database, recipe: str | None, seeds: Seeds) -> None:
        self.db = db
        self._limits: dict[str, float] = {}
        self._latencies: dict[str, Any] = {}
        self._conditions: list[ColumnElement[bool]] = [Run.status == FINISHED]
        count = db.reader.scalar(select(func.count()).select_from(Recipe)) or 0
        is_empty = recipe is None and count == 0
        found = None if recipe == ALL_RECIPES or is_empty else find_recipe(db, recipe)
        if found is not None and count > 1:
            self._conditions.append(plainly(Run.recipe_id) == found.id)
        if seeds is not None and average_of(seeds) is None:
            self._conditions.append(Run.seed.in_(find_seeds(db.reader, seeds, found)))

    @property
    def limited(self) -> list[str]:
        """The latencies that limit, which rows show."""
        return list(self._latencies)

    def measure(self, name: str) -> Measure:
        """What is known of a measure of runs, or of the latency on a device.

        Parameters
        ----------
        name
            ``'test_top1'``, ``'flops'``, …, or ``'latency:DEVICE'``.

        Raises
        ------
        QueryError
            There is none of this name; the error lists those that there are.
        """
        if isinstance(name, str) and name.partition(":")[:2] == (LATENCY.name, ":"):
            return LATENCY
        if not isinstance(name, str) or name not in RUN_MEASURES:
            choices = ", ".join((*RUN_MEASURES, f"{LATENCY.name}:DEVICE"))
            raise QueryError(f"there is no measure {spelled(name)}; choose one of: {choices}")
        return RUN_MEASURES[name]

    def column(self, name: str) -> ColumnElement[Any]:
        """The column of a measure; that of a latency is joined to each query from now on.

        Parameters
        ----------
        name
            The name of the measure.

        Raises
        ------
        QueryError
            There is no such measure or device.
        """
        measure = self.measure(name)
        if measure is not LATENCY:
            column: ColumnElement[Any] = getattr(Run, measure.column)
            return column
        if name not in self._latencies:
            device_id = find_device(self.db, name.partition(":")[2])
            self._latencies[name] = Latency.__table__.alias().c, device_id  # an alias of the class costs more
        found: ColumnElement[Any] = self._latencies[name][0].latency_ms
        return found

    def limit(self, name: str, most: float) -> None:
        """Pass over runs with more of a measure.

        Parameters
        ----------
        name
            The name of the measure.
        most
            The most that there may be, inclusive, in the measure's unit.
        """
        column = self.column(name)
        if isinstance(column.type, Integer) and abs(most) < _TOO_MUCH:
            most = math.floor(most)  # a server takes no index for what it has to make a fraction of
        self._limits[name] = most

    def select(self, *columns: Any, first: str | None = None) -> Select[Any]:
        """A query of columns of these runs.

        Parameters
        ----------
        *columns
            Columns of runs, or what `column` gave.
        first
            The name of a limit that an engine may begin with.
        """
        query = select(*columns).select_from(Run)
        for name, (latency, device_id) in self._latencies.items():
            is_passed = name in self._limits and name != first
            device = plainly(latency.device_id) if is_passed else latency.device_id
            of_device = and_(latency.arch_id == Run.arch_id, device == device_id)
            query = query.join(latency.device_id.table, of_device)
        for name, most in self._limits.items():
            limited = self.column(name) if name == first else plainly(self.column(name))
            query = query.where(limited <= most)
        return query.where(*self._conditions)

    def array(self, *columns: Any, archs: Ids | None = None) -> npt.NDArray[np.float64]:
        """Numbers of all these runs.

        Parameters
        ----------
        *columns
            Columns of runs that are numbers, or what `column` gave.
        archs
            Only runs of these architectures; all if None.

        Returns
        -------
        numpy.ndarray
            Float64 (columns, runs), NaN for NULL.
        """
        parts = parts_of(self.select(*columns), Run.arch_id, archs)
        found = [read_numbers(self.db.reader, part) for part in parts]
        return np.concatenate([np.empty((len(columns), 0)), *found], axis=1)

    def rows(self, *names: str) -> Select[Any]:
        """A query of the leaderboard's columns, of measures that are not among them, and of what limits.

        Parameters
        ----------
        *names
            Names of measures.
        """
        shown = dict.fromkeys((*LEADERBOARD_COLUMNS, *names, *self._latencies))
        columns = [
            _NAMED[name]
            if name in _NAMED
            else self.column(name).label(name)
            if name in self._latencies
            else getattr(Run, name)
            for name in shown
        ]
        query = self.select(*columns).join(Arch, Arch.id == Run.arch_id)
        return query.join(Recipe, Recipe.id == Run.recipe_id)

    def leaves_few(self) -> str | None:
        """The name of a limit that leaves so few that it is best to begin with those; None if none does.

        Otherwise an engine may walk through all runs in the order that is asked for, to find hardly any.
        """
        for name, most in self._limits.items():
            if self.measure(name) is LATENCY:
                few, device_id = _FEW_ARCHS, self._latencies[name][1]
                left = select(Latency.arch_id).where(
                    Latency.device_id == device_id, Latency.latency_ms <= most
                )
            else:
                few, left = _FEW_RUNS, select(Run.id).where(self.column(name) <= most)
            if self.db.reader.scalar(left.offset(few).limit(1)) is None:  # passed by faster than counted
                return name
        return None


def parts_of(query: Select[Any], arch_id: Any, archs: Ids | None) -> Iterator[Select[Any]]:
    """A query of some architectures only, as several that a database takes; as it is where all are meant."""
    if archs is None:
        yield query
        return
    for first in range(0, len(archs), _ARCHS_AT_ONCE):
        yield query.where(arch_id.in_(archs[first : first + _ARCHS_AT_ONCE].tolist()))


def selected(
    db: Database,
    recipe: str | None,
    seeds: Seeds,
    *,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
) -> Selection:
    """The runs that a caller chose, by the options that `bloxdb.top` has.

    Parameters
    ----------
    db
        The database.
    recipe, seeds, max_flops, max_params, max_latency
        As of `bloxdb.top`.

    Raises
    ------
    QueryError
        There is no such recipe, seed or device, or a limit is no number.
    """
    chosen = Selection(db, recipe, seeds)
    if max_flops is not None:
        chosen.limit("flops", number(max_flops, "max_flops"))
    if max_params is not None:
        chosen.limit("params", number(max_params, "max_params"))
    if max_latency is not None:
        device, milliseconds = _latency_limit(max_latency)
        chosen.limit(f"{LATENCY.name}:{device}", milliseconds)
    return chosen


def _latency_limit(given: Any) -> tuple[str, float]:
    if not isinstance(given, tuple | list) or len(given) != 2 or not isinstance(given[0], str):
        raise QueryError(f"max_latency is a device's name and milliseconds, not {spelled(given)}")
    return given[0], number(given[1], "max_latency in milliseconds")
