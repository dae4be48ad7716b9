"""Which databases this process has open: the one that is asked, and those to be closed at its end."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from typing import Generic, Protocol, TypeVar

from sqlalchemy import URL

from bloxdb.db import forking
from bloxdb.errors import DatabaseError, QueryError


class Named(Protocol):
    """What of a database matters where one is current."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...


class Closable(Protocol):
    """What a database has open."""

    def disconnect(self) -> None:
        """Close all; once more is no error."""
        ...

    def end(self) -> None:
        """Close all at the end of the process, whatever its threads still ask."""
        ...


_T = TypeVar("_T", bound=Named)
_numbers = itertools.count()
_to_close: dict[int, Closable] = {}


def close_at_end(db: object, connections: Closable) -> None:
    """Disconnect a database that nobody closes: when nobody refers to it any more, or at the process's end.

    Whoever closes an SQLite file last removes its WAL, so that a script without ``close`` would leave it.
    """
    number = next(_numbers)
    _to_close[number] = connections
    weakref.finalize(db, _end, number)


def _end(number: int) -> None:
    _to_close.pop(number).disconnect()


def close_all() -> None:
    """Disconnect from all databases of this process, which ends now."""
    for connections in list(_to_close.values()):
        connections.end()


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
