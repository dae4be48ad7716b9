"""The file that is to be repaired, where its copy goes, and what lies beside it that nobody needs."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bloxdb.care.checkpoints import checkpoints_folder, remove_ended
from bloxdb.db.connection import check_file, locate, locate_other, path_of
from bloxdb.db.damage import is_damage
from bloxdb.db.database import Database, open
from bloxdb.db.dialects import engines_of
from bloxdb.errors import DatabaseError
from bloxdb.writing import left_in, remove_left


def file_to_repair(database: Database | str | os.PathLike[str] | None = None) -> Path:
    """The file of a database that is to be repaired.

    Parameters
    ----------
    database
        A file, or an open database; None means the one that `bloxdb.open` takes then.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        There is none, or something else.
    DatabaseError
        It is on a server.
    """
    url = database.url if isinstance(database, Database) else locate(database)
    path = path_of(url)
    if path is None:
        raise DatabaseError(engines_of(url).REPAIR)
    check_file(url)
    return path


def place_of_copy(damaged: Path, copy: str | os.PathLike[str] | None) -> Path:
    """Where the copy of a damaged file goes.

    Parameters
    ----------
    damaged
        The file.
    copy
        The new file; ``NAME.repaired.db`` beside it if None.

    Returns
    -------
    pathlib.Path
        The new file.

    Raises
    ------
    DatabaseNotFoundError
        It is blank, or no name of a database.
    DatabaseError
        It is on a server.
    """
    if copy is None:
        return damaged.with_name(f"{damaged.stem}.repaired{damaged.suffix}")
    target = path_of(locate_other(copy, "a repaired copy"))
    if target is None:
        raise DatabaseError("a repaired copy is a file; name it by its path")
    return target


def tidy(database: Database | str | os.PathLike[str] | None = None) -> list[Path]:
    """Remove what killed processes left beside a database, as far as nobody can need it any more.

    That is what was being written, and checkpoints of runs that have ended in the database's own folder.

    Parameters
    ----------
    database
        The file, its URL, or an open database; None means the one that `bloxdb.open` takes then.

    Returns
    -------
    list of pathlib.Path
        What was removed.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError, RevisionError
        There is no database of this bloxdb.
    DatabaseError
        It is on a server.
    """
    path = file_to_repair(database)
    folder = path.resolve().parent
    found = [place for place, is_ours in left_in(folder) if is_ours]
    remove_left(folder)
    removed = [place for place in found if not place.exists()]
    try:
        with open(path, read_only=True, current=False) as db:
            removed += remove_ended(checkpoints_folder(db), db.reader)
    except DatabaseError as error:
        if not is_damage(error):  # else nobody knows which runs have ended, and their checkpoints stay
            raise
    except DBAPIError:  # a lock that somebody keeps
        pass
    return removed
