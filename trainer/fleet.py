"""Several workers on one machine: a process each, and what they tell brought together."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Any

import torch

from bloxdb.care.checkpoints import checkpoints_folder, remove_ended
from bloxdb.counts import counted
from bloxdb.db.database import open
from bloxdb.errors import BloxError, QueryError, TrainingError, one_line
from bloxdb.runs.queue import RunQueue, check_workers

from .booking import Event
from .checkpoint import check_folder
from .devices import Place, kind_named, threads_for
from .graphs import are_used
from .images import DataSet
from .limits import TimeLimit
from .recipe import TrainingRecipe
from .stopping import AFTER_EPOCH, AT_ONCE, Stop, held_back, order
from .threads import wait_passively
from .worker import Job, data_of, prepare, work

_LOOK = 0.5  # seconds between two looks at signals


def train(
    job: Job,
    where: Sequence[Place],
    tell: Callable[[Event], None],
    *,
    download: bool = False,
    data: DataSet | None = None,
    stop: Stop | None = None,
) -> bool:
    """Train a job at some places, each with a worker.

    Parameters
    ----------
    job
        What to train.
    where
        The places; a single one is this process itself. Those that leave their threads open get as many as
        the images are worth.
    tell
        Called here with the events of all workers.
    download
        Get the data set first if it is not there.
    data
        The data set of the job, on the CPU, where it is there already.
    stop
        What is asked to stop, for who wants to know afterwards by what; one with the grace and the limit of
        the job if None.

    Returns
    -------
    bool
        Whether all runs have ended, whichever worker died meanwhile.

    Raises
    ------
    QueryError
        Graphs, or kernels of `torch.compile`, are wanted at a place that has none.
    DatabaseError
        The file is on a disk that machines share, and a worker of another machine trains into it.
    TrainingError
        A worker's process cannot be started, all of them ended with errors, or the time limit is shorter than
        an epoch.
    """
    stop, heard = job.new_stop() if stop is None else stop, Heard(tell)
    check_places(job.recipe, where, job.graphs)
    data = data or data_of(job, download=download)
    threads = threads_for(data.train.images, len(where))
    shared = Counter(place.device for place in where)
    where = [
        replace(place, threads=place.threads or threads, workers=shared[place.device]) for place in where
    ]
    with readied(job, data, heard, stop) as queue:
        if len(where) == 1:
            _work_here(job, where[0], data, heard, stop)
            died = 0
        else:
            died = _Fleet(job, where, heard, stop).run()
        was_asked = bool(stop)
        left = queue.left()
    if died == len(where) and not was_asked:
        raise TrainingError("all workers ended with errors; the same command goes on when they are mended")
    return not left


@contextmanager
def readied(job: Job, data: DataSet, heard: Heard, stop: Stop) -> Iterator[RunQueue]:
    """The runs of a job, when all that cannot be is refused; signals ask to stop within the block.

    Raises
    ------
    DatabaseError
        There is another machine's worker, and the file is on a disk that machines share.
    TrainingError
        Checkpoints cannot be written, or the time limit is shorter than an epoch.
    """
    with open(job.db, current=False) as db:
        check_workers(db, intervals=job.intervals)
        queue = prepare(db, job, data)
        check_folder(job.checkpoints)
        if db.path is not None and job.checkpoints == checkpoints_folder(db):  # it is nobody else's
            remove_ended(job.checkpoints, db.reader)
        try:
            with stop.on_signals():
                yield queue
        except KeyboardInterrupt:
            heard.check(job.limit)
            raise
        heard.check(job.limit)


def check_places(recipe: TrainingRecipe, where: Sequence[Place], graphs: bool | None) -> None:
    """Refuse places that cannot train so.

    Parameters
    ----------
    recipe
        How is to be trained.
    where
        The places.
    graphs
        Whether a GPU's steps are recorded; None for the default.

    Raises
    ------
    QueryError
        Graphs, or kernels of `torch.compile`, are wanted at a place that has none.
    """
    for place in where:
        device = torch.device(place.device)
        are_used(device, recipe, graphs)
        if recipe.compile and not kind_named(device).compiles:
            raise QueryError("compiling takes minutes on a CPU and gains nothing there; leave --compile out")


class Heard:
    """Passes events on, and remembers whether anything came of the time that there was.

    Parameters
    ----------
    tell
        Called with each event.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._idle = True

    def __call__(self, event: Event) -> None:
        """Pass one on."""
        if event.kind in ("epoch", "end", "wait"):
            self._idle = False
        self._tell(event)

    def check(self, limit: TimeLimit | None) -> None:
        """Refuse a limit that leaves no epoch time to end: the same command would never come further."""
        if self._idle and limit is not None and limit.left() <= 0:
            raise TrainingError(
                f"no epoch ended within the time limit of {limit.end - limit.began:.0f} s, the last "
                f"{limit.grace:.0f} of which are for stopping; the same command would come no further; give "
                "it more time"
            )


