"""What ends a command from outside: SIGTERM of a batch system, SIGHUP of a terminal that is closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

CODE = "bloxdb.cli.code"
"""Where click's context has the exit code of a command that a signal ends, if it is to have one."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_SOON = 0.05  # seconds


@contextmanager
def not_begun() -> Iterator[None]:
    """Let Ctrl-C end the process at once and without a word, as nothing has begun that had to be ended.

    So it is while modules are imported, where a KeyboardInterrupt would be shown with a traceback.
    """
    is_ours = _is_interruptible()
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_interruptible() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt, and this thread may say what it does."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@contextmanager
def begun() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt again within a block of `not_begun`."""
    is_main = threading.current_thread() is threading.main_thread()
    is_ours = is_main and signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _ignored(number: int, frame: FrameType | None) -> None:
    """What comes while all ends; for SIG_IGN one may have come already, of which Python prints an error."""


@contextmanager
def ended_by_signals(meta: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Let signals end what goes on as Ctrl-C does, so that nothing is left half-made.

    After that the process ends by the signal itself, so that whoever sent it sees that it did. A command that
    has left an exit code in `meta`, under `CODE`, ends with that, and nothing that comes while Python ends
    makes another of it. A signal that was ignored before, as under ``nohup``, stays so. One that comes while
    Python collects garbage, where no exception leaves, Ctrl-C among them, comes once more.
    """
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        for one in before:
            # a second one would stop the tidying
            signal.signal(one, _ignored)
        got.append(number)
        raise KeyboardInterrupt

    def once_more(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _SOON)
        else:
            told(lost)

    before, told = {}, sys.unraisablehook
    if threading.current_thread() is threading.main_thread():
        sys.unraisablehook = once_more
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        before = {one: end for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL}
    for one, handler in before.items():
        signal.signal(one, handler)
    try:
        yield
    finally:
        if sys.unraisablehook is once_more:
            sys.unraisablehook = told
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            if got:
                from bloxdb.db.opened import close_all

                close_all()  # what follows leaves Python no time for it
        finally:
            code = (meta or {}).get(CODE)
            for one in before:  # not earlier: batch systems send a signal more than once
                signal.signal(one, signal.SIG_DFL if code is None else _ignored)
            if got and code is not None:
                sys.exit(code)
            if got:
                os.kill(os.getpid(), got[0])
