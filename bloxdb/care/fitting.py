"""What a value of a damaged database must be to go into another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Column, DateTime

from bloxdb.db.schema import Env, Recipe, Run
from bloxdb.db.sqlite import date_of, json_of
from bloxdb.db.values import bounds_of, kinds_of
from bloxdb.measures import COSTS, ENVIRONMENT

_INSTEAD: dict[Any, str | int] = {
    **dict.fromkeys((Env.__table__.c[name] for name in ENVIRONMENT), ""),  # as where one is not known
    Recipe.__table__.c.dataset: "unknown",
    Recipe.__table__.c.first_epoch_is_best: 0,
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
    kinds, bounds = kinds_of(column), bounds_of(column)
    read: Callable[[str], Any] | None = None  # of dates and of JSON not each text is one
    if isinstance(column.type, DateTime):
        read = date_of
    elif isinstance(column.type, JSON):
        read = _object_of

    def problem(value: Any) -> str:
        if value is None:
            return "" if column.nullable else f"had no {column.name}"
        if not isinstance(value, kinds) or value != value:
            return f"had a {column.name} of another kind"
        found: Any = value
        if read is not None:
            try:
                found = read(found)
            except (ValueError, RecursionError):
                return f"had a {column.name} that cannot be read"
        if bounds is not None and not bounds.low <= found <= bounds.high:
            return f"had a {column.name} that there cannot be"
        return ""

    return problem


def _object_of(text: str) -> dict[str, Any]:
    found = json_of(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found