def _work_here(job: Job, place: Place, data: DataSet, tell: Callable[[Event], None], stop: Stop) -> None:
    before = torch.get_num_threads()
    place.settle()
    try:
        work(job, place, tell, stop, data=data)
    finally:
        torch.set_num_threads(before)


class _Fleet:
    """Worker processes, each with a pipe of its own: a lock that one of them died with would stop all."""

    def __init__(self, job: Job, where: Sequence[Place], tell: Callable[[Event], None], stop: Stop) -> None:
        self._tell = tell
        self._stop = stop
        context = get_context("spawn")
        wait_passively()
        resource_tracker.ensure_running()  # it would let signals through as it starts
        self._workers: dict[Connection[Any, Any], Any] = {}
        self._orders: dict[Any, Connection[Any, Any]] = {}
        with held_back():
            try:
                for place in where:
                    self._start(context, job, place)
            except BaseException as error:
                self._order(AT_ONCE)
                self._join()
                if not isinstance(error, OSError):
                    raise
                raise TrainingError(
                    f"only {len(self._workers)} of {counted(len(where), 'worker')} could be started "
                    f"({one_line(error)}), and none trains now; ask for fewer (`--per-gpu`, `--gpus`), or "
                    "see what limits the processes of this machine (`ulimit -u`, `ulimit -n`)"
                ) from error

    def _start(self, context: SpawnContext, job: Job, place: Place) -> None:
        reader, writer = context.Pipe(duplex=False)
        theirs, orders = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(job, place, writer, theirs, os.getpid()))
        process.start()
        writer.close()
        theirs.close()
        self._workers[reader] = process
        self._orders[process] = orders

    def run(self) -> int:
        """Pass on events and signals until all are gone; how many ended badly."""
        bad = 0
        asked = False
        try:
            while self._workers:
                for reader in wait(list(self._workers), timeout=_LOOK):
                    bad += self._hear(reader)  # type: ignore[arg-type]
                if self._stop and not asked:
                    asked = True
                    self._order(AFTER_EPOCH)
        except KeyboardInterrupt:
            self._order(AT_ONCE)
            raise
        except BaseException:  # what they tell goes nowhere any more
            self._order(AFTER_EPOCH)
            raise
        finally:
            for reader in self._workers:
                reader.close()  # nobody is to wait until what it tells is read
            self._join()
        return bad

    def _join(self) -> None:
        """Wait for those that are left; who asks once more, or whose grace is over, stops them at once."""
        try:
            for process in self._workers.values():
                process.join()
        except KeyboardInterrupt:
            self._order(AT_ONCE)
            for process in self._workers.values():
                process.join()
            raise

    def _hear(self, reader: Connection[Any, Any]) -> bool:
        """Pass one event on; whether its worker has died."""
        try:
            self._tell(reader.recv())
        except EOFError:
            process = self._workers.pop(reader)
            process.join()
            if process.exitcode:
                self._tell(Event(f"process {process.pid}", "note", message=_farewell(process.exitcode)))
            return bool(process.exitcode)
        return False

    def _order(self, what: int) -> None:
        for process in self._workers.values():
            if process.is_alive():
                order(self._orders[process], what)
                os.kill(process.pid, signal.SIGINT)


def _farewell(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}; another worker goes on with its run"
    return f"ended with exit code {code}"


def _child(
    job: Job, place: Place, pipe: Connection[Any, Any], orders: Connection[Any, Any], parent: int
) -> None:
    """A worker process: signals of the terminal go to its parent, which passes them on."""
    os.setpgid(0, 0)
    place.settle()

    def tell(event: Event) -> None:
        with suppress(BrokenPipeError):  # the parent is gone, and `stop` knows
            pipe.send(event)

    try:
        with Stop(parent, orders).on_signals() as stop:
            work(job, place, tell, stop)
    except KeyboardInterrupt:
        sys.exit(130)
    except BloxError as error:
        tell(Event(f"process {os.getpid()}", "note", message=str(error)))
        sys.exit(1)
