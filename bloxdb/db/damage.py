"""What is said where SQLite finds a file damaged that is open: one sentence, whatever asked.

`bloxdb.db.connection` has each engine say it, so that a lazy attribute and a query of a caller's own do, too;
who asks the driver itself does so within `damage_told`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bloxdb.db.codes import code_of, kind_of
from bloxdb.errors import DatabaseError, one_line

DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Primary codes of errors that say that a file is damaged."""

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


@contextmanager
def damage_told(path: Path | None) -> Iterator[None]:
    """Have `DatabaseError` say it where the driver itself finds the file damaged in the block."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if said := damage(error, path):
            raise DatabaseError(said) from error
        raise
