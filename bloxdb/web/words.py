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


@cache
def described() -> dict[str, Any]:
    """Titles and descriptions of all tables, as Datasette's metadata have them."""
    found: dict[str, Any] = {}
    docs: dict[str, str] = {}
    for mapper in Base.registry.mappers:
        told = inspect.getdoc(mapper.class_) or ""
        name = str(mapper.local_table.name)  # type: ignore[attr-defined]
        columns = {column.name: _in_words(column.name, column.doc) for column in mapper.columns}
        docs |= columns if name in ("archs", "runs", "static_info") else {}
        found[name] = {"description": " ".join(told.partition("\n\n")[0].split()), "columns": columns}
        if name in _LABELS:
            found[name]["label_column"] = _LABELS[name]
    docs |= {"recipe": "the recipe's name"}
    found[leaderboard.name] = {
        "description": "One row a finished run: what people ask for first.",
        "columns": {column.name: docs[column.name] for column in leaderboard.columns},
    }
    return found


def _in_words(name: str, doc: str | None) -> str:
    words = (doc or "").replace("`", "")
    return f"{words} ({UNITS[name]})" if name in UNITS else words
