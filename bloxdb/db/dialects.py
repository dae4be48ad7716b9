"""Which kinds of engine there are, and the time by the clock of any."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, DateTime, Dialect, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from bloxdb.db.engines import Engines
from bloxdb.db.postgresql import PostgreSQL
from bloxdb.db.sqlite import SQLite

ENGINES: dict[str, Engines] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
"""The ways of each kind of engine, by its name in URLs."""


def engines_of(what: URL | Dialect) -> Engines:
    """The ways of the engine that a URL, or a dialect of SQLAlchemy, is of."""
    return ENGINES[what.get_backend_name() if isinstance(what, URL) else what.name]


class utc_now(FunctionElement[Any]):  # noqa: N801 - it stands for a function of SQL
    """The time now by the database's clock, or some seconds before; UTC, as our columns hold it.

    Machines that share a database need not agree on the time, so only the database's clock counts.

    Parameters
    ----------
    seconds_ago
        How long before now.
    """

    type = DateTime()
    name = "utc_now"
    inherit_cache = True

    def __init__(self, seconds_ago: float = 0) -> None:
        super().__init__(literal(-float(seconds_ago), Float()))


@compiles(utc_now)
def _as_sql(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    return engines_of(compiler.dialect).now(compiler.process(element.clauses, **options))


class plainly(FunctionElement[Any]):  # noqa: N801 - it stands for an expression of SQL
    """A column as a sum, so that an engine that has no statistics takes no index for it.

    Where nearly all rows are wanted, that is slower than to read the table; and an engine may take one index
    for a condition, and so not another that has the rows in the order that is asked for.

    Parameters
    ----------
    column
        A column of numbers.
    """

    name = "plainly"
    inherit_cache = True

    def __init__(self, column: Any) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(plainly)
def _as_sum(element: plainly, compiler: SQLCompiler, **options: Any) -> str:
    return engines_of(compiler.dialect).plainly(compiler.process(element.clauses, **options))
