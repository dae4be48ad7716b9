"""What tables and columns are, for who looks at them in Datasette."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from bloxdb.db.leaderboard import leaderboard
from bloxdb.db.schema import Base
from bloxdb.fields import UNITS

_LABELS = {"archs": "vec", "blocks": "cell", "devices": "name", "envs": "gpu", "recipes": "name"}
"""The columns that stand for a row where another table refers to it."""


def described() -> dict[str, Any]:
    """Descriptions of all tables, as Datasette's metadata have them.

    A new one each time: Datasette writes into it what somebody's own metadata say.
    """
    return {
        name: {key: dict(value) if isinstance(value, dict) else value for key, value in table.items()}
        for name, table in _described().items()
    }


@cache
def _described() -> dict[str, Any]:
    found: dict[str, Any] = {"alembic_version": {"hidden": True}}
    for mapper in Base.registry.mappers:
        told = inspect.getdoc(mapper.class_) or ""
        name = str(mapper.local_table.name)  # type: ignore[attr-defined]
        columns = {column.name: _in_words(column.name, column.doc) for column in mapper.columns}
        found[name] = {"description": " ".join(told.partition("\n\n")[0].split()), "columns": columns}
        if name in _LABELS:
            found[name]["label_column"] = _LABELS[name]
    known = {"recipe": "the recipe's name"}
    for name in ("runs", "archs", "static_info"):  # the last of them has costs themselves, not a copy
        known |= found[name]["columns"]
    found[leaderboard.name] = {
        "description": "One row a finished run: what people ask for first.",
        "columns": {column.name: known[column.name] for column in leaderboard.columns},
    }
    return found


def _in_words(name: str, doc: str | None) -> str:
    words = (doc or "").replace("`", "")
    return f"{words} ({UNITS[name]})" if name in UNITS else words
