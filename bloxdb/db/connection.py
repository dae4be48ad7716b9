"""Where a database is and how to connect to it: URLs, engines, pragmas."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import numpy as np
from sqlalchemy import URL, DateTime, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from bloxdb.arguments import plain
from bloxdb.db import access, forking, reading
from bloxdb.db.codes import kind_of, with_code
from bloxdb.db.damage import damage, damage_told, of_the_disk
from bloxdb.db.dialects import ENGINES, engines_of
from bloxdb.db.disks import disk_of
from bloxdb.db.names import beside, check_beside
from bloxdb.db.passwords import hidden_in
from bloxdb.db.sqlite import APPLICATION_ID, SQLite, StoredDate, begin, stored_json
from bloxdb.db.waiting import at_once, patiently
from bloxdb.errors import DatabaseError, DatabaseNotFoundError, NotADatabaseError, spelled
from bloxdb.extras import needed
from bloxdb.files import absolute, expanded, what_is

for _scalar in set(np.sctypeDict.values()):
    # SQLite's driver takes a NumPy number for its bytes, and bytes are greater than every number
    if issubclass(_scalar, np.number | np.bool_):
        sqlite3.register_adapter(_scalar, plain)

_FORMS = f"write a path, {' or '.join(engines.FORM for engines in ENGINES.values())}"
_OTHER_NAMES = {"postgres": "postgresql"}  # what libpq and many hosters write
_URL = re.compile(r"[\w+.-]+://")
_SCHEMES = "|".join([*ENGINES, *_OTHER_NAMES])
_HALF_URL = re.compile(rf"((?:{_SCHEMES})(?:\+\w+)?):(.*)", re.IGNORECASE | re.DOTALL)
_LAST_PORT = 65_535
_JOURNAL_BYTES = 16 << 20  # that a WAL keeps after somebody's long reading has let it grow
_TRIES, _PAUSE = 10, 0.05  # seconds, for one who may only read while another closes
_PASSING = 1.0  # seconds that whoever closes waits; who locks a file for longer is still to close it
_CACHE_OF_NEW_KIB = 16_384  # of a file that is being made, which is written in order
_CACHE_KIB = 65_536  # of pages; the index that ranks runs has 5 MB, and 64 MiB hold all that queries touch


def locate(path_or_url: str | os.PathLike[str] | None) -> URL:
    """The URL that `open` means; a file's path in it is absolute, so that `os.chdir` changes nothing.

    A blank text is as None, and so is a blank ``$BLOXDB_URL``: that is how a shell tells what is not set.

    Raises
    ------
    DatabaseNotFoundError
        It is a URL of something that is no database of ours, or no text at all; the error has the right form.
    NotADatabaseError
        It is a folder, a pipe, a device or a socket.
    """
    if not isinstance(path_or_url, str | os.PathLike | None):
        kind = type(path_or_url).__name__
        raise DatabaseNotFoundError(
            f"a database is named by a text, not by an object of type {kind}; {_FORMS}"
        )
    given = "" if path_or_url is None else os.fspath(path_or_url)
    place = given if given.strip() else os.environ.get("BLOXDB_URL", "")
    if not place.strip():
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
    if backend not in ENGINES:
        raise DatabaseNotFoundError(f"{backend!r} databases are not supported; {_FORMS}")
    ours = ENGINES[backend].DRIVER
    if driver not in ("", ours):
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
    return url.set(drivername=f"{backend}+{ours}")


def locate_other(path_or_url: str | os.PathLike[str] | None, what: str) -> URL:
    """The URL of a database beside the one that is asked, for which nothing stands where it is blank.

    Parameters
    ----------
    path_or_url
        A file, or a URL, as `locate` takes them.
    what
        What it is, for the error, as ``'a database to merge'``.

    Raises
    ------
    DatabaseNotFoundError
        It is blank or None, or as `locate` says.
    NotADatabaseError
        As `locate` says.
    """
    given = "" if path_or_url is None else path_or_url
    if isinstance(given, str | os.PathLike) and not os.fspath(given).strip():
        raise DatabaseNotFoundError(
            f"{what} is named by its path, not by {spelled(path_or_url, 80)}: only the database that is "
            "asked may be left blank"
        )
    return locate(path_or_url)


def _file_at(path: str) -> URL:
    """The URL of a file that was named by its path."""
    if found := _HALF_URL.match(path):
        scheme, rest = found.groups()
        slashes = "///" if scheme.startswith("sqlite") and not rest.startswith("//") else "//"
        right = f"{scheme}:{slashes}{rest.lstrip('/') if slashes == '//' else rest}"
        raise DatabaseNotFoundError(f"{hidden_in(path)} is not a database URL; write {hidden_in(right)}")
    place = expanded(path)
    try:
        str(place).encode()
        place.resolve()
    except UnicodeEncodeError as error:
        raise NotADatabaseError(
            f"{str(place)!a} is no name for a database: SQLite takes UTF-8 only"
        ) from error
    except (OSError, RuntimeError) as error:
        raise NotADatabaseError(f"{place} is a link that leads back to itself") from error
    if what := what_is(place):
        near = place if place.is_dir() else place.parent
        raise NotADatabaseError(
            f"{place} cannot be read as a database: it is {what}; name a file, such as {near / 'blox.db'}"
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
    return URL.create("sqlite", database=str(absolute(path)))


def path_of(url: URL) -> Path | None:
    """The file of a URL; None for a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def make_engine(
    url: URL, *, read_only: bool, is_new: bool = False, known: access.KnownFile | None = None
) -> Engine:
    """An engine whose connections have our pragmas; `MissingExtraError` without the driver.

    As many threads can use it at once as there are: each takes a connection, and gives it back at its end.

    Parameters
    ----------
    url
        Where the database is.
    read_only
        Refuse writing.
    is_new
        Whether it is a file that is being made, which nobody else knows; then it need not be there yet.
    known
        The file that was there at first; what is there now if None.
    """
    path = path_of(url)
    if path is None:
        engines = engines_of(url)
        arguments = engines.arguments(url, read_only=read_only)
        with needed(*engines.NEEDS, NoSuchModuleError):
            engine = create_engine(url, connect_args=arguments, max_overflow=-1, pool_pre_ping=True)
        forking.watch(engine)
        return engine
    access.check_version()
    known = None if is_new else known or access.KnownFile(path)

    def check(*_: object) -> None:
        if known is not None:
            known.check()

    def connect() -> forking.Connection:
        check()
        return _connect(path, read_only, is_new)

    engine = create_engine(url, creator=connect, max_overflow=-1, json_deserializer=stored_json)
    engine.dialect.colspecs = {**engine.dialect.colspecs, DateTime: StoredDate}
    event.listen(engine, "begin", begin)
    event.listen(engine, "handle_error", partial(_refused, path, is_new), retval=True)
    for moment in ("checkout", "commit"):  # of connections of the pool, too
        event.listen(engine, moment, check)
    forking.watch_engine(engine)
    return engine.execution_options(**SQLite.SNAPSHOT) if read_only else engine


