"""A process that was forked: databases that were open before work in the child, and the parent's stay whole.

A connection must not be used on both sides of a fork, and each kind of engine has its own trap.

SQLite takes its locks for the whole process and remembers them in memory. The child inherits the memory, but
not the locks, so that a new connection beside an inherited one believes that it holds locks which it does
not hold: once the parent has closed, the child writes into a WAL that is deleted, and the rows are lost.
Therefore the child closes what it inherited before it opens anything. That takes nothing from the parent,
whose locks are its own; they also keep the child from removing the WAL. What cannot be closed, because a
transaction is open in it or another thread may have been using it, is left alone for ever, and the child
takes for itself the locks that SQLite believes in. With a WAL that is at once: they keep no writer out, and
whoever closed the file last would remove the WAL. Without one a lock keeps every writer out, so that it is
taken when the child first opens the file, after SQLite has answered it; who never does keeps nobody waiting.

What no child can mend is a lock inside of SQLite that another thread held at that very moment: with four
threads that asked all the time, 7 of 30 children waited for ever. To take those locks before a fork would
stop the parent instead, where a thread waits for one while it holds Python's own. Such programs need spawn.

A server sees one connection. Nothing may be sent through it from the child, not even a farewell, so it is
kept for ever.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import sqlite3
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from bloxdb.db.codes import code_of, kind_of, with_code
from bloxdb.db.watching import Lookout

_T = TypeVar("_T")

PATIENCE = 30.0
"""For how many seconds a connection waits for another's lock."""

AT_ONCE = 0.2
"""For how many seconds SQLite itself waits, in which Python sees no signal."""

_TRIES, _PAUSE = 40, 0.05  # seconds, for one who may only read
_SOON = 1.0  # seconds in which a statement ends that is interrupted
SHORT_PAUSE = 0.005  # seconds, where SQLite itself sees no use in waiting

_INHERITED = "the transaction was begun before this process was forked, and only its parent can go on with it"

_SHARED = (0x4000_0002, 510)
"""The bytes that an SQLite connection locks: https://www.sqlite.org/fileformat2.html#lockbyte"""

_DEAD_MAN_SWITCH = (128, 1)
"""The byte of a `-shm` file that says that somebody uses it: https://www.sqlite.org/walformat.html"""


class Cursor(sqlite3.Cursor):
    """A cursor that holds its connection while it asks: to close one that another thread asks is a crash."""

    connection: Connection

    def execute(self, *arguments: Any) -> Cursor:
        """As `sqlite3.Cursor.execute`; it waits for another's lock, and lets Python see signals meanwhile.

        Who may only read waits, too, while a writer is just coming or going.
        """
        return _patiently(self.connection, super().execute, *arguments)

    def executemany(self, *arguments: Any) -> Cursor:
        """As `sqlite3.Cursor.executemany`; SQLite itself waits, since what was done would be done twice."""
        connection = self.connection
        with connection.in_use:
            super().execute(f"PRAGMA busy_timeout = {1000 * connection.patience:.0f}")
            try:
                return _attentively(connection, super().executemany, *arguments)
            finally:
                shortly = 1000 * min(connection.patience, AT_ONCE)
                sqlite3.Connection.execute(connection, f"PRAGMA busy_timeout = {shortly:.0f}")

    def fetchone(self) -> Any:
        """As `sqlite3.Cursor.fetchone`."""
        return _attentively(self.connection, super().fetchone)

    def fetchmany(self, *arguments: Any, **options: Any) -> list[Any]:
        """As `sqlite3.Cursor.fetchmany`."""
        return _attentively(self.connection, super().fetchmany, *arguments, **options)

    def fetchall(self) -> list[Any]:
        """As `sqlite3.Cursor.fetchall`."""
        return _attentively(self.connection, super().fetchall)

    def __next__(self) -> Any:
        """As that of `sqlite3.Cursor`."""
        return _attentively(self.connection, super().__next__)

    def close(self) -> None:
        """As `sqlite3.Cursor.close`; nothing where the connection was ended, which has closed it."""
        with self.connection.in_use:
            if not self.connection.is_ended:
                super().close()


def _attentively(connection: Connection, ask: Callable[..., _T], *arguments: Any, **options: Any) -> _T:
    """Ask; what a signal raises while SQLite runs comes out itself."""
    try:
        with connection.in_use:
            return ask(*arguments, **options)
    except sqlite3.OperationalError as error:
        raise connection.stopped_by(error) from None


def _patiently(connection: Connection, ask: Callable[..., _T], *arguments: Any) -> _T:
    """Ask again while another has the lock, for as long as the connection's patience lasts."""
    start, tries = time.monotonic(), 0
    while True:
        try:
            with connection.in_use:
                return ask(*arguments)
        except sqlite3.OperationalError as error:
            if _is_between_writers(error) and tries < _TRIES:
                tries += 1
                time.sleep(_PAUSE)
            elif not _helps_to_wait(error) or time.monotonic() - start >= connection.patience:
                raise connection.stopped_by(error) from None
            else:
                time.sleep(SHORT_PAUSE)


