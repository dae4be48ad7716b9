"""Looking up while a statement of SQLite runs: for signals always, and for somebody who wants to be told.

SQLite runs outside of Python, so that a long statement would not see Ctrl-C or SIGTERM before its end, which
may be days away. It calls back now and then, and what a handler of signals raises there stops the statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from inspect import GEN_CLOSED, getgeneratorstate
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bloxdb.db.codes import code_of

_STEPS = 1_000_000  # of SQLite's machine between two looks: some hundredths of a second


class Lookout:
    """Who looks up for a connection of the driver.

    Parameters
    ----------
    driver
        The connection.
    """

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.tell: Callable[[], None] | None = None
        self._raised: BaseException | None = None
        self._begin(driver, _STEPS)

    def _begin(self, driver: sqlite3.Connection, steps: int) -> None:
        self._looking = self._looks()
        next(self._looking)  # to where it waits, within its `try`
        self.every(steps, driver)

    def every(self, steps: int, driver: sqlite3.Connection) -> None:
        """Look up whenever SQLite's machine has made so many steps."""
        driver.set_progress_handler(self._looking.__next__, steps)

    def _looks(self) -> Generator[int]:
        """What SQLite calls; 1 stops the statement, and the driver forgets what was raised.

        A handler of signals runs where Python code goes on. Of a function that is before its first line, in
        which nothing is caught; a generator goes on where it was, within its `try`. The outer one is for the
        handler of a second signal, which runs as the first one's error has just been caught.
        """
        stops = 0
        while True:
            try:
                while True:
                    try:
                        while True:
                            yield stops
                            stops = 0
                            if self.tell is not None:
                                self.tell()
                    except GeneratorExit:
                        return
                    except BaseException as error:
                        self._raised, stops = error, 1
            except BaseException:  # noqa: S110
                pass

    def cause(self, error: BaseException | None, driver: sqlite3.Connection) -> BaseException | None:
        """What was raised, if that stopped the statement whose error this is."""
        if code_of(error) != sqlite3.SQLITE_INTERRUPT:
            return None
        cause, self._raised = self._raised, None
        if getgeneratorstate(self._looking) == GEN_CLOSED:  # the handler of a third signal ended it
            self._begin(driver, _STEPS)
        return cause


@contextmanager
def watched(connection: Connection, tell: Callable[[], None], steps: int) -> Iterator[None]:
    """Call `tell` now and then while a statement runs; what it raises stops the statement.

    The transaction stays open, as after any error of SQLite's.

    Parameters
    ----------
    connection
        A connection to an SQLite file.
    tell
        What to call.
    steps
        Of SQLite's machine between two calls.
    """
    driver: Any = connection.connection.driver_connection
    lookout: Lookout = driver.lookout
    lookout.tell = tell
    lookout.every(steps, driver)
    try:
        yield
    except OperationalError as error:
        raise lookout.cause(error.orig, driver) or error from None
    finally:
        lookout.tell = None
        lookout.every(_STEPS, driver)