def _refused(path: Path, is_new: bool, context: ExceptionContext) -> BaseException | None:
    """An error of ours where SQLite finds the file damaged or its disk fails, whatever asked for it, a lazy
    attribute too; of a new one, which has another name yet, whoever makes it says it.
    """
    error = context.original_exception
    said = damage(error, path) or (None if is_new else of_the_disk(error, path))
    return None if said is None else DatabaseError(said)


def query_engine(url: URL, *, is_new: bool = False, known: access.KnownFile | None = None) -> Engine:
    """An engine for queries of a caller's own, on which nothing can be written; see `bloxdb.db.reading`."""
    engine = make_engine(url, read_only=True, is_new=is_new, known=known)
    if path_of(url) is not None:
        event.listen(engine, "connect", lambda driver, _: driver.set_authorizer(reading.authorize))
    return engine


def _connect(
    path: Path, read_only: bool, is_new: bool = False, wait: float | None = None
) -> forking.Connection:
    """A connection to a file; only SQLite ever opens one, since closing any other handle ends our locks.

    One that may write waits for a lock for so many seconds, or as long as another has it.
    """
    if is_new and not path.exists():
        path.touch()  # SQLite alone would give it another mode than the umask says
    if is_new or not read_only or access.is_writable(path):
        # who reads, too: whoever closes a database last removes its WAL, if he may write
        connection = _opened(path, access.WRITING)
    else:
        connection = _opened_for_reading(path)
    connection.is_new = is_new
    connection.takes_wal = disk_of(path).takes_wal
    try:
        _settle(connection, read_only, wait)
    except sqlite3.OperationalError as error:
        connection.close()
        if is_new or not access.lacks_room(error) or not _bring_in(path):
            raise
        return _connect(path, read_only, wait=wait)
    except UnicodeDecodeError as error:  # SQLite quotes what is no text any more
        connection.close()
        corrupt = sqlite3.DatabaseError("the list of its tables is damaged")
        raise with_code(corrupt, sqlite3.SQLITE_CORRUPT) from error
    return connection


