"""What is said where SQLite finds an open file damaged, or its disk fails: one sentence, whatever asked.

`bloxdb.db.connection` has each engine say it, so that a lazy attribute and a query of a caller's own do, too;
who asks the driver itself does so within `damage_told`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bloxdb.db.codes import code_of, kind_of
from bloxdb.errors import BloxError, DatabaseError, one_line

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary codes of errors that say that a file is damaged."""

_NOT_WRITTEN = {
    *(sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_FSYNC),
    *(sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN),
}
_NO_LOCKS = {
    *(sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_RDLOCK),
    *(sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK, sqlite3.SQLITE_IOERR_SHMLOCK),
}
_NO_TEXT = "Could not decode to UTF-8"  # what Python's driver says, without a code


def damage(error: BaseException | None, path: Path | None) -> str | None:
    """What an error says of a file, and what to do, where it is that the file is damaged; None for others."""
    if error is None or path is None:
        return None
    if kind_of(error) in DAMAGE:
        what, then = "is damaged", "says where"
    elif not code_of(error) and str(error).startswith(_NO_TEXT):  # of a query's own, maybe
        what, then = "gave a text that is no UTF-8", "says whether one is stored"
    else:
        return None
    return (
        f"{path} {what}: {one_line(error, 200)}; `bloxdb check --db {path}` {then}, and "
        f"`bloxdb check --repair --db {path}` makes a copy of what can be read"
    )


def is_damage(error: BaseException) -> bool:
    """Whether an error says that a file is damaged, and not, as one of a lock, that it cannot be read now."""
    return kind_of(_of_the_engine(error)) in DAMAGE


def without_advice(error: BaseException) -> str:
    """What an error says, in one line; of damage what the engine itself says, for whom the advice is for."""
    return one_line(_of_the_engine(error) if is_damage(error) else error)


def _of_the_engine(error: BaseException) -> BaseException:
    cause = error.__cause__ or error
    found: BaseException = getattr(cause, "orig", None) or cause
    return found


def of_the_disk(error: BaseException | None, path: Path | None) -> str | None:
    """What an error says of the disk that a file is on, and what to do; None where it is none of a disk.

    Of why a disk refuses, SQLite knows a full one only: a quota and a limit are among its errors of writing.
    """
    code = code_of(error)
    if path is None or kind_of(error) not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return None
    if kind_of(error) == sqlite3.SQLITE_FULL:
        return f"{path}: what is to be written has no room ({error}); make room on the disk, and try again"
    if code in _NOT_WRITTEN:
        return (
            f"{path}: what is to be written cannot be ({error}): there is no room, a quota or a limit for "
            "the size of a file is reached (`df`, `quota` and `ulimit -f` tell), or the disk fails (`dmesg` "
            "tells); make room or have the limit raised, and try again"
        )
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return (
            f"{path}, or a file that SQLite has beside it, ends before what was to be read ({error}): it was "
            f"cut off, or another program than SQLite writes it; `bloxdb check --db {path}` says whether it "
            "is whole"
        )
    if code == sqlite3.SQLITE_IOERR_READ:
        return (
            f"{path}, or a file that SQLite has beside it, cannot be read ({error}): its disk fails, or is "
            f"there no more (`dmesg` tells); try again, or take a backup, or copy what can be read to "
            f"another disk with `bloxdb check --repair --db {path}`"
        )
    if code in _NO_LOCKS:
        return (
            f"{path} cannot be locked ({error}): its disk has no locks, or too many are held; copy it to a "
            "disk of this machine"
        )
    if code == sqlite3.SQLITE_IOERR_NOMEM:
        return f"{path}: there was too little memory to read or write it; free some, and try again"
    name = getattr(error, "sqlite_errorname", "SQLITE_IOERR")
    return f"{path}: {error} ({name}): its disk refuses, and `dmesg` may tell why"


@contextmanager
def damage_told(path: Path | None) -> Iterator[None]:
    """Have `DatabaseError` say it where the driver itself finds the file damaged, or its disk refuses."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if said := damage(error, path) or of_the_disk(error, path):
            raise DatabaseError(said) from error
        raise


@contextmanager
def kinds_told() -> Iterator[None]:
    """Have `DatabaseError` say it where a value that was read is not of the kind that its column has."""
    try:
        yield
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, BloxError):
            raise
        raise DatabaseError(
            f"the database has what there cannot be: {one_line(error, 200)}; `bloxdb check` says where, and "
            "`bloxdb check --repair` makes a copy without it"
        ) from error