def _is_between_writers(error: sqlite3.OperationalError) -> bool:
    """Whether a file has a journal, or a WAL without its index, which one who may only read cannot mend."""
    return kind_of(error) == sqlite3.SQLITE_READONLY != code_of(error)


def _helps_to_wait(error: sqlite3.OperationalError) -> bool:
    """Whether another connection has the lock; a snapshot that is old stays so."""
    return kind_of(error) == sqlite3.SQLITE_BUSY and code_of(error) != sqlite3.SQLITE_BUSY_SNAPSHOT


class Connection(sqlite3.Connection):
    """A connection to an SQLite file that says who uses it.

    Attributes
    ----------
    path, named
        The file, and what it was opened as, which may be a link to it.
    thread
        The thread that uses it; None while it waits in a pool.
    is_inherited
        Whether it is the parent's, and could not be closed.
    is_new
        Whether the file is being made, and nobody else knows it.
    takes_wal
        Whether a WAL may be switched on, which no disk takes that machines share.
    in_use
        Held while a cursor asks; whoever ends the connection of another thread must have it.
    owner
        Whose it is, of several that have the file open; an object of theirs.
    is_ended
        Whether it was ended while a thread still had it.
    patience
        For how many seconds a statement waits for another's lock.
    lookout
        Who sees signals while a statement runs.
    """

    path: Path
    named: Path
    thread: int | None = None
    is_inherited: bool = False
    is_new: bool = False
    takes_wal: bool = True
    owner: object = None
    is_ended: bool = False
    patience: float = PATIENCE

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.in_use = threading.RLock()
        self.lookout = Lookout(self)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor; an error where the connection is the parent's."""
        if self.is_inherited:
            raise sqlite3.OperationalError(_INHERITED)
        made = super().cursor(*arguments or (Cursor,), **options)
        self._cursors.add(made)
        return made

    def execute(self, *arguments: Any) -> Any:
        """As `Cursor.execute`, which the driver itself leaves out."""
        return self.cursor().execute(*arguments)

    def first(self, sql: str) -> Any:
        """The first row of a query, which is over then, whatever a signal raises meanwhile."""
        cursor = self.cursor()
        try:
            return cursor.execute(sql).fetchone()
        finally:
            cursor.close()

    def commit(self) -> None:
        """End a transaction; an error where it is the parent's."""
        if self.is_inherited:
            raise sqlite3.OperationalError(_INHERITED)
        _patiently(self, super().commit)

    def rollback(self) -> None:
        """Undo a transaction, but not the parent's."""
        with self.in_use:
            if not (self.is_inherited or self.is_ended):
                super().rollback()

    def stopped_by(self, error: sqlite3.OperationalError) -> BaseException:
        """What a signal raised, where that stopped a statement; else the error itself."""
        if self.lookout.tell is not None:  # `watched` asks itself, and keeps the transaction
            return error
        return self.lookout.cause(error, self) or error

    def close(self) -> None:
        """Close the connection, but not the parent's, with its cursors and its transaction.

        SQLite keeps all of it, locks and WAL too, while there is a cursor, as in the traceback of an error.
        """
        if self.is_inherited:
            return
        for cursor in list(self._cursors):
            with suppress(sqlite3.Error):
                cursor.close()
        with suppress(sqlite3.Error):  # it is closed
            super().rollback()
        super().close()

    def end(self, *, is_last: bool = False) -> None:
        """Close it for the thread that has it, if that neither asks now nor has begun a transaction.

        At the end of the process, which `is_last` says, it is closed whatever goes on, which is interrupted.
        """
        if is_last:
            self.interrupt()
        if not self.in_use.acquire(timeout=_SOON if is_last else 0):
            return
        try:
            with suppress(sqlite3.ProgrammingError):  # it is closed
                if is_last or not self.in_transaction:
                    self.close()
                    self.is_ended = True
        finally:
            self.in_use.release()


