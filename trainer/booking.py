"""What becomes of a claimed run, wherever it is computed: its rows, its files, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bloxdb.errors import BloxError, RunLostError, ServerAwayError, TrainingError
from bloxdb.runs.record import RunRecord

from .checkpoint import ForeignCheckpointError
from .course import Begun, Ended, Plan, Step, Stopped, Trained
from .faults import DEVICE, MEMORY, PLACE, fault_of
from .scalars import Scalars
from .weights import Keeper

_AT_ONCE = 5.0  # seconds to give a run back where a worker is to stop at once; then that is left to others
_ANEW = "the run starts from its first epoch"


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


@dataclass(frozen=True)
class Books:
    """What the bookings of a job have in common.

    Attributes
    ----------
    plan
        How its runs are computed.
    tell
        Called with each event.
    weights_dir
        The folder of weights; beside the database if None.
    tensorboard
        The folder of scalars; None for none.
    """

    plan: Plan
    tell: Callable[[Event], None]
    weights_dir: Path | None = None
    tensorboard: Path | None = None


class Booking:
    """Writes the steps of one run, and books its errors.

    Parameters
    ----------
    books
        What it has in common with other runs.
    record
        The run, as it was claimed.
    worker
        Who computes it, as people know that.

    Attributes
    ----------
    record
        The run.
    worker
        As given; who computes it may change.
    env_id
        The id of the environment that it is trained in; None for what the claim said.
    is_over
        Whether nothing more is to be computed: the run has ended, was given back, or is somebody else's.
    """

    def __init__(self, books: Books, record: RunRecord, worker: str) -> None:
        self.record = record
        self.worker = worker
        self.env_id: int | None = None
        self.is_over = False
        self._books = books
        self._checkpoint = books.plan.checkpoint(record.arch_id)
        self._saved = 0
        self._scalars: Scalars | None = None

    def saved(self) -> bytes | None:
        """The checkpoint to go on from; None where there is none, or no file."""
        try:
            return self._checkpoint.read()
        except ForeignCheckpointError as error:
            self.note(f"{error}; {_ANEW}")
            return None

    def take(self, step: Step) -> bool:
        """Write a step of the run; False where the run is to be computed from its first epoch after all."""
        match step:
            case Begun():
                return self._begin(step)
            case Trained():
                self._epoch(step)
            case Stopped():
                if step.checkpoint is not None and step.epoch > self._saved:
                    self._save(step.epoch, step.checkpoint)
                self.record.release()
                self._over("note", message=f"stopped after epoch {step.epoch}")
            case Ended():
                self._end(step)
        return True

    def _begin(self, step: Begun) -> bool:
        if step.problem:
            self.note(f"{step.problem}; {_ANEW}")
        if not self.record.begin(step.epoch, env_id=self.env_id):
            self.note("the database lacks epochs of the checkpoint; the run starts anew")
            self._checkpoint.remove()
            return False
        if not step.epoch:
            self._checkpoint.remove()
        books, plan, record = self._books, self._books.plan, self.record
        self._saved = step.epoch
        self._keeper = Keeper(record.row(), plan.keep_weights, books.weights_dir)
        self._keeper.begin(step.epoch)
        self.say("start", epoch=step.epoch)
        if self._scalars is None:
            run = plan.recipe.name, record.arch_id, plan.seed
            self._scalars = Scalars(books.tensorboard, *run, failed=self.note)
        return True

    def _epoch(self, step: Trained) -> None:
        epoch = step.result.epoch
        self.record.epoch(step.result)
        if self._scalars is not None:
            self._scalars.epoch(step.result)
        if step.weights is not None:
            self._keeper.epoch(epoch, step.weights)
        if step.checkpoint is not None:
            self._save(epoch, step.checkpoint)
        top1, speed = step.result.val.top1, step.images_per_second
        self.say("epoch", epoch=epoch, top1=top1, images_per_second=speed)

    def _save(self, epoch: int, data: bytes) -> None:
        """Write a checkpoint; where that cannot be, the run keeps the one before and goes on."""
        try:
            self._checkpoint.write(data)
        except OSError as error:
            path = self._checkpoint.path
            problem = f"epoch {epoch} has no checkpoint, since nothing can be written to {path.parent}"
            kept = "the one before is kept" if path.exists() else "there is none before it"
            self.note(f"{problem}: {error.strerror}; {kept}")
        else:
            self._saved = epoch

    def _end(self, step: Ended) -> None:
        result = step.result
        self._keeper.end(result, step.weights)
        self.record.finish(result)
        self._checkpoint.remove()
        if result.diverged:
            self._over("end", epoch=step.epoch, message=f"diverged in epoch {step.epoch}")
            return
        if self._scalars is not None:
            self._scalars.end(result)
        top1 = None if result.test is None else result.test.top1
        self._over("end", epoch=step.epoch, top1=top1, message="finished")

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Book what goes wrong within the block.

        A run that is lost, or had no memory, is told, and whoever computes goes on with the next one.

        Raises
        ------
        TrainingError
            It was something else, which the next run would have as well.
        """
        try:
            yield
        except RunLostError as error:
            # whoever shows an event names the architecture
            self._over("note", message=str(error).removeprefix(f"architecture {self.record.arch_id} "))
        except ServerAwayError:  # to whom nothing can be given back: others see that this one is gone
            self._close()
            raise
        except (BloxError, OSError, SQLAlchemyError):  # a disk, a closed pipe, a database
            self._close()
            with suppress(BloxError, OSError):
                self.record.release()
            raise
        except Exception as error:
            self._blame(error)
        except BaseException:
            self.give_back(at_once=True)
            raise

    def _blame(self, error: Exception) -> None:
        self._close()
        fault, again = fault_of(error), False
        with suppress(RunLostError):
            if fault.of in (PLACE, DEVICE):
                self.record.release(fault.told if fault.of == DEVICE else None)
                again = True
            else:
                again = not self.record.fail(fault.told, once_more=fault.of == MEMORY)
        if fault.of != MEMORY:
            told = "will be trained once more" if again else "cannot be trained"
            raise TrainingError(f"architecture {self.record.arch_id} {told}: {fault.told}") from error
        if again:
            self._over("note", message=f"will be trained once more: {fault.told}")
        else:
            self._over("end", message=f"failed: {fault.told}")

    def give_back(self, *, at_once: bool = False) -> None:
        """Give the run back as it is, for somebody to go on with from its last checkpoint."""
        self._close()
        with suppress(BloxError):
            self.record.release(wait=_AT_ONCE if at_once else None)

    def note(self, message: str) -> None:
        """Tell a sentence about the run."""
        self.say("note", message=message)

    def say(self, kind: str, **more: Any) -> None:
        """Tell something about the run, as `Event` has it."""
        epochs = self._books.plan.recipe.epochs
        self._books.tell(Event(self.worker, kind, self.record.arch_id, epochs=epochs, **more))

    def _over(self, kind: str, **more: Any) -> None:
        self._close()
        self.say(kind, **more)

    def _close(self) -> None:
        self.is_over = True
        scalars, self._scalars = self._scalars, None
        if scalars is not None:
            scalars.close()
