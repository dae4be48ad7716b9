"""What SQLite and PostgreSQL say differently; only `connection` asks which of the two a URL names."""

from __future__ import annotations

import re
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Float,
    Integer,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

from bloxdb.db.waiting import BUSY_MS, patiently, revive
from bloxdb.errors import DatabaseError

BEGIN = "bloxdb_begin"
"""An execution option: how SQLite begins a transaction, or "" for not at all."""

APPLICATION_ID = 0x424C4F58
"""What SQLite keeps in bytes 68 … 71 of the file: 'BLOX'."""

_WRITE = "BEGIN IMMEDIATE"

ONLY_READS = "a query only reads; to write, use `with db.transaction() as session: session.execute(…)`"
"""What is said where a query of a caller's own would do more."""

# Each of these goes over a statement once, whatever it is: nothing is repeated that could match in two ways,
# and what is not closed reaches to the end.
_BEFORE = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|\Z))*+")
_COMMENT_ENDS = re.compile(r"/\*|\*/")
_READING_WORD = re.compile(r"(?:SELECT|WITH|VALUES|TABLE|EXPLAIN|SHOW)\b", re.IGNORECASE)
_PARTS = re.compile(
    r"""
    \b[eE]'(?:[^'\\]|\\.)*+(?:'|\Z) | '[^']*+(?:'|\Z) | "[^"]*+(?:"|\Z)  # literals and quoted names
    | (?<![\w$])\$((?:[^\W\d]\w*+)?)\$.*?(?:\$\1\$|\Z)
    | --[^\n]*+ | /\*.*?(?:\*/|\Z)
    | (?<![:\w]):(?P<value>[^\W\d]\w*+) | %
    """,
    re.DOTALL | re.VERBOSE,
)
"""What is not SQL as it is written: values, what psycopg takes for one, and where there are none."""


def begins_to_read(sql: str) -> bool:
    """Whether the first word of a statement is one of those that only read.

    Parameters
    ----------
    sql
        A statement as PostgreSQL takes it: comments may be within comments.

    Examples
    --------
    >>> begins_to_read("/* of /* all */ SELECT */ (VALUES (1))")
    True
    >>> begins_to_read("/* of /* all */ SELECT */ COPY runs TO 'a'")
    False
    """
    at = _end_of(_BEFORE, sql, 0)
    while sql.startswith("/*", at):
        depth = 0
        for match in _COMMENT_ENDS.finditer(sql, at):
            depth += 1 if match[0] == "/*" else -1
            if depth == 0:
                at = _end_of(_BEFORE, sql, match.end())
                break
        else:
            return False
    return _READING_WORD.match(sql, at) is not None


def _end_of(pattern: re.Pattern[str], sql: str, at: int) -> int:
    match = pattern.match(sql, at)
    return at if match is None else match.end()


def for_psycopg(sql: str) -> str:
    """A query with ``:name`` for values as psycopg takes it, with ``%(name)s``.

    Parameters
    ----------
    sql
        The query; a colon within a literal, a quoted name or a comment is text.

    Examples
    --------
    >>> for_psycopg("SELECT ':a', 5 % 2, :a::int")
    "SELECT ':a', 5 %% 2, %(a)s::int"
    """
    return _PARTS.sub(
        lambda part: f"%({part['value']})s" if part["value"] else part[0].replace("%", "%%"), sql
    )


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
    """

    AUTOCOMMIT: ClassVar[dict[str, Any]]
    SNAPSHOT: ClassVar[dict[str, Any]]
    RECREATES: ClassVar[bool]

    @abstractmethod
    def listed(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """All values of a group as one text; nothing between two commas is NULL."""

    @abstractmethod
    def packed(self, column: ColumnElement[Any], scale: int) -> ColumnElement[str] | None:
        """All numbers of a column, `scale` times each, as one text of integers; nothing between two commas is
        NULL, and a letter is a number that `scale` does not make an integer of. None where rows are as fast.
        """

    @abstractmethod
    def fetch(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a query with ``?`` for values, asked of the driver itself."""

    @abstractmethod
    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """A cursor with what a query gives, with ``:name`` for values, asked of the driver itself."""

    @abstractmethod
    def is_refusal(self, error: BaseException | None) -> bool:
        """Whether the driver says that a query would have done more than read."""

    @abstractmethod
    def version(self, connection: Connection) -> int | None:
        """A number that changes when another connection has written; None where there is no such thing."""

    @abstractmethod
    def bulk(self, engine: Engine) -> AbstractContextManager[Session]:
        """A transaction for very many rows, committed at the end, undone after an error."""

    @abstractmethod
    def migration(self, connection: Connection) -> AbstractContextManager[None]:
        """A transaction for migrations, on a connection in autocommit; undone after an error."""

    @abstractmethod
    def mark(self, connection: Connection) -> None:
        """Say in a new database, before anything else, that it is one of ours."""

    @abstractmethod
    def check(self, connection: Connection, name: str) -> None:
        """`DatabaseError` for a database of a kind that we cannot work with."""

    @abstractmethod
    def finish(self, connection: Connection) -> None:
        """Bring a database that was just filled into the state in which it is used."""


