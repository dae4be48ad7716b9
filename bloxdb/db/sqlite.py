"""What SQLite alone says: a file that this process opens itself."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Double,
    Engine,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DatabaseError as DriverError
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.schema import CreateColumn

from bloxdb.db.broken import no_more_broken
from bloxdb.db.codes import code_of
from bloxdb.db.damage import damage_told
from bloxdb.db.engines import ROWS_AT_ONCE, Engines, Order, Streamed, check_stored
from bloxdb.db.waiting import at_once, patiently, revive
from bloxdb.errors import DatabaseError

BEGIN = "bloxdb_begin"
"""An execution option: how SQLite begins a transaction, or "" for not at all."""

APPLICATION_ID = 0x424C4F58
"""What SQLite keeps in bytes 68 … 71 of the file: 'BLOX'."""

_WRITE = "BEGIN IMMEDIATE"
_BELOW_ALL = -1e308  # what any number is above, so that NULL is left out

TABLES = ("archs", "blocks", "devices", "envs", "epochs", "latencies", "recipes", "runs", "static_info")
"""The tables that rows are added to."""

_TRIGGERS = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
_LEAVES_OUT = re.compile(
    r"\braise\s*\(\s*ignore\s*\)|\b(?:delete\s+from|replace\s+into|insert\s+or\s+replace\s+into)\s+"
    rf"[\"'`\[]?(?:{'|'.join(TABLES)})\b",
    re.IGNORECASE,
)


class SQLite(Engines):
    """A file that this process opens itself."""

    AUTOCOMMIT: ClassVar = {BEGIN: ""}
    SNAPSHOT: ClassVar = {BEGIN: "BEGIN"}
    RECREATES: ClassVar = True
    DRIVER: ClassVar = "pysqlite"
    FORM: ClassVar = "sqlite:///PATH"
    INTEGRITY: ClassVar = "PRAGMA integrity_check"

    def other_kind(self, column: Column[Any]) -> tuple[str, ColumnElement[bool]] | None:
        """A column holds anything: https://www.sqlite.org/flextypegood.html"""
        kind = func.typeof(column)
        if isinstance(column.type, Integer | Boolean):
            return "integer", kind.not_in(("integer", "null"))
        if isinstance(column.type, Double):
            return "number", kind.not_in(("integer", "real", "null"))
        given = kind != "null"
        text = type_coerce(column, Text)
        if isinstance(column.type, DateTime):
            return "date", and_(given, or_(kind != "text", ~_is_date(text)))
        if isinstance(column.type, JSON):
            return "JSON", and_(given, or_(kind != "text", func.json_valid(text) == 0))
        return "text", kind.not_in(("text", "null"))

    def stored_texts(self, column: Column[Any]) -> Select[Any] | None:
        """What is no UTF-8 is stored all the same, and its driver does not read it."""
        return select(cast(type_coerce(column, Text), LargeBinary)).where(func.typeof(column) == "text")

    def as_stored(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """What is no plain text comes as bytes, which the driver reads whatever they are."""
        is_plain = and_(func.typeof(column) == "text", ~column.op("GLOB")("*[^ -~]*"))
        return case((is_plain, column), else_=cast(column, LargeBinary))

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

    def fetch_of(self, driver: Any, sql: str, values: Sequence[Any]) -> list[Any]:
        """The driver's own placeholder is ``?``."""
        with damage_told(getattr(driver, "named", None)):
            found: list[Any] = driver.execute(sql, values).fetchall()
        return found

    def query(self, driver: Any, sql: str, values: dict[str, Any]) -> Any:
        """The driver knows ``:name`` itself, and the connection's authorizer what a statement would do."""
        return driver.execute(sql, values)

    @contextmanager
    def stream(self, driver: Any, sql: str, values: dict[str, Any]) -> Iterator[Streamed]:
        """SQLite finds a row when it is asked for it."""
        with closing(self.query(driver, sql, values)) as cursor:
            parts = iter(partial(cursor.fetchmany, ROWS_AT_ONCE), [])
            yield cursor.description, chain.from_iterable(parts)

    def is_refusal(self, error: BaseException | None) -> bool:
        """A function that an authorizer refuses has no code of its own."""
        codes = (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY)
        return code_of(error) in codes or str(error).startswith("not authorized")

    def version(self, connection: Connection) -> int | None:
        """https://www.sqlite.org/pragma.html#pragma_data_version"""
        found: int = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        return found

    def new_ids(self, session: Session, column: Column[Any], count: int) -> list[int]:
        """Whoever writes is alone, and SQLite itself goes on after the highest."""
        first = (session.scalar(select(func.max(column))) or 0) + 1
        return list(range(first, first + count))

    def add_rows(
        self,
        session: Session,
        model: type[DeclarativeBase],
        names: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """The driver takes the tuples as they are."""
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {model.__tablename__} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
        done = session.connection().exec_driver_sql(statement, list(rows))
        check_stored(model, done.rowcount, len(rows))

    def set_values(
        self, session: Session, model: type[DeclarativeBase], name: str, rows: Sequence[tuple[int, Any]]
    ) -> None:
        """The driver takes the tuples as they are."""
        statement = f"UPDATE {model.__tablename__} SET {name} = ?2 WHERE id = ?1"  # noqa: S608
        session.connection().exec_driver_sql(statement, list(rows))

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
            driver: Any = connection.connection.driver_connection
            with damage_told(driver.named):
                _check_triggers(driver)
            start = time.monotonic()
            yield session
            session.flush()
            revive(connection, time.monotonic() - start)

    @contextmanager
    def migration(self, connection: Connection, name: str = "the database") -> Iterator[None]:
        """A batch operation makes tables anew, and with foreign keys on that deletes their children."""
        with foreign_keys_off(connection), no_more_broken(connection, name):
            yield

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

    def plainly(self, column: str) -> str:
        """Its planner begins with a condition whenever there is an index for it."""
        return f"({column} + 0)"

    def best_first(self, column: ColumnElement[Any], *, higher: bool) -> Order:
        """IS NOT NULL is a look at each row that is passed; where the order begins or ends costs nothing."""
        return (None, column.desc().nulls_last()) if higher else (column > _BELOW_ALL, column.asc())

    def now(self, seconds: str) -> str:
        """https://www.sqlite.org/lang_datefunc.html"""
        return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


def begin(connection: Connection) -> None:
    """Begin a transaction on SQLite, whose driver begins nothing by itself.

    Writers take the lock at once, so that none has to upgrade, which SQLite would refuse at random. The first
    of them switches the WAL on where the disk takes one, and whoever closes the file last switches it off.
    """
    driver: Any = connection.connection.driver_connection
    with damage_told(getattr(driver, "named", None)):  # SQLAlchemy tells no error of an event
        _begin(connection, driver)


def _begin(connection: Connection, driver: Any) -> None:
    words = connection.get_execution_options().get(BEGIN, _WRITE)
    if words == _WRITE:
        _check_triggers(driver)
        mode = "wal" if driver.takes_wal else "delete"
        if not driver.is_new and driver.first("PRAGMA journal_mode") != (mode,):
            _patiently(connection, f"PRAGMA journal_mode = {mode}")
    if words == _WRITE:
        # without a WAL it is the commit that would wait for readers, and not for long
        _patiently(connection, words if driver.is_new or driver.takes_wal else "BEGIN EXCLUSIVE")
    elif words:
        connection.exec_driver_sql(words)


def _check_triggers(driver: Any) -> None:
    """`DatabaseError` where a trigger of somebody's leaves out, or takes away, rows that are told as stored.

    One that refuses a row ends the statement with an error, and none is needed for that.
    """
    for name, table, sql in driver.execute(_TRIGGERS).fetchall():
        if table.lower() in TABLES and (found := _LEAVES_OUT.search(sql)):
            raise DatabaseError(
                f"{driver.named}: the trigger {name} of table {table} leaves rows out or takes them away "
                f"({' '.join(found[0].split())}), which would be told as stored; take it away "
                f"(DROP TRIGGER {name}), or let it refuse them (RAISE(ABORT, 'why'))"
            )


def _patiently(connection: Connection, sql: str) -> None:
    """Wait for what needs the lock; SQLAlchemy's error where it is given up."""
    driver: Any = connection.connection.driver_connection
    try:
        patiently(driver, sql)
    except sqlite3.DatabaseError as error:
        kind = OperationalError if isinstance(error, sqlite3.OperationalError) else DriverError
        raise kind(sql, None, error) from error


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
        with at_once(driver), suppress(OperationalError):  # somebody else is there: the WAL stays
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    yield


def is_untouched(connection: Connection, table: Table) -> bool:
    """Whether a table of a file is empty and as we made it, and nothing of somebody's speaks of it."""
    if connection.exec_driver_sql(f"SELECT EXISTS (SELECT 1 FROM main.{table.name})").scalar():  # noqa: S608
        return False
    names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA main.table_xinfo({table.name})")]
    if names != [column.name for column in table.columns]:
        return False
    others = f"SELECT count(*) FROM main.sqlite_master WHERE type <> 'table' AND sql LIKE '%{table.name}%'"  # noqa: S608
    temporary = others.replace("main.sqlite_master", "sqlite_temp_master")
    return not any(connection.exec_driver_sql(query).scalar() for query in (others, temporary))


def drop_columns(connection: Connection, columns: Sequence[Column[Any]]) -> bool:
    """Take columns that no row stores from their table; where that is refused, False, and nothing is changed.

    SQLite looks at the whole schema then, and refuses where somebody's view or trigger speaks of what is not
    there.
    """
    connection.exec_driver_sql("SAVEPOINT columns")
    try:
        for column in columns:
            connection.exec_driver_sql(f"ALTER TABLE main.{column.table.name} DROP COLUMN {column.name}")
    except OperationalError as error:
        if code_of(error.orig) != sqlite3.SQLITE_ERROR:
            raise
        connection.exec_driver_sql("ROLLBACK TO columns")
        return False
    finally:
        if not connection.invalidated:
            connection.exec_driver_sql("RELEASE columns")
    return True


def add_columns(connection: Connection, columns: Sequence[Column[Any]]) -> None:
    """Give a table of an SQLite file columns that no row stores."""
    for column in columns:
        words = CreateColumn(column).compile(dialect=sqlite.dialect())
        connection.exec_driver_sql(f"ALTER TABLE main.{column.table.name} ADD COLUMN {words}")


class StoredDate(sqlite.DATETIME):
    """A date as SQLite has it: a text, which SQL may have made another one."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """What makes a date of a text, or a `DatabaseError`."""
        return lambda value: None if value is None else _read(date_of, value, "a date")


def date_of(text: str) -> datetime:
    """The date, in UTC, that a text is in the form in which it is stored; `ValueError` for any other.

    Parameters
    ----------
    text
        What SQLite has.

    Examples
    --------
    >>> date_of("2026-05-04 03:02:01.5")
    datetime.datetime(2026, 5, 4, 3, 2, 1, 500000)
    """
    if not _DATE.fullmatch(text):
        raise ValueError("no date and time")
    return datetime.fromisoformat(text)


_DATE = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)


def _is_date(text: ColumnElement[str]) -> ColumnElement[bool]:
    """The same rule in SQL, whose functions take more, as the 31st of February."""
    whole, rest = func.substr(text, 1, 19), func.substr(text, 20)
    is_fraction = and_(func.trim(rest, "0123456789") == ".", func.substr(rest, 1, 1) == ".")
    is_right = func.strftime("%Y-%m-%d %H:%M:%S", whole, "+0 days") == func.replace(whole, "T", " ")
    return func.coalesce(
        and_(is_right, or_(rest == "", and_(is_fraction, func.length(rest).between(2, 7)))), false()
    )


def stored_json(text: str) -> Any:
    """What a text is as JSON; `DatabaseError` where it is none, which SQL may have made it."""
    return _read(_json_read, text, "JSON")


def _json_read(text: str) -> Any:
    """NaN and infinities are read, too; what is no text could not even be shown."""
    found = json.loads(text)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def json_of(text: str) -> Any:
    """What a text is as JSON that can be written again; `ValueError` for NaN, infinities and half letters.

    Parameters
    ----------
    text
        What SQLite has.

    Examples
    --------
    >>> json_of('{"lr": 0.1}')
    {'lr': 0.1}
    """
    found = json.loads(text)  # which takes NaN, and makes an infinity of 1e999
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    return found


def _read(read: Callable[[Any], Any], value: Any, kind: str) -> Any:
    try:
        return read(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise DatabaseError(
            f"the database has {value!r:.80} where {kind} is due; `bloxdb check` says where, and "
            "`bloxdb check --repair` makes a copy without it"
        ) from error
