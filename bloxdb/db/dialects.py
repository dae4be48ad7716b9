"""The database's own clock: machines that share a database need not agree on the time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import DateTime, Float, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class utc_now(FunctionElement[Any]):  # noqa: N801 - it stands for a function of SQL
    """The time now by the database's clock, or some seconds before; UTC, as our columns hold it.

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


@compiles(utc_now, "sqlite")
def _on_sqlite(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(utc_now, "postgresql")
def _on_postgresql(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => {seconds}))"
