"""References of an SQLite file to rows that are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from bloxdb.counts import counted
from bloxdb.errors import DatabaseError


def broken_references(connection: Connection) -> Counter[tuple[str, str]]:
    """How many rows refer to one that is not there, by their table and the one that they refer to.

    Parameters
    ----------
    connection
        A connection to an SQLite file.
    """
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return Counter((table, parent) for table, _, parent, _ in rows)


@contextmanager
def no_more_broken(connection: Connection, name: str) -> Iterator[None]:
    """Refuse at the end of a migration what breaks references; those that were broken before stay so.

    Parameters
    ----------
    connection
        A connection to an SQLite file, in the transaction of the migration, which the error undoes.
    name
        The database, for the error.

    Raises
    ------
    DatabaseError
        There are more broken references than before.
    """
    before = broken_references(connection)
    yield
    more = (broken_references(connection) - before).total()
    if more:
        raise DatabaseError(
            f"the migration of {name} broke {counted(more, 'reference')}; nothing was changed"
        )
