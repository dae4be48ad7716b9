"""How a training is asked to stop, after the epoch or at once: by people, batch systems, parents, the time.

Slurm, systemd and Kubernetes send SIGTERM to every process of a job. So a worker's own signals only ever ask
for the end of the epoch, however many come. To stop at once is asked by a second Ctrl-C or SIGTERM of the
command itself, or when its grace is over, and comes to its workers through a pipe.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from .limits import TimeLimit

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to stop."""

AFTER_EPOCH, AT_ONCE = 1, 2
"""Bytes that a parent sends through the pipe, and then SIGINT, so that the worker looks."""


_TOGETHER = 0.1  # seconds in which signals of several kinds are one asking; nobody presses Ctrl-C as fast


class Stop:
    """Whether to stop: asked once, after the epoch; asked twice, or after the grace, by `KeyboardInterrupt`.

    Parameters
    ----------
    parent
        The process that asks, of one that is nobody else's to stop; when it is gone, that asks too.
    orders
        Where the parent says what it wants; signals alone never stop such a process at once.
    grace
        Seconds after which the first asking becomes a second one, 0 for at once; None for never.
    limit
        When the time asks, and when it asks once more, whatever the grace; None for never.

    Attributes
    ----------
    asked
        Whether it was asked.
    by
        The first signal that asked; `signal.SIGALRM` where only the time did, None where nothing did.
    """

    def __init__(
        self,
        parent: int | None = None,
        orders: Connection[Any, Any] | None = None,
        grace: float | None = None,
        limit: TimeLimit | None = None,
    ) -> None:
        self.asked = False
        self.by: int | None = None
        self._signalled_at = math.inf
        self._parent = parent
        self._orders = orders
        self._grace = grace
        self._limit = limit
        if orders is not None:
            os.set_blocking(orders.fileno(), False)

    def __bool__(self) -> bool:
        return self.asked or self.is_late or self._parent not in (None, os.getppid())

    @property
    def is_late(self) -> bool:
        """Whether the time asks to stop."""
        return self._limit is not None and self._limit.left() <= 0

    @contextmanager
    def on_signals(self) -> Iterator[Stop]:
        """Let signals ask, also those that `held_back` kept; what ``nohup`` ignores stays ignored.

        Afterwards they do what they did before; in a worker's own process nothing, since it is ending, and
        who asks for that is not to kill it. In a thread nobody asks, since signals are the main one's.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        handled = [one for one in ASKING if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._ask) for number in (*handled, signal.SIGALRM)}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
        try:
            if self._limit is not None:
                _wake_in(self._limit.left())
            yield self
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler if self._parent is None else signal.SIG_IGN)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGALRM:
            is_second = self.asked
        else:
            is_second = self._orders is None and now - self._signalled_at > _TOGETHER
            self._signalled_at = min(self._signalled_at, now)
        self.asked = True
        if self.by in (None, signal.SIGALRM):
            self.by = number
        if is_second or AT_ONCE in self._heard():
            raise KeyboardInterrupt
        bounds = [] if self._grace is None else [self._grace]
        if self._limit is not None:
            bounds.append(self._limit.end - now)
        if bounds:
            _wake_in(min(bounds))

    def _heard(self) -> bytes:
        """What the parent has said since; nothing waits, since another signal may come within this one."""
        if self._orders is None:
            return b""
        try:
            orders = os.read(self._orders.fileno(), 64)
        except BlockingIOError:
            return b""
        if not orders:  # the parent is gone, which asks for the end of the epoch
            self._orders = None
        return orders


def _wake_in(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))  # 0 would mean never


def order(orders: Connection[Any, Any], what: int) -> None:
    """Tell a worker what its parent wants.

    Parameters
    ----------
    orders
        The parent's end of the pipe that the worker's `Stop` has.
    what
        `AFTER_EPOCH` or `AT_ONCE`.
    """
    with suppress(BrokenPipeError):
        os.write(orders.fileno(), bytes([what]))


@contextmanager
def held_back() -> Iterator[None]:
    """Signals wait, here and in processes that are started meanwhile, which have no handlers yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
