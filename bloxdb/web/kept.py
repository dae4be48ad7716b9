"""Databases that a server answers from, and answers that hold as long as nobody writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Lock

from bloxdb.db.access import KnownFile
from bloxdb.db.connection import application_id
from bloxdb.db.database import Database
from bloxdb.db.database import open as open_database
from bloxdb.db.names import beside
from bloxdb.db.sqlite import APPLICATION_ID
from bloxdb.errors import DatabaseError
from bloxdb.web import answers
from bloxdb.web.answers import Answer

_PASSING = ("training.json",)  # what changes by the clock, too: the seconds since a sign of life


class Kept:
    """One database, opened when it is first asked, and its answers.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = KnownFile(path)
        self._lock = Lock()
        self._db: Database | None = None
        self._making: dict[str, Lock] = {name: Lock() for name in answers.MADE}
        self._answers: dict[str, tuple[str, Answer]] = {}

    def lasts(self, name: str) -> bool:
        """Whether an answer is the same as long as `tag` is."""
        return name not in _PASSING

    def tag(self) -> str:
        """What changes when somebody writes, as HTTP's ETag: sizes and times of the file and of its WAL."""
        return f'"{_like(self.path)}"'

    def answer(self, name: str, tables: str) -> Answer:
        """What is answered to a name.

        Parameters
        ----------
        name
            One of those that there are.
        tables
            Where the tables are shown.

        Raises
        ------
        DatabaseError
            The file was removed since, or another one put in its place; it may not be read, is damaged, or of
            another revision.
        """
        if name not in answers.MADE or not self.lasts(name):
            return answers.answer(self.open(), name, tables)
        with self._making[name]:  # one who comes while it is made waits for it
            tag = self.tag()  # before it is asked: what is written meanwhile is asked for again
            known = self._answers.get(name)
            if known is not None and known[0] == tag:
                return known[1]
            found = answers.answer(self.open(), name, tables)
            self._answers[name] = (tag, found)
            return found

    def check(self) -> None:
        """Refuse to go on without the file that was there at first.

        Raises
        ------
        DatabaseError
            The file was removed since, or another one put in its place.
        """
        if said := self._place.lost():
            raise DatabaseError(f"{said}; end the explorer and start it again")

    def close(self) -> None:
        """Close the database, which the next question opens again."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def open(self) -> Database:
        """The database, open as long as this is: another file of its name can then be told from it.

        Raises
        ------
        DatabaseError
            As `answer`.
        """
        self.check()  # what is open would give the rows of the file of before
        with self._lock:
            if self._db is None:
                self._db = open_database(self.path, read_only=True, current=False)
            return self._db


_known: dict[str, Kept] = {}
_others: dict[str, str] = {}  # what files that are none of ours were like as they were looked at
_at_once = Lock()


def kept_for(path: str | os.PathLike[str]) -> Kept | None:
    """The database of a file, one for each; None as long as the file is none of ours.

    Parameters
    ----------
    path
        The file.
    """
    place = Path(path).absolute()
    name = str(place)
    if name in _known:
        return _known[name]
    with _at_once:
        like = _like(place)  # before it is looked at: what is written meanwhile is looked at again
        if _others.get(name) == like:
            return None
        if not _is_ours(place):
            _others[name] = like
            return None
        _others.pop(name, None)
        return _known.setdefault(name, Kept(place))


def _like(path: Path) -> str:
    """What changes when somebody writes a file or its WAL: sizes and times; empty where there is none."""
    found = []
    for each in (path, beside(path, "-wal")):
        with suppress(OSError):
            known = each.stat()
            found.append(f"{known.st_ino:x}-{known.st_size:x}-{known.st_mtime_ns:x}")
    return "-".join(found)


def _is_ours(path: Path) -> bool:
    with suppress(sqlite3.DatabaseError):
        return application_id(path) == APPLICATION_ID
    return False
