"""What a query of a caller's own may do, which is to read, and how its text is taken.

One rule for `Database.rows`, the command `sql` and the options ``--sql``: a query never changes anything, not
the database, not a setting, and no other file. On SQLite each statement is looked at when it is prepared, by
what it would do and not by how it is written (https://www.sqlite.org/c3ref/set_authorizer.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bloxdb.arguments import plain
from bloxdb.db.dialects import engines_of
from bloxdb.db.engines import NO_ROWS, ONLY_READS
from bloxdb.errors import DatabaseError, one_line, spelled

_ACTIONS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_FORBIDDEN = {"load_extension", "fts3_tokenizer"}  # functions that bring foreign code in

_PRAGMAS = {  # what they tell without an argument; with one, they set it
    *("application_id", "auto_vacuum", "busy_timeout", "cache_size", "cache_spill", "collation_list"),
    *("compile_options", "data_version", "database_list", "encoding", "foreign_keys", "freelist_count"),
    *("function_list", "journal_mode", "journal_size_limit", "locking_mode", "max_page_count", "mmap_size"),
    *("module_list", "page_count", "page_size", "pragma_list", "query_only", "read_uncommitted"),
    *("recursive_triggers", "schema_version", "secure_delete", "synchronous", "temp_store", "threads"),
    *("user_version", "wal_autocheckpoint"),
}
_PRAGMAS_OF = {  # what they tell of their argument, or of everything
    *("foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check"),
    *("quick_check", "table_info", "table_list", "table_xinfo"),
}


class Answer(NamedTuple):
    """What a query gave.

    Attributes
    ----------
    names
        The columns, each name once: of two columns ``id`` the second is ``id_1``.
    rows
        A tuple a row.
    """

    names: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Stream(NamedTuple):
    """What a query gives, row by row.

    Attributes
    ----------
    names
        The columns, each name once, as those of `Answer`.
    rows
        A tuple a row, each once.
    """

    names: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Whether a part of a statement only reads, for `sqlite3.Connection.set_authorizer`."""
    if action in _ACTIONS:
        allowed = action != sqlite3.SQLITE_FUNCTION or second not in _FORBIDDEN
    elif action == sqlite3.SQLITE_PRAGMA:
        name = str(first).lower()
        allowed = name in _PRAGMAS_OF or (name in _PRAGMAS and second is None)
    else:
        # a function that gives rows, as json_each, declares its columns so; nobody can write there
        allowed = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def query_of(sql: object, values: dict[str, object]) -> tuple[str, dict[str, Any]]:
    """A query of a caller's, and its values as a driver knows them; `DatabaseError` if it is no text."""
    if not isinstance(sql, str):
        raise DatabaseError(
            f"a query is text that begins with SELECT, not {spelled(sql, 80)}; those of SQLAlchemy go to "
            "rows_of"
        )
    return sql, {name: plain(value) for name, value in values.items()}


def ask(engine: Engine, sql: str, values: dict[str, Any]) -> Answer:
    """What a query gives, on an engine that `bloxdb.db.connection.make_engine` made for queries.

    Raises
    ------
    DatabaseError
        It is no SQL that the engine knows, or none that only reads, or a value is missing or of a type that
        the engine does not know.
    """
    with _told(engine), _driver(engine) as driver:
        cursor = engines_of(engine.dialect).query(driver, sql, values)
        if cursor.description is None:
            raise DatabaseError(NO_ROWS)
        return Answer(distinct(column[0] for column in cursor.description), cursor.fetchall())


@contextmanager
def stream(engine: Engine, sql: str, values: dict[str, Any]) -> Iterator[Stream]:
    """Like `ask`, with rows that come as they are asked for, in flat memory, until the end of the block."""
    with _driver(engine) as driver, ExitStack() as asking:
        with _told(engine):
            asked = engines_of(engine.dialect).stream(driver, sql, values)
            description, rows = asking.enter_context(asked)
        if description is None:
            raise DatabaseError(NO_ROWS)
        yield Stream(distinct(column[0] for column in description), _told_rows(engine, rows))


def _told_rows(engine: Engine, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    with _told(engine):  # and not what whoever gets them does
        yield from rows


@contextmanager
def _driver(engine: Engine) -> Iterator[Any]:
    """A connection of the driver, on which nothing is ever committed."""
    connection = engine.raw_connection()
    try:
        with engines_of(engine.dialect).asking(connection, connection.driver_connection) as driver:
            yield driver
    finally:
        connection.close()


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """What the driver refuses, in its words or in ours."""
    failures = (
        engine.dialect.loaded_dbapi.Error,
        SQLAlchemyError,
        sqlite3.Warning,
        OverflowError,
        UnicodeError,
    )
    try:
        yield
    except failures as error:
        said = ONLY_READS if engines_of(engine.dialect).is_refusal(error) else one_line(error)
        raise DatabaseError(said) from error


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names of columns, each once.

    Examples
    --------
    >>> distinct(["id", "seed", "id", "id_1"])
    ('id', 'seed', 'id_2', 'id_1')
    """
    given = list(names)
    if len(set(given)) == len(given):
        return tuple(given)
    found: list[str] = []
    for name in given:
        new, count = name, 0
        while new in found or (count and new in given):
            count += 1
            new = f"{name}_{count}"
        found.append(new)
    return tuple(found)
