"""Where a database is and how to connect to it: URLs, engines, pragmas."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from bloxdb.arguments import plain
from bloxdb.db import forking, reading
from bloxdb.db.dialects import APPLICATION_ID, BUSY_MS, NAMES, SQLite, begin
from bloxdb.db.passwords import hidden_in
from bloxdb.errors import DatabaseError, DatabaseNotFoundError, MissingExtraError, NotADatabaseError
from bloxdb.files import expanded

for _scalar in set(np.sctypeDict.values()):
    # SQLite's driver takes a NumPy number for its bytes, and bytes are greater than every number
    if issubclass(_scalar, np.number | np.bool_):
        sqlite3.register_adapter(_scalar, plain)

_READ_ONLY_SERVER = {"options": "-c default_transaction_read_only=on"}
_FORMS = "write a path, sqlite:///PATH or postgresql://USER@HOST:PORT/NAME"
_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg"}
_OTHER_NAMES = {"postgres": "postgresql"}  # what libpq and many hosters write
_URL = re.compile(r"[\w+.-]+://")
_HALF_URL = re.compile(r"((?:sqlite|postgres(?:ql)?)(?:\+\w+)?):(.*)", re.IGNORECASE | re.DOTALL)
_LAST_PORT = 65_535
_CACHE_KIB = 65_536  # of pages; the index that ranks runs has 5 MB, and 64 MiB hold all that queries touch


def locate(path_or_url: str | os.PathLike[str] | None) -> URL:
    """The URL that `open` means; a file's path in it is absolute, so that `os.chdir` changes nothing.

    An empty text is as None, and so is an empty ``$BLOXDB_URL``: that is how a shell tells what is not set.

    Raises
    ------
    DatabaseNotFoundError
        It is a URL of something that is no database of ours, or no text at all; the error has the right form.
    NotADatabaseError
        It is a folder.
    """
    if not isinstance(path_or_url, str | os.PathLike | None):
        kind = type(path_or_url).__name__
        raise DatabaseNotFoundError(
            f"a database is named by a text, not by an object of type {kind}; {_FORMS}"
        )
    place = os.fspath(path_or_url or os.environ.get("BLOXDB_URL") or "")
    if not place:
        import platformdirs

        return file_url(platformdirs.user_data_path("bloxdb") / "blox.db")
    if not _URL.match(place):
        return _file_at(place)
    try:
        url = make_url(place)
    except ArgumentError as error:
        raise DatabaseNotFoundError(f"{hidden_in(place)} is not a database URL; {_FORMS}") from error
    except ValueError as error:
        raise DatabaseNotFoundError(
            f"{hidden_in(place)} has a port that is no number; {_FORMS}, and in a password / as %2F, : as %3A"
        ) from error
    backend, _, driver = url.drivername.lower().partition("+")
    backend = _OTHER_NAMES.get(backend, backend)
    if backend not in NAMES:
        raise DatabaseNotFoundError(f"{backend!r} databases are not supported; {_FORMS}")
    if driver not in ("", _DRIVERS[backend]):
        right = place.replace(f"+{url.drivername.partition('+')[2]}", "", 1)
        raise DatabaseNotFoundError(
            f"bloxdb does not use the driver {driver!r}; leave it out: {hidden_in(right)}"
        )
    if backend == "sqlite":
        return _file_of(url, place)
    if url.port is not None and not 0 < url.port <= _LAST_PORT:
        raise DatabaseNotFoundError(
            f"{hidden_in(place)} has the port {url.port}, and ports go from 1 to {_LAST_PORT}; {_FORMS}"
        )
    return url.set(drivername=f"{backend}+{_DRIVERS[backend]}")


def _file_at(path: str) -> URL:
    """The URL of a file that was named by its path."""
    if found := _HALF_URL.match(path):
        scheme, rest = found.groups()
        slashes = "///" if scheme.startswith("sqlite") and not rest.startswith("//") else "//"
        right = f"{scheme}:{slashes}{rest.lstrip('/') if slashes == '//' else rest}"
        raise DatabaseNotFoundError(f"{hidden_in(path)} is not a database URL; write {hidden_in(right)}")
    place = expanded(path)
    if place.is_dir():
        raise NotADatabaseError(
            f"{place} cannot be read as a database: it is a folder; name a file, such as {place / 'blox.db'}"
        )
    return file_url(place)


def _file_of(url: URL, text: str) -> URL:
    """The URL of a file that was named by one."""
    if url.host or url.username:
        path = hidden_in(text).partition("://")[2]
        raise DatabaseNotFoundError(
            f"{hidden_in(text)} names a host, and SQLite has none; write sqlite:///{path}, with three slashes"
        )
    if url.query:
        raise DatabaseNotFoundError(
            f"{hidden_in(text)} has options after its '?', and none is taken; "
            f"write sqlite:///{url.database or 'PATH'}"
        )
    if url.database in (None, "", ":memory:"):
        raise DatabaseNotFoundError("a database in memory cannot be opened again; name a file")
    return _file_at(url.database)


def file_url(path: Path) -> URL:
    """The URL of an SQLite file."""
    return URL.create("sqlite", database=str(path.absolute()))


def path_of(url: URL) -> Path | None:
    """The file of a URL; None for a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def make_engine(url: URL, *, read_only: bool) -> Engine:
    """An engine whose connections have our pragmas; `MissingExtraError` without the driver."""
    path = path_of(url)
    if path is None:
        try:
            engine = create_engine(url, connect_args=_READ_ONLY_SERVER if read_only else {})
        except (ImportError, NoSuchModuleError) as error:
            raise MissingExtraError(f"{error}; PostgreSQL needs: pip install 'bloxdb[postgresql]'") from error
        forking.watch(engine)
        return engine
    engine = create_engine(url, creator=lambda: _connect(path, read_only))
    event.listen(engine, "begin", begin)
    forking.watch_engine(engine)
    return engine.execution_options(**SQLite.SNAPSHOT) if read_only else engine


