"""The course of one run where it is computed, told step by step; what becomes of the steps is `booking`'s.

A worker computes in its own process, a node of a Ray cluster on another machine: both go through `course`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from bloxdb import space
from bloxdb.runs.results import EpochResult, RunResult

from .checkpoint import Checkpoint, DamagedCheckpointError, ForeignCheckpointError
from .graphs import recorder_for
from .images import DataSet
from .loop import Training, kept_epoch
from .recipe import TrainingRecipe
from .weights import State, is_kept


@dataclass(frozen=True)
class Plan:
    """How runs are computed, whichever they are and wherever that is; `worker.Job` has its fields, too."""

    recipe: TrainingRecipe
    seed: int
    checkpoints: Path
    checkpoint_every: int | None
    checkpoint_seconds: float | None
    graphs: bool | None
    keep_weights: str | None

    def checkpoint(self, arch_id: int) -> Checkpoint:
        """The checkpoint of a run."""
        return Checkpoint(self.checkpoints, self.recipe.digest, arch_id, self.seed)

    def is_due(self, epoch: int, seconds: float) -> bool:
        """Whether a checkpoint is to be written after an epoch, so long after the last one."""
        every, after = self.checkpoint_every, self.checkpoint_seconds
        if epoch >= self.recipe.epochs:
            return False
        return (every is not None and epoch % every == 0) or (after is not None and seconds >= after)


@dataclass(frozen=True)
class Begun:
    """The run begins, or goes on.

    Attributes
    ----------
    epoch
        How many epochs are done.
    problem
        Why it does not go on from the checkpoint that there was; empty where it does, or there was none.
    """

    epoch: int
    problem: str = ""


@dataclass(frozen=True)
class Trained:
    """An epoch has ended.

    Attributes
    ----------
    result
        What was measured, as a database can keep it.
    images_per_second
        Training images, of the epoch with its validation.
    checkpoint
        The run as it is now, where that is to be kept.
    weights
        The network's, where these are to be kept.
    """

    result: EpochResult
    images_per_second: float
    checkpoint: bytes | None = None
    weights: State | None = None


@dataclass(frozen=True)
class Stopped:
    """The run stopped after an epoch, since that was asked for; with its checkpoint, if it has come on."""

    epoch: int
    checkpoint: bytes | None = None


@dataclass(frozen=True)
class Ended:
    """The run has ended, or diverged, in an epoch; with the weights of its best one, where they are kept."""

    epoch: int
    result: RunResult
    weights: State


Step = Begun | Trained | Stopped | Ended


def course(
    plan: Plan,
    arch_id: int,
    data: DataSet,
    saved: bytes | None,
    stop: Callable[[], bool],
    *,
    check: Callable[[], None] | None = None,
    device_workers: int = 1,
) -> Generator[Step, None, None]:
    """Train an architecture, each epoch when the next step is asked for.

    Parameters
    ----------
    plan, arch_id
        What is trained, and how.
    data
        The data set, on the device that trains.
    saved
        The checkpoint to go on from; None to begin anew.
    stop
        Asked before each epoch.
    check
        As `Training.check`.
    device_workers
        How many workers share the device.

    Yields
    ------
    Step
        `Begun`, `Trained` for each epoch, and `Ended` or `Stopped`. Weights are those of the network as long
        as no other step is asked for.
    """

    def best(training: Training) -> State:
        return training.best_weights if plan.keep_weights else {}

    recipe, checkpoint = plan.recipe, plan.checkpoint(arch_id)
    recorder = recorder_for(data.train.images.device, recipe, plan.graphs)
    training = Training(space.arch_vec(arch_id), recipe, data, plan.seed, recorder=recorder)
    training.device_workers = device_workers
    if check is not None:
        training.check = check
    yield Begun(problem="" if saved is None else _restore(training, checkpoint, saved), epoch=training.epoch)
    begun_at, saved_at = training.epoch, time.monotonic()
    while training.epoch < recipe.epochs:
        if stop():
            come_on = training.epoch > begun_at
            yield Stopped(training.epoch, checkpoint.packed(training.state()) if come_on else None)
            return
        before = training.train_time
        result = training.train_epoch()
        if not result.is_finite:
            yield Ended(result.epoch, training.diverged(), best(training))
            return
        due = plan.is_due(result.epoch, time.monotonic() - saved_at)
        kept = is_kept(plan.keep_weights, result.epoch, recipe.epochs)
        yield Trained(
            kept_epoch(result),
            len(data.train) / max(training.train_time - before, 1e-9),
            checkpoint.packed(training.state()) if due else None,
            training.network.state_dict() if kept else None,
        )
        saved_at = time.monotonic() if due else saved_at
    yield Ended(recipe.epochs, training.finish(), best(training))


def _restore(training: Training, checkpoint: Checkpoint, saved: bytes) -> str:
    """Let a training go on from a checkpoint; why that cannot be, where it cannot."""
    try:
        state = checkpoint.unpacked(saved, training.device)
        if problem := training.misfit(state):
            raise checkpoint.foreign(problem)
    except (DamagedCheckpointError, ForeignCheckpointError) as error:
        return str(error)
    training.restore(state)
    return ""
