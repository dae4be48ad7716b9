"""Where a database is and how to connect to it: URLs, engines, pragmas, transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from bloxdb.errors import DatabaseNotFoundError, MissingExtraError

BEGIN = "bloxdb_begin"
"""An execution option: how SQLite begins a transaction, or "" for not at all."""

APPLICATION_ID = 0x424C4F58
"""What SQLite keeps in bytes 68 … 71 of the file: 'BLOX'."""

_BUSY_MS = 30_000
_READ_ONLY_SERVER = {"options": "-c default_transaction_read_only=on"}


def locate(path_or_url: str | os.PathLike[str] | None) -> URL:
    """The URL that `open` means."""
    place = path_or_url or os.environ.get("BLOXDB_URL")
    if place is None:
        import platformdirs

        return file_url(platformdirs.user_data_path("bloxdb") / "blox.db")
    if "://" not in os.fspath(place):
        return file_url(Path(place).expanduser())
    try:
        url = make_url(os.fspath(place))
    except ArgumentError as error:
        raise DatabaseNotFoundError(f"{place!r} is not a database URL") from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseNotFoundError(
            f"{url.get_backend_name()!r} databases are not supported; use SQLite or PostgreSQL"
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseNotFoundError("a database in memory cannot be opened again; name a file")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url


def file_url(path: Path) -> URL:
    """The URL of an SQLite file."""
    return URL.create("sqlite", database=str(path))


def path_of(url: URL) -> Path | None:
    """The SQLite file of a URL; None for a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def make_engine(url: URL, *, read_only: bool) -> Engine:
    """An engine whose connections have our pragmas; `MissingExtraError` without the driver."""
    path = path_of(url)
    if path is None:
        try:
            return create_engine(url, connect_args=_READ_ONLY_SERVER if read_only else {})
        except (ImportError, NoSuchModuleError) as error:
            raise MissingExtraError(f"{error}; PostgreSQL needs: pip install 'bloxdb[postgresql]'") from error
    engine = create_engine(url, creator=lambda: _connect_sqlite(path, read_only))
    event.listen(engine, "begin", _begin_sqlite)
    return engine.execution_options(**{BEGIN: "BEGIN"}) if read_only else engine


def _connect_sqlite(path: Path, read_only: bool) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    if read_only:
        uri += "?mode=ro"
        beside = path.with_name(path.name + "-wal")
        if not os.access(path.parent, os.W_OK) and not beside.exists():
            uri += "&immutable=1"  # nobody can write there, and SQLite cannot make its lock files
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -65536")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def application_id(path: Path) -> int:
    """What an SQLite file says of the program that it belongs to; `sqlite3.DatabaseError` if it is none."""
    with closing(_connect_sqlite(path, read_only=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


@contextmanager
def unchecked(connection: Connection) -> Iterator[None]:
    """A transaction on SQLite that does not check foreign keys; undone after an error.

    Files that were attached meanwhile are detached at its end. The connection must be in autocommit mode.
    """
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
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
    """Write into the file itself where nobody else has it open, instead of into a WAL first.

    Readers that come meanwhile wait for the end.
    """
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        with suppress(OperationalError):  # somebody else is there: the WAL stays
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")
        yield
    finally:
        if connection.invalidated:
            with connection.engine.execution_options(**{BEGIN: ""}).connect() as another:
                _back_to_wal(another)
        else:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")
            _back_to_wal(connection)


def _back_to_wal(connection: Connection) -> None:
    with suppress(OperationalError):  # somebody reads: it works as it is, and the next import tries again
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    """The driver begins nothing by itself; writers take the lock at once, so that none has to upgrade."""
    begin = connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE")
    if begin:
        connection.exec_driver_sql(begin)
