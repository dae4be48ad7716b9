"""Training as it goes on: a line a worker on a terminal, log lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bloxdb.cli.terminal import clean, console, say
from bloxdb.counts import counted

if TYPE_CHECKING:
    from rich.table import Table

    from bloxdb.trainer.booking import Event

_EVERY = 10.0  # seconds between two log lines of one worker's epochs
_LATEST = 8  # runs whose end is shown


class Board:
    """What all workers do, from their events.

    Parameters
    ----------
    total
        Runs of the job.
    left
        Gives how many of them have not ended, by whomever.
    """

    def __init__(self, total: int, left: Callable[[], int]) -> None:
        self.total = total
        self._left = left
        self.left = left()
        self._at_start = self.left
        self._start = time.monotonic()
        self.workers: dict[str, Event] = {}
        self.ended: list[str] = []

    def see(self, event: Event) -> None:
        """Take an event in."""
        if event.kind in ("start", "epoch", "wait"):
            self.workers[event.worker] = event
        if event.kind == "end":
            self.left = self._left()
            self.ended = [*self.ended[1 - _LATEST :], sentence(event)]
            self.workers.pop(event.worker, None)

    def summary(self) -> str:
        """How many runs are done, and when the rest will be."""
        done = self._at_start - self.left
        text = f"{self.total - self.left:,} of {counted(self.total, 'run has', 'runs have')} ended"
        if done and self.left:
            seconds = (time.monotonic() - self._start) / done * self.left
            text += f", the rest in about {duration(seconds)}"
        return text


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def sentence(event: Event) -> str:
    """An event as a log line."""
    run = f"architecture {event.arch_id}: " if event.arch_id >= 0 else f"{event.worker} "
    if event.kind == "start":
        after = f" after epoch {event.epoch}" if event.epoch else ""
        return f"{run}{event.worker} goes on{after}" if event.epoch else f"{run}{event.worker} begins"
    if event.kind == "epoch":
        return (
            f"{run}epoch {event.epoch} of {event.epochs}, val_top1 {event.top1:.2f} %, "
            f"{event.images_per_second:,.0f} images/s"
        )
    if event.kind == "end" and event.top1 is not None:
        return f"{run}{event.message}, test_top1 {event.top1:.2f} %"
    return f"{run}{event.message}"


@contextmanager
def shown(board: Board) -> Iterator[Callable[[Event], None]]:
    """A function that takes events and shows them while the block lasts."""
    stderr = console()
    if not stderr.is_terminal or stderr.is_dumb_terminal:
        yield _logger(board)
        return
    from rich.live import Live

    with Live(_table(board), console=stderr, refresh_per_second=4, transient=True) as live:

        def tell(event: Event) -> None:
            board.see(event)
            if event.kind == "note":
                live.console.print(clean(sentence(event)))
            live.update(_table(board))

        yield tell
    for line in board.ended:
        say(line)
    say(board.summary())


def _logger(board: Board) -> Callable[[Event], None]:
    last: dict[str, float] = {}

    def tell(event: Event) -> None:
        board.see(event)
        now = time.monotonic()
        if event.kind in ("epoch", "wait"):
            if now - last.get(event.worker, 0.0) < _EVERY and event.epoch != 1:
                return
            last[event.worker] = now
        say(sentence(event))
        if event.kind == "end":
            say(board.summary())

    return tell


def _table(board: Board) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", caption=board.summary())
    for title in ("worker", "architecture", "epoch", "val_top1", "images/s"):
        table.add_column(title, justify="left" if title == "worker" else "right")
    for name, event in sorted(board.workers.items()):
        if event.kind == "wait":
            table.add_row(clean(f"{name} {event.message}"))
            continue
        top1 = "-" if event.top1 is None else f"{event.top1:.2f} %"
        speed = f"{event.images_per_second:,.0f}" if event.images_per_second else "-"
        table.add_row(clean(name), str(event.arch_id), f"{event.epoch}/{event.epochs}", top1, speed)
    return table