class SQLite(Engines):
    """A file that this process opens itself."""

    AUTOCOMMIT: ClassVar = {BEGIN: ""}
    SNAPSHOT: ClassVar = {BEGIN: "BEGIN"}
    RECREATES: ClassVar = True

    def listed(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """`group_concat` makes texts of integers itself."""
        return func.group_concat(func.coalesce(column, ""))

    def packed(self, column: ColumnElement[Any], scale: int) -> ColumnElement[str] | None:
        """An integer divided by the scale gives the stored double again, or it is not written."""
        if scale == 1:
            return self.listed(column)
        whole = cast(func.round(column * literal_column(str(scale))), Integer)
        is_exact = whole / literal_column(f"{scale}.0") == column
        return func.group_concat(case((is_exact, whole), (column.is_(None), ""), else_="x"))

    def fetch(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """The driver's own placeholder is ``?``."""
        found: list[Any] = driver.execute(sql, values).fetchall()
        return found

    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """The driver knows ``:name`` itself, and the connection's authorizer what a statement would do."""
        return driver.execute(sql, values)

    def is_refusal(self, error: BaseException | None) -> bool:
        """A function that an authorizer refuses has no code of its own."""
        codes = (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY)
        return getattr(error, "sqlite_errorcode", None) in codes or str(error).startswith("not authorized")

    def version(self, connection: Connection) -> int | None:
        """https://www.sqlite.org/pragma.html#pragma_data_version"""
        found: int = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        return found

    @contextmanager
    def bulk(self, engine: Engine) -> Iterator[Session]:
        """Foreign keys are not checked, other files can be attached, and nothing is written twice if
        possible.
        """
        with (
            engine.execution_options(**self.AUTOCOMMIT).connect() as connection,
            alone(connection),
            foreign_keys_off(connection),
            Session(connection) as session,
        ):
            start = time.monotonic()
            yield session
            session.flush()
            revive(connection, time.monotonic() - start)

    @contextmanager
    def migration(self, connection: Connection) -> Iterator[None]:
        """A batch operation makes tables anew, and with foreign keys on that deletes their children."""
        with foreign_keys_off(connection):
            yield
            broken = broken_references(connection)
            if broken:
                raise DatabaseError(f"the migration broke {broken} references; nothing was changed")

    def mark(self, connection: Connection) -> None:
        """https://www.sqlite.org/pragma.html#pragma_application_id"""
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")

    def check(self, connection: Connection, name: str) -> None:
        """SQLite attaches only files of one encoding, and ours are all UTF-8."""
        encoding = connection.exec_driver_sql("PRAGMA encoding").scalar()
        if encoding != "UTF-8":
            raise DatabaseError(
                f"{name}: its texts are in {encoding}, and bloxdb works with UTF-8 only; `sqlite3 OLD "
                ".dump | sqlite3 NEW` makes a copy in UTF-8"
            )

    def finish(self, connection: Connection) -> None:
        """Statistics for the planner."""
        connection.exec_driver_sql("ANALYZE")


class PostgreSQL(Engines):
    """A server."""

    AUTOCOMMIT: ClassVar = {"isolation_level": "AUTOCOMMIT"}
    SNAPSHOT: ClassVar = {"isolation_level": "REPEATABLE READ"}
    RECREATES: ClassVar = False

    def listed(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """`string_agg` takes texts only."""
        return func.string_agg(func.coalesce(cast(column, Text), ""), ",")

    def packed(self, column: ColumnElement[Any], scale: int) -> ColumnElement[str] | None:
        """The server has to send what there is one way or the other."""
        return None

    def fetch(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """psycopg's placeholder is ``%s``."""
        with driver.cursor() as cursor:
            found: list[Any] = cursor.execute(sql.replace("?", "%s") if values else sql, values).fetchall()
            return found

    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """A statement that is prepared is a single one: no COMMIT, and then another."""
        if not begins_to_read(sql):
            # COPY writes files and SET changes settings even where a transaction is read only
            raise DatabaseError(ONLY_READS)
        return driver.execute(for_psycopg(sql), values, prepare=True)

    def is_refusal(self, error: BaseException | None) -> bool:
        """https://www.postgresql.org/docs/current/errcodes-appendix.html, read_only_sql_transaction"""
        return getattr(error, "sqlstate", None) == "25006"

    def version(self, connection: Connection) -> int | None:
        """A server has no such number for a connection to watch."""
        return None

    @contextmanager
    def bulk(self, engine: Engine) -> Iterator[Session]:
        """Like any other transaction."""
        with Session(engine) as session, session.begin():
            yield session

    @contextmanager
    def migration(self, connection: Connection) -> Iterator[None]:
        """Tables are changed in place, with their references checked all along."""
        plain = connection.execution_options(isolation_level="READ COMMITTED")
        with plain.begin():
            yield

    def mark(self, connection: Connection) -> None:
        """The table of revisions says it."""

    def check(self, connection: Connection, name: str) -> None:
        """The driver takes care of encodings."""

    def finish(self, connection: Connection) -> None:
        """Statistics for the planner, which has had no time yet to make them itself."""
        connection.exec_driver_sql("ANALYZE")


_ENGINES: dict[str, Engines] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}

NAMES = tuple(_ENGINES)
"""The kinds of engine, as URLs name them."""


def engines_of(what: URL | Dialect) -> Engines:
    """The ways of the engine that a URL, or a dialect of SQLAlchemy, is of."""
    return _ENGINES[what.get_backend_name() if isinstance(what, URL) else what.name]


def begin(connection: Connection) -> None:
    """Begin a transaction on SQLite, whose driver begins nothing by itself.

    Writers take the lock at once, so that none has to upgrade, which SQLite would refuse at random. The first
    of them switches the WAL on where the disk takes one, and whoever closes the file last switches it off.
    """
    words = connection.get_execution_options().get(BEGIN, _WRITE)
    if words == _WRITE:
        driver: Any = connection.connection.driver_connection
        mode = "wal" if driver.takes_wal else "delete"
        if not driver.is_new and driver.execute("PRAGMA journal_mode").fetchone() != (mode,):
            _patiently(connection, f"PRAGMA journal_mode = {mode}")
    if words == _WRITE:
        # without a WAL it is the commit that would wait for readers, and not for long
        _patiently(connection, words if driver.is_new or driver.takes_wal else "BEGIN EXCLUSIVE")
    elif words:
        connection.exec_driver_sql(words)


def _patiently(connection: Connection, sql: str) -> None:
    """Wait for what needs the lock; SQLAlchemy's error where it is given up."""
    driver: Any = connection.connection.driver_connection
    try:
        patiently(driver, sql)
    except sqlite3.OperationalError as error:
        raise OperationalError(sql, None, error) from error


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """A transaction on SQLite that does not check foreign keys; undone after an error.

    Files that were attached meanwhile are detached at its end. The connection must be in autocommit.
    """
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    try:
        _patiently(connection, "BEGIN EXCLUSIVE")  # without a WAL, readers would stop it at its end
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        if _is_in_transaction(connection):
            connection.exec_driver_sql("ROLLBACK")
        raise
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
            for _, name, _ in connection.exec_driver_sql("PRAGMA database_list").fetchall():
                if name not in ("main", "temp"):
                    connection.exec_driver_sql(f"DETACH {name}")


def broken_references(connection: Connection) -> int:
    """How many rows of an SQLite file refer to a row that is not there."""
    return len(connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall())


def _is_in_transaction(connection: Connection) -> bool:
    """Whether there is something to roll back.

    SQLite does so itself when a statement is interrupted, and SQLAlchemy closes a connection on Ctrl-C.
    """
    if connection.invalidated:
        return False
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Write into an SQLite file itself where nobody else has it open, instead of into a WAL first.

    Readers that come meanwhile wait for the end.
    """
    driver: Any = connection.connection.driver_connection
    if not driver.is_new:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            with suppress(OperationalError):  # somebody else is there: the WAL stays
                connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_MS}")
    yield


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


@compiles(utc_now, "sqlite")
def _on_sqlite(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(utc_now, "postgresql")
def _on_postgresql(element: utc_now, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => {seconds}))"
