"""What each kind of engine does in its own way; `sqlite` and `postgresql` have one class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import numpy as np
from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, PoolProxiedConnection, Select, insert
from sqlalchemy.orm import DeclarativeBase, Session

from bloxdb.counts import counted
from bloxdb.db.forking import Reader
from bloxdb.errors import DatabaseError, ServerAwayError, one_line
from bloxdb.measures import MISSING, Array

ONLY_READS = "a query only reads; in Python, `with db.transaction() as session: session.execute(…)` writes"
"""What is said where a query of a caller's own would do more."""


ROWS_AT_ONCE = 1_000
"""How many rows of a stream are brought together."""

NO_ROWS = "the statement gives no rows; a query begins with SELECT"
"""What is said where there is no query."""


LOST = "the connection to the server was lost ({}); ask again"
"""What is said where it was."""

Streamed = tuple[Sequence[Any] | None, Iterator[tuple[Any, ...]]]
"""The columns of a query, as the driver describes them, None where it gives no rows; and its rows."""


Order = tuple[ColumnElement[bool] | None, ColumnElement[Any]]
"""A condition, if there is one, and an order."""


class Engines(ABC):
    """The ways of one kind of engine.

    Attributes
    ----------
    AUTOCOMMIT
        Execution options of a connection whose statements are transactions of their own.
    SNAPSHOT
        Execution options of a connection that sees one state of the database from its first query on.
    RECREATES
        Whether a table is changed by making it anew, so that alembic needs its batch mode.
    DRIVER
        The driver that SQLAlchemy takes.
    FORM
        What a URL looks like.
    NEEDS
        The extra that brings the driver, and what needs it.
    BACKUP, REPAIR
        What is said to who wants a copy of what is no file, but for ``{name}``, the database, and
        ``{target}``, the copy.
    UNFILLED
        What is said of a database that has its tables and no architectures, but for ``{name}``; empty where
        none has ever been left so.
    INTEGRITY
        A query that looks through the whole file, and gives ``ok`` or a row for each thing that is wrong;
        empty where that is a server's own business.
    PASSWORDS
        Where a password is found that a URL lacks.
    OF_A_KEY
        The option of a URL that is the password of a key.
    """

    AUTOCOMMIT: ClassVar[dict[str, Any]]
    SNAPSHOT: ClassVar[dict[str, Any]]
    RECREATES: ClassVar[bool]
    DRIVER: ClassVar[str]
    FORM: ClassVar[str]
    NEEDS: ClassVar[tuple[str, str]] = ("", "")
    BACKUP: ClassVar[str] = ""
    REPAIR: ClassVar[str] = ""
    UNFILLED: ClassVar[str] = ""
    INTEGRITY: ClassVar[str] = ""
    PASSWORDS: ClassVar[str] = ""
    OF_A_KEY: ClassVar[str] = ""

    def arguments(self, url: URL, *, read_only: bool) -> dict[str, Any]:
        """What the driver is told beside the URL when it connects, to refuse writing among it."""
        return {}

    def passwords(self, url: URL) -> Iterator[str | None]:
        """The password that is found for each host of a URL that has none; None where none is found."""
        yield None

    def other_kind(self, column: Column[Any]) -> tuple[str, ColumnElement[bool]] | None:
        """What a column holds, and a condition that a value is of another kind, and not NULL; None where a
        column holds nothing else.
        """
        return None

    def stored_texts(self, column: Column[Any]) -> Select[Any] | None:
        """A query of all texts of a column as the bytes that are stored; None where they are all UTF-8."""
        return None

    def as_stored(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """A text as it can be read whatever it is."""
        return column

    @abstractmethod
    def listed(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """All values of a group as one text; nothing between two commas is NULL."""

    @abstractmethod
    def packed(self, column: ColumnElement[Any], scale: int) -> ColumnElement[str] | None:
        """All numbers of a column, `scale` times each, as one text of integers; nothing between two commas is
        NULL, and a letter is a number that `scale` does not make an integer of. None where rows are as fast.
        """

    def fetch(self, session: Session, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a query with ``?`` for values, asked of the driver of a session."""
        if isinstance(session, Reader):
            session.heal()
        connection = session.connection()
        with self.asking(connection, connection.connection.driver_connection) as driver:
            return self.fetch_of(driver, sql, values)

    @contextmanager
    def asking(self, connection: Connection | PoolProxiedConnection, driver: Any) -> Iterator[Any]:
        """Ask a driver itself; what an error leaves is not used again, and a lost connection is told."""
        try:
            yield driver
        except BaseException as error:
            is_lost = self.is_lost(driver)
            if is_lost or self.end_asking(driver):
                connection.invalidate()
            if is_lost and isinstance(error, Exception):
                raise ServerAwayError(LOST.format(one_line(error))) from error
            raise

    @abstractmethod
    def fetch_of(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """What `fetch` gives."""

    @abstractmethod
    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """A cursor with what a query gives, with ``:name`` for values, asked of the driver itself."""

    @abstractmethod
    def stream(self, driver: Any, sql: str, values: dict[str, Any]) -> AbstractContextManager[Streamed]:
        """As `query`, with rows that come as they are asked for, until the end of the block."""

    def refuses_for_good(self, error: BaseException) -> bool:
        """Whether no connection is to be had later either, as of a password that is wrong."""
        return False

    def is_lost(self, driver: Any) -> bool:
        """Whether a connection has ended, and nobody here has closed it."""
        return False

    def end_asking(self, driver: Any) -> bool:
        """Have a connection end what it still works on, after an error that is none of the engine's.

        True if there was something; it can be used no more then.
        """
        return False

    @abstractmethod
    def is_refusal(self, error: BaseException | None) -> bool:
        """Whether the driver says that a query would have done more than read."""

    @abstractmethod
    def version(self, connection: Connection) -> int | None:
        """A number that changes when another connection has written; None where there is no such thing."""

    @abstractmethod
    def new_ids(self, session: Session, column: Column[Any], count: int) -> list[int]:
        """So many ids for new rows of a table, in order, which nobody else gives away in this transaction."""

    @abstractmethod
    def add_rows(
        self,
        session: Session,
        model: type[DeclarativeBase],
        names: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """Add many rows to a table: values of types that the driver knows, in the order of the names."""

    def add_integers(
        self, session: Session, model: type[DeclarativeBase], columns: Mapping[str, Array]
    ) -> None:
        """Add many rows of integers to a table, shape (rows,) a column; `MISSING` is NULL."""
        rows = list(zip(*map(_nullable, columns.values()), strict=True))
        self.add_rows(session, model, list(columns), rows)

    def keys_aside(self, session: Session, model: type[DeclarativeBase]) -> list[str]:
        """Take the keys of an empty table away, where rows come faster without; what brings them back."""
        return []

    @abstractmethod
    def set_values(
        self, session: Session, model: type[DeclarativeBase], name: str, rows: Sequence[tuple[int, Any]]
    ) -> None:
        """Give one column of many rows other values, which are pairs of a row's id and its value."""

    @abstractmethod
    def bulk(self, engine: Engine) -> AbstractContextManager[Session]:
        """A transaction for very many rows, committed at the end, undone after an error."""

    @abstractmethod
    def migration(self, connection: Connection, name: str = "the database") -> AbstractContextManager[None]:
        """A transaction that makes or migrates a database, on a connection in autocommit; undone after an
        error. Of two processes the second waits for the first, from the beginning on.

        Parameters
        ----------
        connection
            The connection.
        name
            The database, for errors.
        """

    @abstractmethod
    def mark(self, connection: Connection) -> None:
        """Say in a new database, before anything else, that it is one of ours."""

    @abstractmethod
    def check(self, connection: Connection, name: str) -> None:
        """`DatabaseError` for a database of a kind that we cannot work with."""

    @abstractmethod
    def finish(self, connection: Connection) -> None:
        """Bring a database that was just filled into the state in which it is used."""

    def plainly(self, column: str) -> str:
        """The SQL of a column that no index is to be taken for; as it is where the engine has statistics."""
        return column

    @abstractmethod
    def best_first(self, column: ColumnElement[Any], *, higher: bool) -> Order:
        """An order that an index gives, and the condition that it needs; NULL comes last, or not at all.

        Parameters
        ----------
        column
            A measure.
        higher
            Whether the higher value is better.
        """

    @abstractmethod
    def now(self, seconds: str) -> str:
        """The SQL of the time now by the database's clock, UTC, and so many seconds later."""


def _nullable(values: Array) -> list[Any]:
    listed: list[Any] = values.tolist()
    if values.dtype == np.int64 and (values == MISSING).any():
        return [None if value == MISSING else value for value in listed]
    return listed


def check_stored(model: type[DeclarativeBase], stored: int, given: int) -> None:
    """`DatabaseError` where the database did not take all rows that it was given, and said nothing."""
    if stored != given:
        raise DatabaseError(
            f"table {model.__tablename__} took {stored} of {counted(given, 'row')}: a trigger of somebody's "
            "leaves some out; take it away, or let it refuse them. Nothing was stored"
        )


def insert_rows(session: Session, model: type[DeclarativeBase], rows: Sequence[dict[str, Any]]) -> None:
    """Add rows whose values SQLAlchemy turns into the driver's; `check_stored` says what is wrong."""
    if rows:
        counted_too = {"preserve_rowcount": True}
        done: Any = session.execute(insert(model.__table__), rows, execution_options=counted_too)  # type: ignore[arg-type]
        check_stored(model, done.rowcount, len(rows))
