"""One worker: claims runs, trains them, and leaves each so that anybody can go on with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch

from bloxdb.arguments import integer, number
from bloxdb.db.connection import locate, path_of
from bloxdb.db.database import Database, open
from bloxdb.errors import QueryError
from bloxdb.files import expanded
from bloxdb.runs import Heartbeat, Intervals, RunQueue, RunRecord, environment_id, worker_name
from bloxdb.runs.outages import PATIENCE, patient
from bloxdb.runs.processes import shown

from .booking import Booking, Books, Event
from .course import Begun, Ended, Plan, course
from .data import load_data
from .devices import Place, kind_of
from .environment import environment
from .identity import KEPT, NO_FOLDER
from .images import DataSet
from .limits import Pace, TimeLimit
from .naming import check_recipe
from .recipe import TrainingRecipe
from .stopping import Stop


@dataclass(frozen=True)
class Job:
    """What a worker is to do; workers that get equal jobs share the work.

    Attributes
    ----------
    db
        The database's path or URL.
    arch_ids
        Architecture indices, in the order of training.
    recipe, seed
        The recipe and the seed that they are trained with.
    checkpoints
        The folder of checkpoints.
    data_dir
        The folder of the data set; None for its usual place.
    source
        A data set of one's own, an ``.npz`` file or ``module:function``; None for one that is known.
    checkpoint_every
        Epochs between two checkpoints; None for no matter how many.
    checkpoint_seconds
        Seconds after which the end of an epoch is a time for another one; None for no matter how many. After
        a crash so much is trained again, so it need not be shorter than it takes to notice one.
    intervals
        How often to give a sign of life, and when others count as dead.
    tensorboard
        A folder for scalars; None for none.
    graphs
        Whether a GPU's steps are recorded and replayed, which changes no number; None for
        `graphs.BY_DEFAULT`.
    keep_weights
        Which epochs' weights are kept, of `identity.KEPT`; None for none.
    weights_dir
        The folder of weights; None for ``DATABASE.weights`` beside the database.
    patience
        Seconds for which a server that is away is waited for.
    grace
        Seconds after which workers that were asked to stop after their epoch stop at once; None for never.
    limit
        Until when workers train; None for as long as there are runs.

    Raises
    ------
    QueryError
        There is no such choice of weights.
    """

    db: str
    arch_ids: tuple[int, ...]
    recipe: TrainingRecipe
    seed: int
    checkpoints: Path
    data_dir: Path | None = None
    source: str | None = None
    checkpoint_every: int | None = None
    checkpoint_seconds: float | None = 60.0
    intervals: Intervals = field(default_factory=Intervals)
    tensorboard: Path | None = None
    graphs: bool | None = None
    keep_weights: str | None = None
    weights_dir: Path | None = None
    patience: float = PATIENCE
    grace: float | None = None
    limit: TimeLimit | None = None

    def new_stop(self) -> Stop:
        """One that nobody has asked yet, with the grace and the limit of the job."""
        return Stop(grace=self.grace, limit=self.limit)

    @property
    def plan(self) -> Plan:
        """How its runs are computed."""
        return Plan(**{one.name: getattr(self, one.name) for one in fields(Plan)})

    def __post_init__(self) -> None:
        if self.keep_weights not in (None, *KEPT):
            raise QueryError(
                f"keep_weights is {self.keep_weights!r}; choose one of: {', '.join(KEPT)}, or None"
            )
        if self.keep_weights and self.weights_dir is None and path_of(locate(self.db)) is None:
            raise QueryError(NO_FOLDER)
        if self.checkpoint_every is not None:
            object.__setattr__(
                self, "checkpoint_every", integer(self.checkpoint_every, "checkpoint_every", low=1)
            )
        patient(self.patience)
        for name in ("checkpoint_seconds", "grace"):
            if (seconds := getattr(self, name)) is not None and not number(seconds, name) >= 0:
                raise QueryError(f"{name} is 0 or more, not {seconds}")
        for name in ("checkpoints", "data_dir", "tensorboard", "weights_dir"):
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, expanded(path))


def books_of(job: Job, tell: Callable[[Event], None]) -> Books:
    """How the runs of a job are written, and who is told of them."""
    return Books(job.plan, tell, job.weights_dir, job.tensorboard)


def data_of(job: Job, *, download: bool = False) -> DataSet:
    """The data set of a job, on the CPU.

    Raises
    ------
    MissingDataError
        It is not there.
    QueryError
        It is not the one that the recipe was made for.
    """
    return data_for(job.recipe, job.source, folder=job.data_dir, download=download)


def data_for(
    recipe: TrainingRecipe, source: str | None = None, *, folder: Path | None = None, download: bool = False
) -> DataSet:
    """The data set of a recipe, on the CPU.

    Parameters
    ----------
    recipe
        The recipe.
    source
        A data set of one's own; None for one that is known.
    folder
        The folder of the data set; None for its usual place.
    download
        Get it first if it is not there.

    Raises
    ------
    MissingDataError
        It is not there.
    QueryError
        It is not the one that the recipe was made for.
    """
    source = source or recipe.dataset
    data = load_data(source, folder=folder, download=download)
    if (data.name, data.digest) != (recipe.dataset, recipe.data_digest):
        raise QueryError(
            f"{source} is not the data set that the recipe was made for: {data.name} with digest "
            f"{data.digest}, not {recipe.dataset} with {recipe.data_digest}; has the file changed?"
        )
    return data


def prepare(db: Database, job: Job, data: DataSet) -> RunQueue:
    """The runs of a job, with a pending row for each that is new."""
    check_recipe(db.reader, job.recipe)
    queue = RunQueue(db, job.arch_ids, job.recipe.facts(data.sizes), job.seed, patience=job.patience)
    queue.fill()
    return queue


def work(
    job: Job, place: Place, tell: Callable[[Event], None], stop: Stop, *, data: DataSet | None = None
) -> None:
    """Train until no run of the job is left, or `stop`; `data` is that of the job, if it is there already.

    Raises
    ------
    BloxError
        The data set or the database cannot be used.
    """
    device = torch.device(place.device)
    with open(job.db, current=False) as db:
        data = (data or data_of(job)).to(device)
        queue = prepare(db, job, data)
        env_id = environment_id(environment(device), db)
        worker = Worker(job, data, tell, stop, place.workers)
        while not stop:
            if (short := worker.pace.too_little()) is not None:
                if queue.left():
                    told = "has {:.0f} s left, and begins no run, which takes about {:.0f} s".format(*short)
                    tell(Event(shown(worker.name), "note", message=told))
                return
            record = queue.claim(worker=worker.name, env_id=env_id, intervals=job.intervals)
            if record is not None:
                worker.train(record)
                continue
            left = queue.left()
            if not left:
                return
            tell(Event(shown(worker.name), "wait", message=f"waiting for the {left} last of other workers"))
            time.sleep(min(1.0, job.intervals.every))


class Worker:
    """Trains one claimed run after the other.

    Parameters
    ----------
    job
        What to do.
    data
        On the device that trains.
    tell
        Called with each event.
    stop
        Looked at after each epoch.
    device_workers
        How many workers share the device.
    """

    def __init__(
        self, job: Job, data: DataSet, tell: Callable[[Event], None], stop: Stop, device_workers: int = 1
    ) -> None:
        self.job = job
        self.device_workers = device_workers
        self.data = data
        self.tell = tell
        self.stop = stop
        self.name = worker_name()
        self.threads = torch.get_num_threads()
        self.pace = Pace(job.limit, job.recipe.epochs)

    def train(self, record: RunRecord) -> None:
        """Train a run to its end, or give it back where `stop` says so."""
        booking = Booking(books_of(self.job, self.tell), record, shown(self.name))
        try:
            with booking.faults(), Heartbeat(record, intervals=self.job.intervals) as heartbeat:
                while not self._through(booking, heartbeat):
                    pass  # once more, without the checkpoint
        finally:
            torch.set_num_threads(self.threads)
        kind_of(self.data.train.images.device).free()  # only here nothing holds the network's memory any more

    def _through(self, booking: Booking, heartbeat: Heartbeat) -> bool:
        """Compute a run and write it, step by step; False where it is to start anew after all."""
        steps = course(
            self.job.plan,
            booking.record.arch_id,
            self.data,
            booking.saved(),
            lambda: bool(self.stop),
            check=heartbeat.check,
            device_workers=self.device_workers,
        )
        began, first = time.monotonic(), 0
        with closing(steps):
            for step in steps:
                if not booking.take(step):
                    return False
                if isinstance(step, Begun):
                    first = step.epoch
                elif isinstance(step, Ended) and not step.result.diverged:
                    self.pace.ended(time.monotonic() - began, step.epoch - first)
        return True
