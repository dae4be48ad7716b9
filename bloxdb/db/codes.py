"""The codes that SQLite gives its errors: https://www.sqlite.org/rescode.html"""

from __future__ import annotations

import sqlite3


def code_of(error: BaseException | None) -> int:
    """The whole code of an error; 0 where there is none, as of what the driver itself finds."""
    found: int = getattr(error, "sqlite_errorcode", 0)
    return found


def kind_of(error: BaseException | None) -> int:
    """The primary code of an error, as ``sqlite3.SQLITE_BUSY``; 0 where there is none."""
    return code_of(error) & 0xFF


def with_code(error: sqlite3.Error, code: int) -> sqlite3.Error:
    """An error that the driver would have raised with this code."""
    error.sqlite_errorcode = code
    return error
