"""Whole copies of a database, while others may be writing it."""

from __future__ import annotations

import math
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import Connection, text

from bloxdb.counts import Report
from bloxdb.db.access import new_file, refusal
from bloxdb.db.connection import locate_other, path_of
from bloxdb.db.database import Database, asked
from bloxdb.db.passwords import for_tools, hidden
from bloxdb.db.watching import watched
from bloxdb.errors import DatabaseError, DatabaseNotFoundError
from bloxdb.progress import Progress

_PAGES = 1024  # copied at once: 4 MiB
_STEPS = 100_000  # of SQLite's machine between two looks at how far a compact copy is


@dataclass(frozen=True, repr=False)
class BackupReport(Report):
    """What `backup` wrote.

    Attributes
    ----------
    path
        The copy.
    bytes
        How large it is.
    """

    path: Path
    bytes: int

    def __str__(self) -> str:
        return f"{self.path} has a copy of {self.bytes:,} bytes"


def backup(
    path: str | os.PathLike[str],
    db: Database | None = None,
    *,
    compact: bool = False,
    progress: Progress | None = None,
) -> BackupReport:
    """Copy a database into a new file, as it is at one moment; who writes it meanwhile goes on.

    A copy of the file by other means may lack what is in the files that SQLite has beside it, or be half of
    one state and half of another. This one appears whole, on the disk, or not at all.

    Parameters
    ----------
    path
        The new file; folders that are missing are made.
    db
        The database; the current one if not given.
    compact
        Write the rows anew, without the room of what was removed, which takes longer.
    progress
        Called with bytes that are done, all bytes, and what is going on.

    Returns
    -------
    BackupReport
        The copy and its size.

    Raises
    ------
    DatabaseExistsError
        There is a file already; nothing was changed.
    DatabaseError
        The database is on a server, or cannot be read, or the copy cannot be written.
    """
    db = asked(db)
    target = _target(path)
    if db.path is None:
        raise DatabaseError(
            db.engines.BACKUP.format(name=db.name, target=quote(str(target)), url=quote(for_tools(db.url)))
        )
    with new_file(target) as temporary:
        temporary.touch()  # SQLite alone would give it another mode than the umask says
        write = write_compact if compact else _write_pages
        try:
            write(db, temporary, progress)
        except DatabaseError as error:
            raise type(error)(f"{target} was not made: {error}") from error
        close_to(temporary, db.path)
        size = temporary.stat().st_size
    return BackupReport(target, size)


def _target(path: str | os.PathLike[str]) -> Path:
    url = locate_other(path, "a backup")
    target = path_of(url)
    if target is None:
        raise DatabaseNotFoundError(f"a backup is a file; name it by its path, not by {hidden(url)}")
    return target


def close_to(copy: Path, original: Path) -> None:
    """Let nobody else read a copy than may read the original."""
    mode = stat.S_IMODE(original.stat().st_mode) & stat.S_IMODE(copy.stat().st_mode)
    copy.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)


def write_compact(db: Database, copy: Path, progress: Progress | None = None) -> None:
    """Write the rows of a database in a file into another, without the room of what was removed.

    Parameters
    ----------
    db
        The database.
    copy
        An empty file that nobody else knows.
    progress
        Called with bytes.
    """
    db.share()
    with db.autocommit() as connection:
        total = _size(connection)

        def tell() -> None:
            if progress is not None:
                progress(min(copy.stat().st_size, total), total, "writing")

        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA query_only = OFF")  # which refuses another file, too
        try:
            with watched(connection, tell, _STEPS):
                connection.execute(text("VACUUM INTO :copy"), {"copy": str(copy)})
        finally:
            if db.read_only and not connection.invalidated:
                driver.execute("PRAGMA query_only = ON")


def _write_pages(db: Database, copy: Path, progress: Progress | None) -> None:
    """Copy page after page. What is read is one snapshot, so that no writer lets the copy begin anew."""
    with db.snapshot() as session, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        session.execute(text("SELECT 1 FROM blocks LIMIT 1"))  # this begins it
        connection = session.connection()
        page = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
        source: Any = connection.connection.driver_connection

        def tell(_: int, left: int, total: int) -> None:
            if progress is not None:
                progress((total - left) * page, total * page, "copying")

        target.execute("PRAGMA journal_mode = OFF")  # after an error nobody needs the file
        target.execute("PRAGMA synchronous = OFF")
        try:
            source.backup(target, pages=_PAGES, progress=tell)
            target.execute("PRAGMA journal_mode = DELETE")  # the header of a file that others write says WAL
        except sqlite3.Error as error:
            said = refusal(error, db.path) or f"{db.name} cannot be copied: {error}"
            raise DatabaseError(said) from error


def _size(connection: Connection) -> int:
    """The bytes of a database."""
    names = ("page_size", "page_count")
    return math.prod(int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names)
