"""What PostgreSQL alone says: a server, and its driver psycopg."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import Any, ClassVar

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Text,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session

from bloxdb.db import binary_copy
from bloxdb.db.engines import NO_ROWS, ONLY_READS, ROWS_AT_ONCE, Engines, Order, Streamed, check_stored
from bloxdb.db.libpq import found_passwords
from bloxdb.db.statuses import RUNNING
from bloxdb.errors import DatabaseError
from bloxdb.measures import Array

_CONNECTING = 10
"""Seconds that one try to connect takes at most, for each host; psycopg would wait for 130."""

# Each of these goes over a statement once, whatever it is: nothing is repeated that could match in two ways,
# and what is not closed reaches to the end.
_BEFORE = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|\Z))*+")
_COMMENT_ENDS = re.compile(r"/\*|\*/")
_READING_WORD = re.compile(r"(?:SELECT|WITH|VALUES|TABLE|EXPLAIN|SHOW)\b", re.IGNORECASE)
_OTHER_WORD = re.compile(
    r"(?:ABORT|ALTER|ANALY[SZ]E|BEGIN|CALL|CHECKPOINT|CLOSE|CLUSTER|COMMENT|COMMIT|COPY|CREATE|DEALLOCATE|DECLARE"
    r"|DELETE|DISCARD|DO|DROP|END|EXECUTE|FETCH|GRANT|IMPORT|INSERT|LISTEN|LOAD|LOCK|MERGE|MOVE|NOTIFY|PREPARE"
    r"|REASSIGN|REFRESH|REINDEX|RELEASE|REPACK|RESET|REVOKE|ROLLBACK|SAVEPOINT|SECURITY|SET|START|TRUNCATE"
    r"|UNLISTEN|UPDATE|VACUUM|WAIT)\b",
    re.IGNORECASE,
)
"""Every other word that a statement begins with: https://www.postgresql.org/docs/current/sql-commands.html"""
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
    at = _start_of(sql)
    return at is not None and _READING_WORD.match(sql, at) is not None


def why_not(sql: str) -> str:
    """What is said of a statement that does not begin to read: of one that writes, and of a slip.

    Parameters
    ----------
    sql
        A statement as PostgreSQL takes it.

    Examples
    --------
    >>> why_not("selec 1")
    'syntax error at or near "selec"; a query begins with SELECT'
    """
    at = first = _start_of(sql)
    while at is not None and sql.startswith((";", ")"), at):
        at = _start_of(sql, at + 1)
    if at is None:
        return "syntax error: a comment is not closed"
    if at == len(sql):
        return NO_ROWS
    if _OTHER_WORD.match(sql, at):
        return ONLY_READS
    found = re.compile(r"\w{1,60}|.", re.DOTALL).match(sql, at if first is None else first)
    return f'syntax error at or near "{found[0] if found else ""}"; a query begins with SELECT'


def _start_of(sql: str, at: int = 0) -> int | None:
    """Where the first word of a statement is, or what stands there instead; None within a comment."""
    at = _end_of(_BEFORE, sql, at)
    while sql.startswith("/*", at):
        depth = 0
        for match in _COMMENT_ENDS.finditer(sql, at):
            depth += 1 if match[0] == "/*" else -1
            if depth == 0:
                at = _end_of(_BEFORE, sql, match.end())
                break
        else:
            return None
    return at


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


_MAKING = int.from_bytes(b"bloxdb", "big")
"""The number of the advisory lock of who makes or migrates a database; any that nobody else takes."""

