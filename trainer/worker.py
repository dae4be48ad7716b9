"""One worker: claims runs, trains them, and leaves each so that anybody can go on with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sqlalchemy.exc import SQLAlchemyError

from bloxdb import space
from bloxdb.arguments import integer, number
from bloxdb.db.connection import locate, path_of
from bloxdb.db.database import Database, open
from bloxdb.errors import BloxError, QueryError, RunLostError, ServerAwayError, TrainingError, one_line
from bloxdb.files import expanded
from bloxdb.runs import EpochResult, Heartbeat, Intervals, RunQueue, RunRecord, environment_id, worker_name
from bloxdb.runs.outages import PATIENCE, patient
from bloxdb.runs.processes import shown

from .checkpoint import Checkpoint, DamagedCheckpointError, ForeignCheckpointError
from .data import load_data
from .devices import Place, is_of_a_device, is_out_of_memory, kind_of
from .environment import environment
from .graphs import recorder_for
from .identity import KEPT, NO_FOLDER
from .images import DataSet
from .limits import Pace, TimeLimit
from .loop import Training, kept_epoch
from .naming import check_recipe
from .recipe import TrainingRecipe
from .scalars import Scalars
from .stopping import Stop
from .weights import Keeper

_AT_ONCE = 5.0  # seconds to give a run back where a worker is to stop at once; then that is left to others


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


@dataclass(frozen=True)
class Event:
    """Something that happened to a worker.

    Attributes
    ----------
    worker
        The name of the worker.
    kind
        ``'start'``, ``'epoch'``, ``'end'`` of a run; ``'wait'`` for runs of others; ``'note'``.
    arch_id, epoch, epochs
        The architecture, its epoch, and the epochs of the recipe.
    top1
        Validation top-1 of the epoch, test top-1 at the end.
    images_per_second
        Training images, of the epoch with its validation.
    message
        A sentence.
    """

    worker: str
    kind: str
    arch_id: int = -1
    epoch: int = 0
    epochs: int = 0
    top1: float | None = None
    images_per_second: float = 0.0
    message: str = ""


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
        recipe = self.job.recipe
        checkpoint = Checkpoint(self.job.checkpoints, recipe.digest, record.arch_id, self.job.seed)
        failure = again = ""
        try:
            with Heartbeat(record, intervals=self.job.intervals) as heartbeat:
                self._train(record, checkpoint, heartbeat)
        except RunLostError as error:
            # whoever shows an event names the architecture
            self._say(record, "note", message=str(error).removeprefix(f"architecture {record.arch_id} "))
        except ServerAwayError:  # to whom nothing can be given back: others see that this one is gone
            raise
        except (BloxError, OSError, SQLAlchemyError):  # a disk, a closed pipe, a database
            with suppress(BloxError, OSError):
                record.release()
            raise
        except Exception as error:
            failure, memory = one_line(error), is_out_of_memory(error)
            with suppress(RunLostError):
                if is_of_a_device(error) and not memory:
                    record.release(failure)
                    again = "will be trained once more"
                elif not record.fail(failure, once_more=memory):
                    again = "will be trained once more"
            if not memory:
                told = again or "cannot be trained"
                raise TrainingError(f"architecture {record.arch_id} {told}: {failure}") from error
        except BaseException:
            with suppress(BloxError):
                record.release(wait=_AT_ONCE)
            raise
        finally:
            torch.set_num_threads(self.threads)
        kind_of(self.data.train.images.device).free()  # only here nothing holds the network's memory any more
        if again:
            self._say(record, "note", message=f"{again}: {failure}")
        elif failure:
            self._say(record, "end", message=f"failed: {failure}")

    def _train(self, record: RunRecord, checkpoint: Checkpoint, heartbeat: Heartbeat) -> None:
        recipe, seed, began = self.job.recipe, self.job.seed, time.monotonic()
        recorder = recorder_for(self.data.train.images.device, recipe, self.job.graphs)
        training = Training(space.arch_vec(record.arch_id), recipe, self.data, seed, recorder=recorder)
        training.device_workers = self.device_workers
        training.check = heartbeat.check
        keeper = Keeper(record.row(), self.job.keep_weights, self.job.weights_dir)
        self._resume(record, training, checkpoint)
        keeper.begin(training.epoch)
        self._say(record, "start", epoch=training.epoch)
        first = saved = training.epoch
        saved_at = time.monotonic()
        failed = partial(self._say, record, "note")
        with Scalars(self.job.tensorboard, recipe.name, record.arch_id, seed, failed=failed) as scalars:
            while training.epoch < recipe.epochs:
                if self.stop:
                    if training.epoch > saved:
                        self._save(record, training, checkpoint)
                    record.release()
                    self._say(record, "note", message=f"stopped after epoch {training.epoch}")
                    return
                before = training.train_time
                result = training.train_epoch()
                if not result.is_finite:
                    final = training.diverged()
                    keeper.end(final, training.best_weights)
                    record.finish(final)
                    checkpoint.remove()
                    message = f"diverged in epoch {result.epoch}"
                    self._say(record, "end", epoch=result.epoch, message=message)
                    return
                record.epoch(kept_epoch(result))
                scalars.epoch(result)
                keeper.epoch(result.epoch, training.network)
                if result.epoch < recipe.epochs and self._is_due(result.epoch, time.monotonic() - saved_at):
                    saved = result.epoch if self._save(record, training, checkpoint) else saved
                    saved_at = time.monotonic()
                self._say_epoch(record, result, training.train_time - before)
            final = training.finish()
            keeper.end(final, training.best_weights)
            record.finish(final)
            checkpoint.remove()
            scalars.end(final)
        self.pace.ended(time.monotonic() - began, recipe.epochs - first)
        top1 = None if final.test is None else final.test.top1
        self._say(record, "end", epoch=recipe.epochs, top1=top1, message="finished")

    def _save(self, record: RunRecord, training: Training, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint; where that cannot be, the run keeps the one before and goes on."""
        try:
            checkpoint.save(training.state())
        except OSError as error:
            problem = f"epoch {training.epoch} has no checkpoint, since nothing can be written to"
            kept = "the one before is kept" if checkpoint.path.exists() else "there is none before it"
            told = f"{problem} {checkpoint.path.parent}: {error.strerror}; {kept}"
            self._say(record, "note", message=told)
            return False
        return True

    def _is_due(self, epoch: int, seconds: float) -> bool:
        """Whether a checkpoint is to be written after an epoch, so long after the last one."""
        every, after = self.job.checkpoint_every, self.job.checkpoint_seconds
        return (every is not None and epoch % every == 0) or (after is not None and seconds >= after)

    def _resume(self, record: RunRecord, training: Training, checkpoint: Checkpoint) -> None:
        """Go on from the checkpoint, if there is a good one whose epochs the database has."""
        try:
            state = checkpoint.load(self.data.train.images.device)
            if state and (problem := training.misfit(state)):
                raise checkpoint.foreign(problem)
        except (DamagedCheckpointError, ForeignCheckpointError) as error:
            self._say(record, "note", message=f"{error}; the run starts from its first epoch")
            state = None
        if not record.begin(state["epoch"] if state else 0):
            self._say(
                record, "note", message="the database lacks epochs of the checkpoint; the run starts anew"
            )
            state = None
        if state:
            training.restore(state)
        else:
            checkpoint.remove()

    def _say_epoch(self, record: RunRecord, result: EpochResult, seconds: float) -> None:
        self._say(
            record,
            "epoch",
            epoch=result.epoch,
            top1=result.val.top1,
            images_per_second=len(self.data.train) / max(seconds, 1e-9),
        )

    def _say(self, record: RunRecord, kind: str, **more: Any) -> None:
        self.tell(Event(shown(self.name), kind, record.arch_id, epochs=self.job.recipe.epochs, **more))