def query_engine(url: URL) -> Engine:
    """An engine for queries of a caller's own, on which nothing can be written; see `bloxdb.db.reading`."""
    engine = make_engine(url, read_only=True)
    if path_of(url) is not None:
        event.listen(engine, "connect", lambda driver, _: driver.set_authorizer(reading.authorize))
    return engine


def _connect(path: Path, read_only: bool) -> forking.Connection:
    """A connection to a file; only SQLite ever opens one, since closing any other handle ends our locks."""
    uri = f"{path.as_uri()}?{_reading_mode(path)}" if read_only else path.as_uri()
    connection = sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=BUSY_MS / 1000,
        check_same_thread=False,
        factory=forking.Connection,
    )
    connection.path = path
    connection.thread = threading.get_ident()
    forking.watch(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def is_writable(path: Path) -> bool:
    """Whether SQLite can write a file, for which it needs to make others beside it."""
    real = path.resolve()
    return os.access(real, os.W_OK) and os.access(real.parent, os.W_OK)


def check_access(path: Path | None, *, read_only: bool) -> None:
    """`DatabaseError` for a file that cannot be opened so as things are, before SQLite says it in its way."""
    if path is None or is_writable(path):
        return
    if not read_only:
        raise DatabaseError(
            f"nothing can be written to {path}, or beside it; to read it, open it with read_only=True"
        )
    wal, index = _beside(path, "-wal"), _beside(path, "-shm")
    if _has_content(wal) and not index.exists() and not os.access(path.resolve().parent, os.W_OK):
        raise DatabaseError(
            f"what was written last to {path} is in {wal.name}, which needs a folder that can be written; "
            "copy both files into one"
        )


def _reading_mode(path: Path) -> str:
    """How SQLite opens a file for those who only read.

    Whoever closes a database last removes its WAL, if he may write; so they open it for writing too, where
    they can, and a pragma keeps them from it.
    """
    if is_writable(path):
        return "mode=rw"
    if _has_content(_beside(path, "-wal")):
        return "mode=ro"  # somebody writes, or was stopped as he did: what is in the WAL counts
    return "mode=ro&immutable=1"  # nobody writes there, and SQLite makes no files for its locks


def _beside(path: Path, suffix: str) -> Path:
    real = path.resolve()  # SQLite follows links, too
    return real.with_name(real.name + suffix)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def application_id(path: Path) -> int:
    """What an SQLite file says of the program that it belongs to; `sqlite3.DatabaseError` if it is none.

    That never changes, so no lock is taken, and nothing is made beside the file.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


def check_file(url: URL) -> None:
    """Whether an SQLite file is one of ours; nothing for a server.

    Only SQLite opens it: closing a file ends all locks that the process has on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2), and this process may have the same database open.

    Raises
    ------
    DatabaseNotFoundError
        There is no file.
    NotADatabaseError
        It is another file.
    """
    path = path_of(url)
    if path is None:
        return
    if not path.exists():
        raise DatabaseNotFoundError(
            f"there is no database at {path}; create one with `bloxdb init --db {path}` or "
            "bloxdb.create(path)"
        )
    try:
        found = application_id(path)
    except sqlite3.OperationalError as error:
        raise NotADatabaseError(f"{path} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise DatabaseError(f"{path}: {error}") from error
        raise NotADatabaseError(f"{path} is not an SQLite file") from error
    if found != APPLICATION_ID:
        raise NotADatabaseError(f"{path} is an SQLite file, but not a bloxdb database")