_FOR_GOOD = re.compile("does not exist|authentication|password|pg_hba|permission denied")
_CANCEL = 5.0  # seconds for which a server may take to hear that a query is to end
_KEYS_STAY = ("55P03", "40P01", "2BP01", "42501")
"""Somebody has a lock, or two wait for each other; something depends on a key; the table is another's.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""


class _StayError(Exception):
    """Keys are to stay after all."""


class PostgreSQL(Engines):
    """A server."""

    AUTOCOMMIT: ClassVar = {"isolation_level": "AUTOCOMMIT"}
    SNAPSHOT: ClassVar = {"isolation_level": "REPEATABLE READ"}
    RECREATES: ClassVar = False
    DRIVER: ClassVar = "psycopg"
    FORM: ClassVar = "postgresql://USER@HOST:PORT/NAME"
    NEEDS: ClassVar = ("postgresql", "PostgreSQL")
    BACKUP: ClassVar = (
        "{name} is on a server, and PostgreSQL's own tool makes its backups: "
        "pg_dump --format=custom --file {target} {url}"
    )
    REPAIR: ClassVar = (
        "a database on a server is repaired there: `bloxdb check` says which rows are wrong, which SQL can "
        "correct or delete (`psql`); where the server itself finds damage, restore a backup (`pg_restore`)"
    )
    UNFILLED: ClassVar = (
        "{name} is half-made, with tables and no architectures: an earlier bloxdb was killed as it made it; "
        "`bloxdb init --db {name}` makes the rest"
    )
    PASSWORDS: ClassVar = "$PGPASSWORD or a password file such as ~/.pgpass"
    OF_A_KEY: ClassVar = "sslpassword"

    def arguments(self, url: URL, *, read_only: bool) -> dict[str, Any]:
        """An end to waiting for each host, if none is given; read only beside the caller's own options."""
        found: dict[str, Any] = {}
        if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
            found["connect_timeout"] = _CONNECTING
        if read_only:
            given = url.query.get("options") or os.environ.get("PGOPTIONS", "")
            found["options"] = f"{given} -c default_transaction_read_only=on".lstrip()
        return found

    def passwords(self, url: URL) -> Iterator[str | None]:
        """What libpq finds."""
        return found_passwords(url)

    def listed(self, column: ColumnElement[Any]) -> ColumnElement[str]:
        """`string_agg` takes texts only."""
        return func.string_agg(func.coalesce(cast(column, Text), ""), ",")

    def packed(self, column: ColumnElement[Any], scale: int) -> ColumnElement[str] | None:
        """The server has to send what there is one way or the other."""
        return None

    def fetch_of(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """psycopg's placeholder is ``%s``."""
        with driver.cursor() as cursor:
            found: list[Any] = cursor.execute(sql.replace("?", "%s") if values else sql, values).fetchall()
            return found

    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """A statement that is prepared is a single one: no COMMIT, and then another."""
        if not begins_to_read(sql):
            # COPY writes files and SET changes settings even where a transaction is read only
            raise DatabaseError(why_not(sql))
        return driver.execute(for_psycopg(sql), values, prepare=True)

    @contextmanager
    def stream(self, driver: Any, sql: str, values: dict[str, Any]) -> Iterator[Streamed]:
        """psycopg would bring all rows at once; what has none is asked once more, for its columns."""
        from psycopg import capabilities

        if not begins_to_read(sql):
            raise DatabaseError(why_not(sql))
        cursor = driver.cursor()
        size = ROWS_AT_ONCE if capabilities.has_stream_chunked() else 1
        # to close it ends a query in its middle
        with closing(cursor.stream(for_psycopg(sql), values, size=size)) as rows:
            first = next(rows, None)
            if first is None:
                yield self.query(driver, sql, values).description, iter(())
            else:
                yield cursor.description, chain([first], rows)

    def refuses_for_good(self, error: BaseException) -> bool:
        """libpq has no codes for what a server answers to a connection; its English words tell."""
        return _FOR_GOOD.search(str(error)) is not None

    def is_lost(self, driver: Any) -> bool:
        """psycopg closes a connection that is broken."""
        return bool(driver.closed)

    def end_asking(self, driver: Any) -> bool:
        """psycopg itself ends a query only for Ctrl-C, and not for what another handler of signals raises."""
        import psycopg
        from psycopg.pq import TransactionStatus

        if driver.closed or driver.info.transaction_status != TransactionStatus.ACTIVE:
            return False
        with suppress(psycopg.Error):  # it may be away, and the connection is useless either way
            driver.cancel_safe(timeout=_CANCEL)
        return True

    def is_refusal(self, error: BaseException | None) -> bool:
        """https://www.postgresql.org/docs/current/errcodes-appendix.html, read_only_sql_transaction"""
        return getattr(error, "sqlstate", None) == "25006"

    def version(self, connection: Connection) -> int | None:
        """A server has no such number for a connection to watch."""
        return None

    def new_ids(self, session: Session, column: Column[Any], count: int) -> list[int]:
        """The sequence gives them, so that it gives them to nobody else."""
        sequence = func.pg_get_serial_sequence(column.table.name, column.name)
        drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, count).alias())
        return sorted(session.scalars(drawn))

    def add_rows(
        self,
        session: Session,
        model: type[DeclarativeBase],
        names: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """https://www.postgresql.org/docs/current/sql-copy.html"""
        with self._copying(session, model, names, len(rows)) as copy:
            for row in rows:
                copy.write_row(row)

    def add_integers(
        self, session: Session, model: type[DeclarativeBase], columns: Mapping[str, Array]
    ) -> None:
        """As bytes that the server takes as they are."""
        types = (model.__table__.c[name].type for name in columns)
        widths = [8 if isinstance(kind, BigInteger) else 4 for kind in types]
        count = len(next(iter(columns.values())))
        with self._copying(session, model, list(columns), count, " (FORMAT BINARY)") as copy:
            copy.write(binary_copy.START)
            for rows in binary_copy.rows_in_parts(columns, widths):
                copy.write(rows)
            copy.write(binary_copy.END)

    @contextmanager
    def _copying(
        self, session: Session, model: type[DeclarativeBase], names: Sequence[str], count: int, how: str = ""
    ) -> Iterator[Any]:
        """psycopg's object that takes so many rows of a table."""
        connection = session.connection()
        statement = f"COPY {_table_of(connection, model)} ({', '.join(names)}) FROM STDIN{how}"
        driver: Any = connection.connection.driver_connection
        try:
            with driver.cursor() as cursor:
                with cursor.copy(statement) as copy:
                    yield copy
                check_stored(model, cursor.rowcount, count)
        except connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(
                statement, None, error, connection.dialect.loaded_dbapi.Error
            ) from error

    def keys_aside(self, session: Session, model: type[DeclarativeBase]) -> list[str]:
        """The server would look every reference up, and make the index row by row.

        Others can use neither the table nor those that it refers to before the transaction ends. So the keys
        stay where somebody trains, or is in the middle of a transaction, or has things that need them.
        """
        connection = session.connection()
        name = _table_of(connection, model)
        running = text("SELECT EXISTS (SELECT 1 FROM runs WHERE status = :running)")
        if connection.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {name})")):  # noqa: S608
            return []
        if connection.scalar(running, {"running": RUNNING}):
            return []
        keys = connection.exec_driver_sql(
            "SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = %s::regclass AND contype IN ('p', 'f') ORDER BY contype",  # 'f' comes first
            (name,),
        ).all()
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
                for key, _ in keys:
                    connection.exec_driver_sql(f"ALTER TABLE {name} DROP CONSTRAINT {key}")
                connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
                if connection.scalar(running, {"running": RUNNING}):  # claimed just before the locks were had
                    raise _StayError
        except _StayError:
            return []
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _KEYS_STAY:
                raise
            return []
        return [f"ALTER TABLE {name} ADD CONSTRAINT {key} {what}" for key, what in reversed(keys)]

    def set_values(
        self, session: Session, model: type[DeclarativeBase], name: str, rows: Sequence[tuple[int, Any]]
    ) -> None:
        """Both as arrays: https://www.postgresql.org/docs/current/functions-array.html"""
        kind = model.__table__.c[name].type.compile(session.connection().dialect)
        statement = (
            f"UPDATE {model.__tablename__} AS old SET {name} = given.value "  # noqa: S608
            f"FROM unnest(%s::bigint[], %s::{kind}[]) AS given (id, value) WHERE old.id = given.id"
        )
        ids, values = zip(*rows, strict=True)
        session.connection().exec_driver_sql(statement, (list(ids), list(values)))

    @contextmanager
    def bulk(self, engine: Engine) -> Iterator[Session]:
        """Like any other transaction."""
        with Session(engine) as session, session.begin():
            yield session

    @contextmanager
    def migration(self, connection: Connection, name: str = "the database") -> Iterator[None]:
        """Tables are changed in place, with their references checked all along.

        The lock is the database's, and ends with the transaction:
        https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
        """
        plain = connection.execution_options(isolation_level="READ COMMITTED")
        with plain.begin():
            plain.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
            yield

    def mark(self, connection: Connection) -> None:
        """The table of revisions says it."""

    def check(self, connection: Connection, name: str) -> None:
        """The driver takes care of encodings."""

    def finish(self, connection: Connection) -> None:
        """Statistics for the planner, which has had no time yet to make them itself."""
        connection.exec_driver_sql("ANALYZE")

    def best_first(self, column: ColumnElement[Any], *, higher: bool) -> Order:
        """NULL comes last as its indices go, and first as they are gone backward."""
        return (column.is_not(None), column.desc()) if higher else (None, column.asc())

    def now(self, seconds: str) -> str:
        """https://www.postgresql.org/docs/current/functions-datetime.html"""
        return f"(clock_timestamp() AT TIME ZONE 'UTC' + make_interval(secs => {seconds}))"


def _table_of(connection: Connection, model: type[DeclarativeBase]) -> str:
    """The table with the rows of a model: that below the view of epochs, which a server before 18 has."""
    is_view = text("SELECT relkind = 'v' FROM pg_class WHERE oid = CAST(:name AS regclass)")
    name = model.__tablename__
    return f"stored_{name}" if connection.scalar(is_view, {"name": name}) else name
