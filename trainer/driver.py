"""The driver of a Ray cluster: it has the database, claims runs and writes them; nodes compute them."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bloxdb.errors import TrainingError
from bloxdb.runs import RunQueue, environment_id, worker_name
from bloxdb.runs.heartbeat import Heartbeats
from bloxdb.runs.outages import through_outages

from .booking import Booking, Event
from .cluster import Cluster, Lost, Stream
from .course import Ended, Stopped, Trained
from .faults import MEMORY, Fault, FaultError
from .fleet import Heard, readied
from .images import DataSet
from .nodes import Order, packed
from .stopping import Stop
from .worker import Job, books_of

_LOOK = 0.5  # seconds between two looks at signals, and at nodes that came or went
_LOSSES = 3  # workers that may die of a run without an epoch between, before it counts as out of memory
_NAME = "Ray"  # who tells what no node has told
_LAST = (Ended, Stopped, Fault, Lost)  # what nothing of a run comes after


def train(
    job: Job,
    cluster: Cluster,
    tell: Callable[[Event], None],
    data: DataSet,
    *,
    stop: Stop | None = None,
) -> bool:
    """Train a job on the nodes of a cluster.

    Parameters
    ----------
    job
        What to train.
    cluster
        Where.
    tell
        Called with the events of all runs.
    data
        The data set of the job, on the CPU.
    stop
        As of `fleet.train`.

    Returns
    -------
    bool
        Whether all runs have ended.

    Raises
    ------
    TrainingError
        No node is left that can train, or the time limit is shorter than an epoch.
    DatabaseError
        The database cannot be used.
    QueryError
        Nodes cannot train so.
    """
    stop, heard = job.new_stop() if stop is None else stop, Heard(tell)
    cluster.check(job.recipe, job.graphs)
    with readied(job, data, heard, stop) as queue:
        cluster.keep(packed(data))
        Driver(job, cluster, queue, heard, stop).run()
        left = queue.left()
    return not left


@dataclass
class _Run:
    """A run that was sent to the cluster.

    Attributes
    ----------
    booking
        What becomes of it.
    node
        The id of the node that computes it; empty while it waits for one.
    epoch
        Its last epoch that was written.
    losses
        How many workers it has lost since.
    """

    booking: Booking
    node: str = ""
    epoch: int = 0
    losses: int = 0


class Driver:
    """Keeps a cluster busy with runs, and writes what comes back.

    Parameters
    ----------
    job, cluster
        What to train, and where.
    queue
        The runs of the job.
    tell
        Called with each event.
    stop
        Looked at all the time.
    """

    def __init__(
        self, job: Job, cluster: Cluster, queue: RunQueue, tell: Callable[[Event], None], stop: Stop
    ) -> None:
        self._job = job
        self._books = books_of(job, tell)
        self._cluster = cluster
        self._queue = queue
        self._tell = tell
        self._stop = stop
        self._name = worker_name()
        self._runs: dict[Stream, _Run] = {}
        self._beats = Heartbeats(intervals=job.intervals)
        self._environments: dict[tuple[tuple[str, str], ...], int] = {}
        self._faults: Counter[str] = Counter()  # by node
        self._rooms: dict[str, int] = {}
        self._claim_at = self._look_at = 0.0
        self._asked = self._is_waiting = False

    def run(self) -> None:
        """Train until no run is left, or `stop`."""
        try:
            with self._beats:
                while self._go_on():
                    for stream in self._ready():
                        self._hear(stream)
                    self._let_lost_go()
        finally:  # what is left was not to end so: give it to others
            for stream, run in self._runs.items():
                if not run.booking.is_over:
                    run.booking.give_back(at_once=True)
                self._cluster.cancel(stream)

    def _go_on(self) -> bool:
        """Send runs where there is room; whether anything is to come."""
        if self._stop:
            self._stop_after_epochs()
            return bool(self._runs)
        self._look()
        self._fill()
        if self._runs:
            return True
        left = self._queue.left()
        if left:
            self._tell(Event(_NAME, "wait", message=f"waiting for the {left} last of other workers"))
            time.sleep(min(1.0, self._job.intervals.every))
        return bool(left)

    def _stop_after_epochs(self) -> None:
        """Ask nodes to stop, once, and take back what none has begun."""
        if self._asked:
            return
        self._asked = True
        self._cluster.ask_to_stop()
        for stream, run in list(self._runs.items()):
            if not run.node:
                run.booking.give_back()
                self._drop(stream)

    def _look(self) -> None:
        """See which nodes there are.

        Raises
        ------
        TrainingError
            None is left, since all had errors.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK
        self._rooms = self._cluster.rooms()
        if self._rooms or not self._runs:
            self._is_waiting = False
            return
        if self._cluster.avoided and not any(run.node for run in self._runs.values()):
            raise TrainingError("all nodes ended with errors; the same command goes on when they are mended")
        if not (self._is_waiting or self._cluster.avoided):
            self._is_waiting = True
            self._tell(Event(_NAME, "note", message="has no node for a run; waiting for one"))

    def _fill(self) -> None:
        """Claim and send as many runs as the nodes hold, and a few that take the place of those that end."""
        room = sum(self._rooms.values())
        most = room + 1 + room // 50
        while len(self._runs) < most and time.monotonic() >= self._claim_at and not self._stop:
            record = self._queue.claim(worker=self._name, intervals=self._job.intervals)
            if record is None:  # asking costs a look at all runs
                self._claim_at = time.monotonic() + min(1.0, self._job.intervals.every)
                return
            run = _Run(Booking(self._books, record, _NAME))
            self._beats.add(record)
            with run.booking.faults():
                self._send(run)

    def _send(self, run: _Run) -> None:
        """Let some node compute a run, from its last checkpoint."""
        run.node = ""
        order = Order(self._job.plan, run.booking.record.arch_id, run.booking.saved(), self._cluster.share)
        self._runs[self._cluster.send(pickle.dumps(order))] = run

    def _again(self, stream: Stream) -> None:
        run = self._runs.pop(stream)
        self._cluster.cancel(stream)
        self._send(run)

    def _drop(self, stream: Stream, *, is_computed: bool = True) -> None:
        """Forget a run, and let nobody compute it any more."""
        self._beats.drop(self._runs.pop(stream).booking.record)
        if is_computed:
            self._cluster.cancel(stream)

    def _ready(self) -> list[Stream]:
        return self._cluster.ready(list(self._runs), _LOOK) if self._runs else []

    def _hear(self, stream: Stream) -> None:
        """Take what a node tells of a run, or that it tells nothing any more."""
        run = self._runs[stream]
        told = self._cluster.next(stream)
        try:
            with run.booking.faults():
                self._take(stream, run, told)
        except TrainingError as error:
            self._count(run, error)
        if run.booking.is_over:
            self._drop(stream, is_computed=not isinstance(told, _LAST))

    def _take(self, stream: Stream, run: _Run, told: Any) -> None:
        match told:
            case tuple():
                run.node, run.booking.worker = told
            case str():
                self._avoid(run, f"{told}; its node gets no runs")
                self._again(stream)
            case dict():
                run.booking.env_id = self._environment(told)
            case Fault():
                raise FaultError(told)
            case Lost():
                self._lost(stream, run, told)
            case _ if not run.booking.take(told):  # all that is left are steps, which are written here
                self._again(stream)
            case Trained() if told.result.epoch > run.epoch:
                run.epoch, run.losses = told.result.epoch, 0

    def _lost(self, stream: Stream, run: _Run, lost: Lost) -> None:
        """Let a run whose worker is gone go on elsewhere; one that ends its workers had no memory."""
        if self._stop:
            run.booking.note(f"{lost.told}; given back")
            run.booking.give_back()
            return
        run.losses += 1
        if lost.of_memory:
            raise FaultError(Fault(MEMORY, lost.told))
        if run.losses >= _LOSSES:
            times = f"{_LOSSES} times since epoch {run.epoch}"
            raise FaultError(Fault(MEMORY, f"{lost.told}, {times}, as it does without memory"))
        run.booking.note(f"{lost.told}; it goes on from its last checkpoint")
        self._again(stream)

    def _let_lost_go(self) -> None:
        """Leave runs that somebody else has taken over."""
        for stream, run in list(self._runs.items()):
            with run.booking.faults():
                self._beats.check(run.booking.record)
            if run.booking.is_over:
                self._drop(stream)

    def _count(self, run: _Run, error: TrainingError) -> None:
        """Each such error costs a node the place of a run, as it ends a worker."""
        self._tell(Event(run.booking.worker, "note", message=str(error)))
        self._faults[run.node] += 1
        if self._faults[run.node] >= self._rooms.get(run.node, 1):
            self._avoid(run, "had as many errors as its node holds runs; that gets no more")

    def _avoid(self, run: _Run, why: str) -> None:
        if run.node not in self._cluster.avoided:
            self._cluster.avoided.add(run.node)
            self._look_at = 0.0
            self._tell(Event(run.booking.worker, "note", message=why))

    def _environment(self, facts: dict[str, str]) -> int:
        """The id of the environment that a node told."""
        key = tuple(facts.items())
        if key not in self._environments:
            known = partial(environment_id, facts, self._queue.db)
            self._environments[key] = through_outages(lambda again: known(), self._job.patience)
        return self._environments[key]
