"""What ends a command from outside: SIGTERM of a batch system, SIGHUP of a terminal that is closed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let signals end what goes on as Ctrl-C does, so that nothing is left half-made.

    After that the process ends by the signal itself, so that whoever sent it sees that it did. A signal that
    was ignored before, as under ``nohup``, stays so.
    """
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)  # a second one would stop the tidying
        got.append(number)
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {one: end for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL}
    for one, handler in before.items():
        signal.signal(one, handler)
    try:
        yield
    finally:
        try:
            if got:
                from bloxdb.db.opened import close_all

                close_all()  # what follows leaves Python no time for it
        finally:
            for one in before:  # not earlier: batch systems send a signal more than once
                signal.signal(one, signal.SIG_DFL)
            if got:
                os.kill(os.getpid(), got[0])
