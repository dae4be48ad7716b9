"""Which databases this process has open: the one that is asked, and those to be closed at its end."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

from sqlalchemy import URL

from bloxdb.db import forking
from bloxdb.errors import DatabaseError, QueryError


class Closable(Protocol):
    """What of a database matters here."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def disconnect(self) -> None:
        """Close its connections; once more is no error."""
        ...


_T = TypeVar("_T", bound=Closable)
_to_close: WeakSet[Closable] = WeakSet()


def close_at_end(db: Closable) -> None:
    """Disconnect from a database at the end of the process, if nobody closed it before.

    Whoever closes an SQLite file last removes its WAL, so that a script without ``close`` would leave it.
    """
    _to_close.add(db)


@atexit.register
def close_all() -> None:
    """Disconnect from all databases of this process, as at its end."""
    for db in list(_to_close):
        db.disconnect()


def no_database(db: object) -> QueryError:
    """What to tell whoever gave something else where a database is needed."""
    if isinstance(db, str | bytes | os.PathLike | URL):
        given = os.fspath(db) if isinstance(db, os.PathLike) else db
        what = "a URL" if "://" in str(given) else f"the path {given!r}"  # a URL may have a password
        return QueryError(f"db is a database that bloxdb.open gives, not {what}: write db=bloxdb.open(…)")
    what = "None" if db is None else f"an object of type {type(db).__name__}"
    return QueryError(f"db is a database that bloxdb.open gives, not {what}")


class Currents(Generic[_T]):
    """The databases that were made current and are still open, the latest last."""

    def __init__(self) -> None:
        self._renew()
        forking.in_child(self._renew)
        self._open: list[_T] = []
        self._closed = ""  # the name of the last that was closed

    def _renew(self) -> None:
        """A new lock: in a process that was forked, another thread may have held the old one."""
        self._lock = threading.Lock()

    def add(self, db: _T) -> None:
        """Make one current."""
        with self._lock:
            self._open.append(db)

    def remove(self, db: _T) -> None:
        """One was closed; the one before it is current again."""
        with self._lock:
            if db in self._open:
                self._open.remove(db)
                self._closed = db.name

    def latest(self) -> _T | None:
        """The one that is asked; None if there never was any, which is no error."""
        with self._lock:
            if not self._open and self._closed:
                raise DatabaseError(
                    f"{self._closed} was closed, and no other database is current; open one with "
                    "bloxdb.open, or name one with db=…"
                )
            return self._open[-1] if self._open else None
