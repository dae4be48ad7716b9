"""What a Parquet file may say: types, values, references, and copies of what is said elsewhere.

A file may come from anywhere. Nothing of it is believed before it was looked at here, and what does not hold
is an error that names file, row and column.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import JSON, Boolean, Column, DateTime, Double, Integer, String
from sqlalchemy.types import TypeEngine

from bloxdb.arguments import LARGEST
from bloxdb.counts import Counts
from bloxdb.db.recipes import new_name
from bloxdb.db.schema import Base, Device, Env, Latency, Recipe, Run
from bloxdb.db.statuses import ENDED, FINISHED
from bloxdb.db.values import MEASURED, RANGES
from bloxdb.errors import BloxFormatError, QueryError
from bloxdb.measures import (
    COSTS,
    EXACT,
    MISSING,
    RUN,
    Measure,
    check,
    to_stored,
)
from bloxdb.settings import TOO_DEEP, is_deep
from bloxdb.space.costs import check_costs

Row = dict[str, Any]


class FileColumn(NamedTuple):
    """A column of a file, for errors.

    Attributes
    ----------
    path
        The file.
    column
        The name of the column.
    """

    path: Path
    column: str

    def error(self, problem: str, row: int | None = None) -> BloxFormatError:
        """An error at a row, or about the whole column.

        Parameters
        ----------
        problem
            What is wrong.
        row
            The row of the file, from 0.
        """
        return BloxFormatError(problem, source=str(self.path), row=row, column=self.column)


def rows_of(model: type[Base], table: Any, path: Path) -> list[Row]:
    """The rows of a table, whose types and values are those of its columns.

    Parameters
    ----------
    model
        The table of the database.
    table
        What Arrow read.
    path
        The file, for errors.

    Returns
    -------
    list of dict
        Values as a database takes them.

    Raises
    ------
    BloxFormatError
        A value is of another type, or none that its column may have; the error names row and column.
    """
    known: list[Any] = list(model.__table__.columns)
    columns = [column for column in known if column.name in table.column_names]
    lists = [_values(table[column.name], column, FileColumn(path, column.name)) for column in columns]
    names = [column.name for column in columns]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]
    for keys in _unique(model):
        _no_two(rows, keys, path)
    return rows


def _unique(model: type[Base]) -> list[tuple[str, ...]]:
    """Columns that no two rows have in common."""
    found = [tuple(column.name for column in model.__table__.primary_key)]
    if model in (Recipe, Device):
        found.append(("name",))
    if model is Run:
        found.append(("arch_id", "recipe_id", "seed"))
    return found


def _no_two(rows: list[Row], keys: tuple[str, ...], path: Path) -> None:
    seen: dict[tuple[Any, ...], int] = {}
    for i, row in enumerate(rows):
        key = tuple(row[name] for name in keys)
        if seen.setdefault(key, i) != i:
            told = ", ".join(f"{name} {value}" for name, value in zip(keys, key, strict=True))
            raise FileColumn(path, keys[0]).error(f"row {seen[key]} has {told} too", i)


def integers_of(table: Any, name: str, path: Path) -> npt.NDArray[np.int64]:
    """A column of whole numbers, none of them null, int64 of all rows.

    Parameters
    ----------
    table
        What Arrow read.
    name
        The column.
    path
        The file, for errors.

    Raises
    ------
    BloxFormatError
        It holds something else.
    """
    place = FileColumn(path, name)
    found = _typed(table[name], Integer(), place)
    _no_nulls(found, place)
    _in_range(found, place)
    numbers: npt.NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def stored_of(table: Any, measure: Measure, path: Path) -> npt.NDArray[np.int64]:
    """A column of an epoch's measure as the integers that the database keeps.

    Parameters
    ----------
    table
        What Arrow read.
    measure
        The measure.
    path
        The file, for errors.

    Raises
    ------
    BloxFormatError
        A value is none that the measure may have.
    """
    place = FileColumn(path, measure.name)
    values = _floats(_typed(table[measure.name], Double(), place), place)
    check(values, measure, str(path))
    return to_stored(values, measure, str(path))


def _typed(found: Any, kind: TypeEngine[Any], place: FileColumn) -> Any:
    """A column whose type is that of a column of the database."""
    types = import_module("pyarrow").types
    given = found.type
    if types.is_dictionary(given):
        found = found.cast(given.value_type)
        given = found.type
    if isinstance(kind, DateTime):
        fits, what = types.is_timestamp(given) and given.tz is None, "dates without a time zone"
    elif isinstance(kind, Double):
        fits, what = types.is_float64(given) or types.is_integer(given), "numbers of 64 bits"
    elif isinstance(kind, Boolean):
        fits, what = types.is_boolean(given), "true and false"
    elif isinstance(kind, Integer):
        fits, what = types.is_integer(given), "whole numbers"
    else:
        fits, what = types.is_string(given) or types.is_large_string(given), "texts"
    if not fits and not (types.is_null(given) or len(found) == 0):
        raise place.error(f"the column holds {given}, where {what} are due")
    return found


def _floats(found: Any, place: FileColumn) -> npt.NDArray[np.float64]:
    """Numbers as floats, NaN for null; whole ones as well where a float holds them."""
    if import_module("pyarrow").types.is_integer(found.type):
        for row, value in enumerate(found.to_pylist()):
            if value is not None and abs(value) >= EXACT:
                raise place.error(f"{value} has more digits than a float holds", row)
    values: npt.NDArray[np.float64] = found.to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _no_nulls(found: Any, place: FileColumn) -> None:
    if found.null_count:
        row = int(np.flatnonzero(found.is_null().to_numpy(zero_copy_only=False))[0])
        raise place.error("it is null, and cannot be left out", row)


def _in_range(found: Any, place: FileColumn) -> None:
    allowed = RANGES.get(place.column)
    if allowed is None:
        allowed = RANGES["id"] if place.column.endswith("_id") else range(LARGEST + 1)
    low, high = allowed[0], allowed[-1]
    numbers = found.drop_null().to_numpy() if hasattr(found, "drop_null") else None
    if numbers is not None and (not len(numbers) or (numbers.min() >= low and numbers.max() <= high)):
        return
    for row, value in enumerate(found.to_pylist()):
        if value is not None and not low <= value <= high:
            raise place.error(f"{value} is outside {low} … {high}", row)


def _values(found: Any, column: Column[Any], place: FileColumn) -> list[Any]:
    found = _typed(found, column.type, place)
    if not column.nullable:
        _no_nulls(found, place)
    kind = column.type
    if measure := MEASURED.get(column.name):
        check(_floats(found, place), measure, str(place.path))
    try:
        values: list[Any] = found.to_pylist()
    except (ValueError, OverflowError) as error:
        raise place.error(f"a value cannot be read: {error}") from error
    if isinstance(kind, JSON):
        return [None if text is None else _object(text, row, place) for row, text in enumerate(values)]
    if isinstance(kind, Integer) and not isinstance(kind, Boolean):
        _in_range(found, place)
    elif isinstance(kind, Double):
        values = [None if value is None or value != value else float(value) for value in values]
        if not column.nullable and None in values:
            raise place.error("it is not a number, and cannot be left out", values.index(None))
    elif isinstance(kind, String):
        _check_texts(values, kind, place)
    elif isinstance(kind, DateTime):
        _check_dates(values, place)
    return values


def _check_texts(values: list[Any], kind: String, place: FileColumn) -> None:
    longest = kind.length or 1 << 20
    for row, value in enumerate(values):
        if value is not None and len(value) > longest:
            raise place.error(f"a text of {len(value)} characters is longer than {longest}", row)
        if value is not None and "\0" in value:
            raise place.error("there is a zero byte in the text", row)
        if place.column == "status" and value not in ENDED:
            raise place.error(f"{value!r:.40} is none of {', '.join(ENDED)}", row)


def _check_dates(values: list[Any], place: FileColumn) -> None:
    for row, value in enumerate(values):
        if value is not None and type(value) is not datetime:
            raise place.error(f"{value} has more than microseconds", row)


def _object(text: str, row: int, place: FileColumn) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise place.error(f"it is not JSON: {error!s:.80}", row) from error
    if not isinstance(found, dict):
        raise place.error("it is no object of JSON", row)
    if is_deep(found):
        raise place.error(f"it has {TOO_DEEP}", row)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


class Tables(NamedTuple):
    """The rows of all tables but epochs, and their files.

    Attributes
    ----------
    rows
        The rows of each table.
    folder
        The folder of the files.
    """

    rows: Mapping[type[Base], list[Row]]
    folder: Path

    def place(self, model: type[Base], column: str) -> FileColumn:
        """A column of a table's file.

        Parameters
        ----------
        model
            The table.
        column
            The column.
        """
        return FileColumn(self.folder / f"{model.__tablename__}.parquet", column)

    def check(self) -> None:
        """References, names, and copies of what is said elsewhere.

        Raises
        ------
        BloxFormatError
            A row refers to none, or contradicts what it copies.
        """
        for model, column, other in (
            (Run, "recipe_id", Recipe),
            (Run, "env_id", Env),
            (Latency, "device_id", Device),
        ):
            known = {row["id"] for row in self.rows[other]}
            for i, row in enumerate(self.rows[model]):
                if row[column] is not None and row[column] not in known:
                    what = (
                        f"it refers to one that is in none of the files: {other.__tablename__} {row[column]}"
                    )
                    raise self.place(model, column).error(what, i)
        for i, row in enumerate(self.rows[Recipe]):
            try:
                new_name(row["name"])
            except QueryError as error:
                raise self.place(Recipe, "name").error(str(error), i) from error
        runs = self.rows[Run]
        costs = {name: np.array([row[name] for row in runs], dtype=np.int64) for name in COSTS}
        ids = np.array([row["arch_id"] for row in runs], dtype=np.int64)
        check_costs(ids, costs, str(self.place(Run, "arch_id").path))
        for i, row in enumerate(runs):
            if (row["best_epoch"] is None) and row["val_top1"] is not None:
                raise self.place(Run, "val_top1").error("there is no best epoch that it is of", i)


class EpochChecks:
    """What epochs and runs say of each other.

    Parameters
    ----------
    tables
        The rows of the other tables.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.rows[Run]
        self._index = {row["id"]: i for i, row in enumerate(self._rows)}
        self._most = {row["id"]: row["epochs"] for row in tables.rows[Recipe]}
        self._counts: dict[int, int] = {}

    def look(
        self, run_ids: Collection[int], arch_ids: Sequence[int], val_top1: npt.NDArray[np.int64], path: Path
    ) -> None:
        """Check runs that have so many epochs.

        Parameters
        ----------
        run_ids, arch_ids
            The runs, and the architectures that their epochs are of.
        val_top1
            Stored integers, shape (runs, epochs).
        path
            The file of epochs.

        Raises
        ------
        BloxFormatError
            A run is not there, is there twice, has too many epochs, or another best epoch than it says.
        """
        for k, (run_id, arch_id) in enumerate(zip(run_ids, arch_ids, strict=True)):
            place = FileColumn(path, "run_id")
            if run_id not in self._index:
                raise place.error(f"run {run_id} refers to one that is in none of the files")
            if run_id in self._counts:
                raise place.error(f"the epochs of run {run_id} are there twice, or apart from each other")
            row = self._rows[self._index[run_id]]
            if row["arch_id"] != arch_id:
                raise FileColumn(path, "arch_id").error(
                    f"run {run_id} is of architecture {row['arch_id']}, not {arch_id}"
                )
            count = val_top1.shape[1]
            most = self._most[row["recipe_id"]]
            if count > most:
                raise place.error(f"run {run_id} has {Counts(epochs=count)}, and its recipe {most}")
            self._counts[run_id] = count
            self._check_best(row, val_top1[k])

    def _check_best(self, row: Row, val_top1: npt.NDArray[np.int64]) -> None:
        best, i = row["best_epoch"], self._index[row["id"]]
        if best is None:
            return
        if best > len(val_top1):
            what = f"the run has {Counts(epochs=len(val_top1))}, and no {best}"
            raise self._tables.place(Run, "best_epoch").error(what, i)
        measure = RUN["val_top1"]
        stored = int(val_top1[best - 1])
        known = None if stored == MISSING else measure.natural(stored)
        if row["val_top1"] != known:
            what = f"it is {row['val_top1']}, but epoch {best}, the best one, has {known}"
            raise self._tables.place(Run, "val_top1").error(what, i)
        if stored < (highest := int(val_top1.max())):
            better = measure.natural(highest)
            what = f"epoch {best} is said to be the best and has {known}, but another has {better}"
            raise self._tables.place(Run, "best_epoch").error(what, i)

    def finish(self) -> None:
        """Check the runs of which no epoch came.

        Raises
        ------
        BloxFormatError
            One has a best epoch, or is finished and lacks epochs.
        """
        for i, row in enumerate(self._rows):
            count = self._counts.get(row["id"], 0)
            if row["best_epoch"] is not None and not count:
                raise self._tables.place(Run, "best_epoch").error("the run has no epochs", i)
            most = self._most[row["recipe_id"]]
            if row["status"] == FINISHED and count != most:
                raise self._tables.place(Run, "status").error(
                    f"a finished run has {Counts(epochs=most)}, and it has {count}", i
                )
