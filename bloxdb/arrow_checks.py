"""What a Parquet file may say: types, values, references, and copies of what is said elsewhere.

A file may come from anywhere. Nothing of it is believed before it was looked at here, and what does not hold
is an error that names file, row and column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import JSON, Boolean, Column, DateTime, Double, Integer, String
from sqlalchemy.types import TypeEngine

from bloxdb.arguments import LARGEST
from bloxdb.db.schema import Base, Device, Recipe, Run
from bloxdb.db.sqlite import json_of
from bloxdb.db.statuses import ENDED
from bloxdb.db.values import MEASURED, RANGES, bounds_of
from bloxdb.errors import BloxFormatError, one_line
from bloxdb.measures import (
    EXACT,
    Measure,
    check,
    to_stored,
)
from bloxdb.settings import TOO_DEEP, is_deep

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


def rows_of(model: type[Base], batches: Iterable[tuple[int, Any]], path: Path) -> list[Row]:
    """The rows of a table, whose types and values are those of its columns.

    Parameters
    ----------
    model
        The table of the database.
    batches
        What Arrow read, some rows at a time, and the number of the first of them.
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
    seen: dict[tuple[str, ...], dict[tuple[Any, ...], int]] = {keys: {} for keys in _unique(model)}
    rows: list[Row] = []
    for first, table in batches:
        with rows_from(first, path):
            rows += _rows(model, table, path)
        for keys, known in seen.items():  # before more of the same are read
            _no_two(rows, first, keys, known, path)
    return rows


def _rows(model: type[Base], table: Any, path: Path) -> list[Row]:
    known: list[Any] = list(model.__table__.columns)
    columns = [column for column in known if column.name in table.column_names]
    lists = [_values(table[column.name], column, FileColumn(path, column.name)) for column in columns]
    names = [column.name for column in columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*lists, strict=True)]


@contextmanager
def rows_from(first: int, path: Path) -> Iterator[None]:
    """Let an error in some rows of a file tell the row as one of the whole file.

    Parameters
    ----------
    first
        The number of the first of the rows.
    path
        The file.
    """
    try:
        yield
    except BloxFormatError as error:
        if error.source == str(path) and error.row is not None:
            error.row += first
        raise


def _unique(model: type[Base]) -> list[tuple[str, ...]]:
    """Columns that no two rows have in common."""
    found = [tuple(column.name for column in model.__table__.primary_key)]
    if model in (Recipe, Device):
        found.append(("name",))
    if model is Run:
        found.append(("arch_id", "recipe_id", "seed"))
    return found


def _no_two(
    rows: list[Row], first: int, keys: tuple[str, ...], seen: dict[tuple[Any, ...], int], path: Path
) -> None:
    for i, row in enumerate(rows[first:], first):
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
    if import_module("pyarrow").types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    problem = type_problem(found.type, kind)
    if problem and len(found):
        raise place.error(problem)
    return found


def type_problem(given: Any, kind: TypeEngine[Any]) -> str:
    """What is wrong with the type of a column of a file; empty where it is that of the database's.

    Parameters
    ----------
    given
        The type as Arrow has it; of a dictionary, that of its values counts.
    kind
        That of the database's column.
    """
    types = import_module("pyarrow").types
    if types.is_dictionary(given):
        given = given.value_type
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
    is_right = fits or types.is_null(given)
    return "" if is_right else f"the column holds {given}, where {what} are due"


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
        _check_dates(values, column, place)
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


def _check_dates(values: list[Any], column: Column[Any], place: FileColumn) -> None:
    bounds = bounds_of(column)
    for row, value in enumerate(values):
        if value is not None and type(value) is not datetime:
            raise place.error(f"{value} has more than microseconds", row)
        if value is not None and bounds is not None and not bounds.low <= value <= bounds.high:
            raise place.error(f"{value} is outside {bounds.low} … {bounds.high}", row)


def _object(text: str, row: int, place: FileColumn) -> dict[str, Any]:
    try:
        found = json_of(text)
    except (ValueError, RecursionError) as error:
        raise place.error(f"it is not JSON: {one_line(error, 80)}", row) from error
    if not isinstance(found, dict):
        raise place.error("it is no object of JSON", row)
    if is_deep(found):
        raise place.error(f"it has {TOO_DEEP}", row)
    return found