class Reader(Session):
    """A session that is kept open; in a child it takes another connection, and keeps its objects."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        watch(self)

    def heal(self) -> None:
        """Take another connection where the one that it has cannot be used any more."""
        if self.in_transaction() and self.connection().invalidated:
            self.rollback()


_lock = threading.RLock()  # a database that is collected while it is held opens its file once more
_watched: WeakSet[Connection | Engine | Reader] = WeakSet()
_held: list[
    Any
] = []  # during a fork: threads end in the child before any hook runs, and with them their sessions
_kept: list[Any] = []  # in a child: what must never be collected
_taking = threading.Lock()
_believed: set[Path] = set()  # in a child: what SQLite believes to be locked, and is not yet
_renewals: list[Callable[[], None]] = []


def watch(thing: Connection | Engine | Reader) -> None:
    """Make a thing usable, or harmless, in children that are forked from now on."""
    with _lock:
        _watched.add(thing)


def watch_engine(engine: Engine) -> None:
    """`watch` an engine of SQLite, whose connections are of the class above."""
    event.listen(engine, "checkout", _taken)
    event.listen(engine, "checkin", _given_back)  # codespell:ignore checkin
    watch(engine)


def connections_to(path: Path) -> list[Connection]:
    """The connections of this process to a file, but for those of its parent."""
    with _lock:
        there = [connection for connection in _watched if isinstance(connection, Connection)]
    return [one for one in there if one.path == path and not one.is_inherited]


def has_begun(than: Connection) -> bool:
    """Whether the thread that uses a connection has begun a transaction in another one of the same file."""
    for one in connections_to(than.path):
        with suppress(sqlite3.ProgrammingError):  # it is closed
            if one is not than and one.thread == than.thread and one.in_transaction:
                return True
    return False


def in_child(renew: Callable[[], None]) -> None:
    """Have something called in each child that is forked from now on, as to make a new lock."""
    _renewals.append(renew)


def _taken(connection: Connection, *_: object) -> None:
    connection.thread = threading.get_ident()


def _given_back(connection: Connection | None, *_: object) -> None:
    if connection is not None:  # it was invalidated
        connection.thread = None


def _before() -> None:
    _lock.acquire()
    _held.extend(_watched)


def _after_in_parent() -> None:
    held = _held.copy()  # what was left of them is collected when nothing is locked any more
    _held.clear()
    _lock.release()
    del held


def _after_in_child() -> None:
    global _lock, _taking
    _lock, _taking = threading.RLock(), threading.Lock()
    for renew in _renewals:
        renew()
    if not _held:
        return
    _kept.append(_held.copy())
    left = {connection.path for connection in _things(Connection) if not _closed(connection)}
    _believed.update(path for path in left if not _lock_for_real(path) and _is_locked(path))
    for session in _things(Reader):
        _kept.append(session._transaction)
        session._transaction = None  # the next query takes a connection of the new pool
    for engine in _things(Engine):
        _kept.append(engine.pool)
        engine.dispose(close=False)
    _held.clear()
    # One reference too many: at the end of the process, Python clears every module, and connections of the
    # parent would say goodbye for it.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))


def _closed(connection: Connection) -> bool:
    """Close a connection if that is safe; whether it is closed."""
    try:
        is_elsewhere = connection.thread not in (None, threading.get_ident())
        # a signal's handler forks within a statement of this very thread
        if is_elsewhere or connection.in_use._is_owned() or connection.in_transaction:  # type: ignore[attr-defined]
            connection.is_inherited = True
            return False
        connection.close()
    except sqlite3.ProgrammingError:
        pass  # it was closed before
    return True


def take_locks(path: Path) -> None:
    """Take the lock on a file that SQLite believes in since a fork; call it before a connection is opened.

    Parameters
    ----------
    path
        The file, which is no link.

    Raises
    ------
    sqlite3.OperationalError
        Another process had it locked for `PATIENCE`.
    """
    with _taking:
        if path not in _believed:
            return
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as asked:
            asked.execute("PRAGMA application_id").fetchone()  # where SQLite itself hangs, it has no lock yet
        end = time.monotonic() + PATIENCE
        while not _locked_for_real(path, _SHARED):
            if time.monotonic() >= end:
                raise with_code(sqlite3.OperationalError("database is locked"), sqlite3.SQLITE_BUSY)
            time.sleep(_PAUSE)
        _believed.discard(path)


def _lock_for_real(path: Path) -> bool:
    """Take the locks of a connection that stays where there is a WAL; whether there is one.

    With a WAL a connection has them all along, without one only while a query runs.
    """
    index = Path(f"{path}-shm")
    if not index.exists():
        return False
    with suppress(OSError):  # it was removed just now
        _locked_for_real(path, _SHARED)
        _locked_for_real(index, _DEAD_MAN_SWITCH)
    return True


def _locked_for_real(path: Path, place: tuple[int, int]) -> bool:
    """Take a lock if it is to be had; the file is never closed, which would end it."""
    start, length = place
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def _is_locked(path: Path) -> bool:
    """Whether any process reads a file just now; True where a system does not tell."""
    if not sys.platform.startswith("linux"):
        return True
    descriptor = os.open(path, os.O_RDONLY)
    try:
        start, length = _SHARED
        asked = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        kind, *_ = struct.unpack("@hhqqi", fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)  # this process has no lock yet that it could end
    return bool(kind != fcntl.F_UNLCK)


def _things(kind: type[_T]) -> list[_T]:
    return [thing for thing in _held if isinstance(thing, kind)]


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
