"""A database file's names, and what has its name and a bit more: SQLite goes by names, for its journals too.

A journal belongs to the name by which a file was opened. Under another name, whoever opens the same file does
not see it: rows that a killed process left half-written are read as they are, and rows are lost.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from bloxdb.counts import counted
from bloxdb.db.disks import is_mounted
from bloxdb.errors import DatabaseError
from bloxdb.files import what_is
from bloxdb.writing import is_workspace

JOURNALS = ("-journal", "-wal")
"""What SQLite looks for beside a file."""

PARTS = (*JOURNALS, "-shm")
"""What SQLite makes beside a file."""

_LOOKS, _LOOK_AGAIN = 5, 0.1  # seconds, while another process gives a new file its name


class Others(NamedTuple):
    """The other names of a file.

    Attributes
    ----------
    told
        That it has them, and what comes of it.
    advice
        How it gets to have one.
    """

    told: str
    advice: str


def other_names(path: Path) -> Others | None:
    """The other names that a file has, by hard links or by a mount of the file itself; None if it has none.

    Of a file that was mounted somewhere else, only that place knows. The name in a workspace by which a new
    file of ours gets its own is none: it is gone in a moment.

    Parameters
    ----------
    path
        The file; a link is what it leads to.
    """
    real = path.resolve()
    if is_mounted(real):
        how = "is mounted by itself, so that it has another name where it comes from"
        return Others(_told(path, how), "Mount its folder instead, which has what SQLite keeps beside it")
    more = _links(real)
    if not more:
        return None
    advice = f"Remove the others (`find FOLDER -samefile {path}` finds them)"
    return Others(_told(path, f"has {counted(more, 'other name')} (hard links)"), advice)


def _told(path: Path, how: str) -> str:
    return (
        f"{path} {how}, and SQLite keeps a journal for each name, so that rows which are written under one "
        "are lost under the other"
    )


def _links(real: Path) -> int:
    more = 0
    for _ in range(_LOOKS):
        try:
            found = real.stat()
            more = found.st_nlink - 1
            if more <= 0:
                return 0
            places = [place / real.name for place in real.parent.iterdir() if is_workspace(place)]
            more -= sum(os.path.samestat(place.stat(), found) for place in places if place.exists())
        except OSError:  # it is not there, or what was beside it is going just now
            more = 0
        if more <= 0:
            return 0
        time.sleep(_LOOK_AGAIN)
    return more


def beside(path: Path, suffix: str) -> Path:
    """What is beside a database, as weights are, and what SQLite makes; of a link beside the true file."""
    real = path.resolve()  # SQLite follows links, too
    return real.with_name(real.name + suffix)


def check_beside(path: Path) -> None:
    """Refuse what is no file where SQLite looks for one of its own: it would wait for a pipe for ever.

    Parameters
    ----------
    path
        The database.

    Raises
    ------
    DatabaseError
        There is a folder, a pipe, a socket or a device.
    """
    for part in PARTS:
        place = beside(path, part)
        if what := what_is(place):
            raise DatabaseError(
                f"{place} is {what}, where SQLite keeps a file of its own for {path}; give it another name"
            )
