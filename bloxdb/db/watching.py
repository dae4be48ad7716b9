"""Looking in on a statement of SQLite that runs for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bloxdb.db.codes import code_of


@contextmanager
def watched(connection: Connection, tell: Callable[[], None], steps: int) -> Iterator[None]:
    """Call `tell` now and then while a statement runs; what it raises stops the statement.

    Parameters
    ----------
    connection
        A connection to an SQLite file.
    tell
        What to call.
    steps
        Of SQLite's machine between two calls.
    """
    raised: list[BaseException] = []

    def look() -> int:
        try:
            tell()
        except BaseException as error:
            raised.append(error)
            return 1
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(look, steps)
    try:
        yield
    except OperationalError as error:
        if code_of(error.orig) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise (raised or [KeyboardInterrupt()])[0] from None  # a signal can come between look and tell
    finally:
        driver.set_progress_handler(None, 0)
