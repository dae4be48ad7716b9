"""Waiting for the lock of an SQLite file: who writes waits as long as a process that lives has it.

The system takes a lock from a process that ends, so whoever is waited for is alive. A wait is told after a
while by Python's logging, as a warning of the logger ``bloxdb``, which goes to stderr unless a program says
otherwise. SQLite itself waits for short times only, in which Python cannot see Ctrl-C; who reads waits so,
too, for a while (`bloxdb.db.forking.Cursor`).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from sqlalchemy import Connection as Transaction

from bloxdb.arguments import number
from bloxdb.db.codes import kind_of
from bloxdb.db.forking import AT_ONCE, SHORT_PAUSE, Connection, has_begun
from bloxdb.db.holders import by_whom
from bloxdb.db.statuses import RUNNING

_TELL_AFTER, _TELL_AGAIN = 5.0, 60.0  # seconds
_UNNOTICED = 1.0  # seconds for which a lock can be held, and no worker misses a sign of life
_log = logging.getLogger("bloxdb")


_most: ContextVar[float | None] = ContextVar("bloxdb_most", default=None)


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """Have nothing in the block wait longer for a lock, a new connection included; None for no bound."""
    token = _most.set(None if seconds is None else float(number(seconds, "wait, in seconds,")))
    try:
        yield
    finally:
        _most.reset(token)


def is_busy(error: BaseException | None) -> bool:
    """Whether SQLite says that another connection has the lock."""
    return kind_of(error) == sqlite3.SQLITE_BUSY


def patiently(driver: Connection, sql: str, seconds: float | None = None) -> None:
    """Execute what needs a lock when nobody else has it any more.

    A transaction that the same thread has begun in another connection would be waited for without end, so
    then the wait is that of a reader.

    Parameters
    ----------
    driver
        A connection of the driver.
    sql
        The statement.
    seconds
        How long to wait at the most; None for as long as somebody has the lock, or as `at_most` says.

    Raises
    ------
    sqlite3.OperationalError
        The lock was held so long, or there is another reason.
    """
    seconds = _most.get() if seconds is None else seconds
    start = time.monotonic()
    tell_at = start + _TELL_AFTER
    patience, driver.patience = driver.patience, 0
    try:
        while True:
            try:
                driver.execute(sql)
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                now = time.monotonic()
                if seconds is None and has_begun(driver):
                    seconds = patience
                if seconds is not None and now - start >= seconds:
                    raise
                if now >= tell_at:
                    _log.warning(_told(driver, now - start))
                    tell_at = now + _TELL_AGAIN
                time.sleep(SHORT_PAUSE)
    finally:
        driver.patience = patience


@contextmanager
def at_once(driver: Connection) -> Iterator[None]:
    """Have nothing in the block wait for a lock of another connection."""
    patience, driver.patience = driver.patience, 0
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        driver.patience = patience
        with suppress(sqlite3.ProgrammingError):  # it was closed in the block, after Ctrl-C
            driver.execute(f"PRAGMA busy_timeout = {AT_ONCE * 1000:.0f}")


def _told(driver: Connection, seconds: float) -> str:
    who, advice = by_whom(driver.path)
    return f"{driver.path} has been locked for {seconds:.0f} s by {who}; waiting until that ends{advice}"


def revive(transaction: Transaction, seconds: float) -> None:
    """Leave the time out in which nobody could give a sign of life, so that no worker counts as dead for it.

    Parameters
    ----------
    transaction
        The one that has had the file locked; it is to end now.
    seconds
        For how long.
    """
    if seconds > _UNNOTICED:
        later = f"strftime('%Y-%m-%d %H:%M:%f000', heartbeat_at, '{seconds:.3f} seconds')"
        transaction.exec_driver_sql(f"UPDATE runs SET heartbeat_at = {later} WHERE status = '{RUNNING}'")  # noqa: S608
