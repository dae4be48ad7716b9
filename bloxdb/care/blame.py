"""Whether what failed, failed because the database has what there cannot be."""

from __future__ import annotations

from contextlib import suppress
from traceback import walk_tb

from bloxdb.care.checking import wrong_rows
from bloxdb.db.database import Database, open_url
from bloxdb.errors import BloxError


def blamed(error: BaseException) -> str | None:
    """What is wrong with a database that was asked as an error came; None if nothing is.

    Parameters
    ----------
    error
        What Python said of a value, as a `TypeError`.

    Returns
    -------
    str or None
        A sentence.
    """
    found = {
        value.url: value
        for frame, _ in walk_tb(error.__traceback__)
        for value in frame.f_locals.values()
        if isinstance(value, Database)
    }
    for url, asked in found.items():
        with suppress(BloxError), open_url(url, read_only=True, current=False) as db:
            for wrong in wrong_rows(db, of_epochs=True):
                name = asked.name
                advice = f"`bloxdb check --repair --db {name}` makes a copy without it"
                return f"{name} has what there cannot be: {wrong}; {advice}"
    return None
