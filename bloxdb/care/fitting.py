"""What a value of a damaged database must be to go into another one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Double, Integer

from bloxdb.db.schema import Env, Epoch, Recipe, Run
from bloxdb.measures import COSTS, ENVIRONMENT, EPOCHS

_NUMBERS: dict[Any, range] = {
    Recipe.__table__.c.epochs: range(EPOCHS.stop),
    Epoch.__table__.c.epoch: EPOCHS,
}
"""What there can be of numbers up to which a repair counts. Add yours here."""


_INSTEAD: dict[Any, str | int] = {
    **dict.fromkeys((Env.__table__.c[name] for name in ENVIRONMENT), ""),  # as where one is not known
    Recipe.__table__.c.dataset: "unknown",
    **dict.fromkeys((Run.__table__.c[name] for name in COSTS), 0),  # which are copied anew
}
"""What goes into columns that may not be NULL where nobody knows better, so that no row need be lost."""


def instead_of(column: Column[Any]) -> str | int | None:
    """What a column has where its value has no place in it; None if it can have nothing.

    Parameters
    ----------
    column
        A column that may not be NULL.
    """
    return _INSTEAD.get(column)


def problems_of(column: Column[Any]) -> Callable[[Any], str]:
    """What tells why a value has no place in a column.

    Parameters
    ----------
    column
        The column.

    Returns
    -------
    callable
        Gives a phrase for a value as SQLite's driver has it; an empty one where it has its place.
    """
    kinds = _types_of(column)
    read: Callable[[str], Any] = json.loads
    if isinstance(column.type, DateTime):
        read = datetime.fromisoformat
    is_read = isinstance(column.type, DateTime | JSON)  # of dates and of JSON not each text is one
    numbers = _NUMBERS.get(column)

    def problem(value: Any) -> str:
        if value is None:
            return "" if column.nullable else f"had no {column.name}"
        if not isinstance(value, kinds) or value != value or value in (math.inf, -math.inf):
            return f"had a {column.name} of another kind"
        if numbers is not None and value not in numbers:
            return f"had a {column.name} that there cannot be"
        if is_read and not _is_read(read, value):
            return f"had a {column.name} that cannot be read"
        return ""

    return problem


def _is_read(read: Callable[[str], Any], text: Any) -> bool:
    try:
        read(text)
    except (ValueError, RecursionError):
        return False
    return True


def _types_of(column: Column[Any]) -> tuple[type, ...]:
    """What SQLite's driver gives for the values of a column."""
    if isinstance(column.type, Integer | BigInteger | Boolean):
        return (int,)
    return (int, float) if isinstance(column.type, Double) else (str,)
