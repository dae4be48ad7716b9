"""What the columns of our tables can hold; SQL sets anything, and SQLite keeps it whatever its kind.

One rule for `bloxdb check`, which finds the rest, for the repair, which brings none of it over, for what is
loaded as an object, and for whole numbers of files that come in.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Double, Integer, event

from bloxdb.arguments import LARGEST, MOST
from bloxdb.db.base import Base
from bloxdb.db.schema import EPOCH_MEASURES, Epoch
from bloxdb.errors import DatabaseError
from bloxdb.measures import EPOCH, EPOCHS, EXACT, MEASURES, SEEDS, SPREAD
from bloxdb.space.cells import NUM_ARCHS

MEASURED = {measure.column: measure for measure in (*MEASURES, SPREAD) if measure.of != "epoch"}
"""What is measured, by the column that has it, in all tables but epochs."""

RANGES: dict[str, range] = {
    "arch_id": range(NUM_ARCHS),
    "seed": SEEDS,
    "best_epoch": EPOCHS,
    "epochs": range(EPOCHS.stop),
    "epoch": EPOCHS,
    "device_workers": range(1, MOST + 1),
    "train_images": range(MOST + 1),
    "val_images": range(MOST + 1),
    "test_images": range(MOST + 1),
    "id": range(MOST + 1),
}
"""Whole numbers that a column of this name may have, in any of the tables. Add yours here."""

DATES = (datetime(1970, 1, 1), datetime(9998, 12, 31, 23, 59, 59))
"""Dates that there can be: from what a clock says that was never set, to where no time zone leads beyond the
last year that Python knows."""


class Bounds(NamedTuple):
    """The least and the greatest value that a column can have."""

    low: Any
    high: Any


@cache
def bounds_of(column: Column[Any]) -> Bounds | None:
    """What is the least and the greatest of a column; None where nothing but its kind is asked.

    Parameters
    ----------
    column
        A column of a table of ours. Numbers of rows are not among those with bounds: there the row that is
        referred to tells.
    """
    if isinstance(column.type, DateTime):
        return Bounds(*DATES)
    is_stored = column.table is Epoch.__table__
    measured = {EPOCH[name].column: EPOCH[name] for name in EPOCH_MEASURES} if is_stored else MEASURED
    if measure := measured.get(column.name):
        if measure.unit == "percent":
            return Bounds(0, measure.highest * (measure.scale if is_stored else 1))
        return Bounds(0, EXACT - 1 if is_stored or measure.scale == 1 else measure.highest)
    if isinstance(column.type, Boolean):
        return Bounds(0, 1)
    if not isinstance(column.type, Integer | BigInteger) or column.name.endswith("id"):
        return None
    allowed = RANGES.get(column.name, range(LARGEST + 1))
    return Bounds(allowed[0], allowed[-1])


def kinds_of(column: Column[Any]) -> tuple[type, ...]:
    """The types that SQLite's driver gives for the values of a column.

    Parameters
    ----------
    column
        A column of a table of ours.
    """
    if isinstance(column.type, Integer | BigInteger | Boolean):
        return (int,)
    return (int, float) if isinstance(column.type, Double) else (str,)


@cache
def _looked_at(model: type[Base]) -> list[tuple[str, tuple[type, ...], Bounds | None]]:
    """Of a class the attributes that are looked at as its objects are loaded."""
    found: list[tuple[str, tuple[type, ...], Bounds | None]] = []
    for attribute in model.__mapper__.column_attrs:
        column: Any = attribute.columns[0]
        if isinstance(column.type, DateTime) or column.computed is not None:
            continue  # a date is looked at where it is read
        if isinstance(column.type, JSON):
            found.append((attribute.key, (dict,), None))
        else:
            is_measured = column.name in MEASURED or column.table is Epoch.__table__
            found.append((attribute.key, kinds_of(column), None if is_measured else bounds_of(column)))
    return found


def _look(loaded: Base, *_: object) -> None:
    """Let no object be loaded that has what its attributes cannot be."""
    values = loaded.__dict__
    for name, kinds, bounds in _looked_at(type(loaded)):
        value = values.get(name)
        if value is None:
            continue
        if not isinstance(value, kinds) or (bounds and not bounds.low <= value <= bounds.high):
            raise DatabaseError(
                f"the table {loaded.__tablename__} has {value!r:.80} for {name}, which there cannot be; "
                "`bloxdb check` says where, and `bloxdb check --repair` makes a copy without it"
            )


event.listen(Base, "load", _look, propagate=True)
event.listen(Base, "refresh", _look, propagate=True)
