"""A server that is away for a while: whoever trains waits for it, and writes then what was measured.

What was asked when the connection was lost may have been done, and only its answer is missing. So whatever is
tried again is told that it is, and looks whether that is so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from bloxdb.arguments import number
from bloxdb.errors import BloxError, QueryError, ServerAwayError

PATIENCE = 600.0
"""For how many seconds a worker waits for a server, if nothing else is said."""

_PAUSE, _LONGEST = 0.2, 5.0  # seconds between two tries: the first, and the longest
_log = logging.getLogger("bloxdb")
_T = TypeVar("_T")


def patient(seconds: float) -> float:
    """A number of seconds to wait for a server; `QueryError` for what is none."""
    found = float(number(seconds, "the patience with a server, in seconds,"))
    if found < 0:
        raise QueryError(f"the patience with a server is 0 seconds or more, not {found:g}")
    return found


def through_outages(do: Callable[[bool], _T], patience: float) -> _T:
    """Do something with a database, again while its server is away.

    The first failure, and the end of it, are told by Python's logging, as warnings of the logger ``bloxdb``.

    Parameters
    ----------
    do
        What to do; it is told whether it was tried before, and may have been done.
    patience
        For how many seconds to try.

    Returns
    -------
    object
        What it gives.

    Raises
    ------
    ServerAwayError
        The server was away for so long.
    """
    begun, pause, again = time.monotonic(), _PAUSE, False
    while True:
        try:
            found = do(again)
        except ServerAwayError as error:
            waited = time.monotonic() - begun
            if waited >= patience:
                raise
            if not again:
                _log.warning(f"{str(error).removesuffix('; ask again')}; trying for {patience:.0f} s")
            again = True
            time.sleep(min(pause, patience - waited))
            pause = min(2 * pause, _LONGEST)
            continue
        except BloxError:
            _say_back(again, begun)
            raise
        _say_back(again, begun)
        return found


def _say_back(again: bool, begun: float) -> None:
    if again:
        _log.warning(f"the server is back after {time.monotonic() - begun:.0f} s")