def _settle(connection: forking.Connection, read_only: bool, wait: float | None) -> None:
    """Our pragmas, most of which read the file."""
    if not (read_only or connection.is_new):
        patiently(connection, "SELECT 1 FROM sqlite_master LIMIT 1", wait)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_OF_NEW_KIB if connection.is_new else _CACHE_KIB}")
    if connection.is_new:
        connection.execute("PRAGMA journal_mode = MEMORY")  # after an error nobody needs the file
        connection.execute("PRAGMA synchronous = OFF")
    else:
        # a commit is on the disk: the WAL, or the folder from which a journal was taken
        connection.execute("PRAGMA synchronous = EXTRA")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")


def _bring_in(path: Path) -> bool:
    """Bring a WAL that was left into the file, where a full disk has no room for its index.

    Whoever has the file to himself needs none. True if there is no WAL any more.
    """
    with (
        suppress(sqlite3.Error),
        closing(_opened(path, access.WRITING)) as connection,
        at_once(connection),
    ):
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        return bool(connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",))
    return False


def _opened(path: Path, mode: str) -> forking.Connection:
    check_beside(path)
    forking.take_locks(path.resolve())
    connection = sqlite3.connect(
        access.uri_of(path, mode),
        uri=True,
        isolation_level=None,
        timeout=forking.AT_ONCE,
        check_same_thread=False,
        factory=forking.Connection,
    )
    connection.named = path
    connection.path = path.resolve()  # one file may be known by several names
    connection.thread = threading.get_ident()
    forking.watch(connection)
    return connection


def _opened_for_reading(path: Path) -> forking.Connection:
    """A connection of somebody who may not write; it makes no file, which would be in the owner's way."""
    wal, index = beside(path, "-wal"), beside(path, "-shm")
    for _ in range(_TRIES):
        if index.exists() or not access.has_wal(path):
            return _opened(path, access.READ_ONLY)
        if access.is_on_read_only_medium(path) and not access.has_content(wal):
            return _opened(path, access.UNCHANGING)
        time.sleep(_PAUSE)  # whoever wrote is perhaps just going, and takes the WAL with him
    raise sqlite3.OperationalError(access.left_on(path))


def rest(path: Path) -> None:
    """Leave a file without a WAL, if this process may do that and nobody has it open."""
    if not access.is_writable(path):
        return
    with (
        suppress(sqlite3.Error),
        closing(_connect(path, read_only=False, wait=_PASSING)) as connection,
        at_once(connection),
    ):
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA journal_mode = DELETE")


def share(known: access.KnownFile) -> None:
    """Have a file in WAL mode before somebody reads for long, so that others can write meanwhile.

    Only its owner has it so: the files that SQLite makes for it belong to whoever comes first. Where another
    reads without a WAL just now, it stays so.
    """
    known.check()
    path = known.path
    if beside(path, "-wal").exists() or not disk_of(path).takes_wal:
        return
    if access.is_writable(path) and path.stat().st_uid == os.geteuid():
        with (
            damage_told(path),
            suppress(sqlite3.OperationalError),
            closing(_connect(path, read_only=False, wait=_PASSING)) as connection,
            at_once(connection),
        ):
            connection.execute("PRAGMA journal_mode = WAL")


def application_id(path: Path) -> int | None:
    """What an SQLite file says of the program that it belongs to; `sqlite3.DatabaseError` if it is none.

    That never changes, so no lock is taken, and nothing is made beside the file. Without a lock it can be
    seen half-written, by a process that writes now or that was killed as it did. It is None then: whether the
    file is whole shows when it is opened for reading.
    """
    with closing(sqlite3.connect(access.uri_of(path, access.UNCHANGING), uri=True)) as connection:
        try:
            return int(connection.execute("PRAGMA application_id").fetchone()[0])
        except sqlite3.DatabaseError as error:
            if kind_of(error) == sqlite3.SQLITE_CORRUPT:
                return None
            raise


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
        if kind_of(error) != sqlite3.SQLITE_NOTADB:
            raise DatabaseError(f"{path}: {error}") from error
        raise NotADatabaseError(f"{path} is not an SQLite file") from error
    if found not in (APPLICATION_ID, None):
        if not path.stat().st_size:
            raise NotADatabaseError(
                f"{path} is empty; if nobody is to write to it any more, remove it, and create a database "
                f"with `bloxdb init --db {path}`"
            )
        raise NotADatabaseError(f"{path} is an SQLite file, but not a bloxdb database")
