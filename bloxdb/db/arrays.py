"""Numbers of very many rows as arrays.

SQLite's driver makes a Python object of every value and a tuple of every row, which takes longer than finding
them. So SQLite itself writes each column into one text of integers, all columns in one pass, and a kernel
reads the texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, func
from sqlalchemy import select as select_
from sqlalchemy.orm import Session
from sqlalchemy.types import Integer

from bloxdb.db._integers import parse
from bloxdb.db.damage import kinds_told
from bloxdb.db.dialects import engines_of
from bloxdb.measures import MICRO, MISSING, to_floats


def read_numbers(session: Session, query: Select[Any]) -> npt.NDArray[np.float64]:
    """The rows of a query whose columns are numbers, asked of the driver itself.

    Parameters
    ----------
    session
        The session to ask.
    query
        The query; what is an integer in it has to be one by its type, too.

    Returns
    -------
    numpy.ndarray
        Float64 (columns, rows), NaN for NULL; each value is the very one that is stored.
    """
    engines = engines_of(session.get_bind().dialect)

    def fetch(statement: Any) -> list[Any]:
        text = str(statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True}))
        return engines.fetch(session, text, ())

    given = list(query.selected_columns)
    named = query.with_only_columns(
        *(column.label(f"n{number}") for number, column in enumerate(given)), maintain_column_froms=True
    )
    rows = named.subquery()
    is_whole = [isinstance(column.type, Integer) for column in given]
    scales = [1 if whole else MICRO for whole in is_whole]
    packed = [engines.packed(column, scale) for column, scale in zip(rows.columns, scales, strict=True)]
    texts_only = [text for text in packed if text is not None]
    if len(texts_only) == len(given):
        count, *texts = fetch(select_(func.count().label("n"), *texts_only).select_from(rows))[0]
        found = _unpacked(count, texts, is_whole)
        if found is not None:
            return found
    with kinds_told():
        return np.array(fetch(named), dtype=np.float64).reshape(-1, len(given)).T.copy()


def _unpacked(count: int, texts: list[str | None], is_whole: list[bool]) -> npt.NDArray[np.float64] | None:
    """Columns out of texts; None where a value could not be packed."""
    found = np.empty((len(texts), count))
    stored = np.empty(count, dtype=np.int64)
    for column, text, whole in zip(found, texts, is_whole, strict=True):
        if count and parse((text or "").encode(), MISSING, stored) != count:
            return None
        column[:] = stored if whole else to_floats(stored, MICRO)
        column[stored == MISSING] = np.nan
    return found
