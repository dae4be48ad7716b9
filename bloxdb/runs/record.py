"""Writing a run into the database as it happens, each step in a transaction of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.db.database import Database
from bloxdb.db.dialects import utc_now
from bloxdb.db.schema import Env, Epoch, Recipe, Run
from bloxdb.errors import ReleaseError
from bloxdb.measures import MICRO, MILLI
from bloxdb.runs.results import EpochResult, RunResult

if TYPE_CHECKING:
    from bloxdb.trainer.data import DataSet
    from bloxdb.trainer.recipe import Recipe as TrainingRecipe


class RunLostError(Exception):
    """Another worker has taken the run over, because this one gave no sign of life for too long."""


def store_recipe(db: Database, recipe: TrainingRecipe, data: DataSet) -> int:
    """The id of a recipe, which is stored if it is new.

    A recipe of the same name that came with release files, which say no more than data set and epochs, is
    taken to be this one.

    Raises
    ------
    ReleaseError
        Another recipe has the same name: its results would be mixed with these.
    """
    fields: dict[str, Any] = {
        "dataset": recipe.dataset,
        "epochs": recipe.epochs,
        "train_images": len(data.train),
        "val_images": len(data.val),
        "test_images": len(data.test),
    }
    with db.transaction() as session:
        found = session.scalar(select(Recipe).where(Recipe.name == recipe.name))
        if found is None:
            found = Recipe(name=recipe.name, config=recipe.config(), digest=recipe.digest, **fields)
            session.add(found)
            session.flush()
            return found.id
        if {name: getattr(found, name) for name in fields} != fields or found.digest not in (
            None,
            recipe.digest,
        ):
            raise ReleaseError(
                f"{db.name} has another recipe named {recipe.name} ({found.dataset}, {found.epochs} epochs, "
                f"{found.train_images} training images); train into another database"
            )
        if found.digest is None:
            found.config, found.digest = recipe.config(), recipe.digest
        return found.id


def store_environment(db: Database, fields: dict[str, str]) -> int:
    """The id of an environment, which is stored if it is new."""
    with db.transaction() as session:
        found = session.scalar(select(Env).filter_by(**fields))
        if found is None:
            found = Env(**fields)
            session.add(found)
            session.flush()
        return found.id


class RunRecord:
    """A run that a worker has claimed, from its first epoch to its result.

    Every change is made only while the run is still this worker's; each method that writes raises
    `RunLostError` if it is not.

    Attributes
    ----------
    run_id, arch_id
        The run, and its architecture's index.
    worker
        The worker that has it.
    """

    def __init__(self, db: Database, run_id: int, arch_id: int, worker: str) -> None:
        self.db = db
        self.run_id = run_id
        self.arch_id = arch_id
        self.worker = worker

    def begin(self, done: int) -> bool:
        """Go on after so many epochs; what was written of later ones is removed.

        Returns
        -------
        bool
            False if the database does not have them all: then all epochs are removed, and 0 are done.
        """
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())
            count = select(func.count()).where(Epoch.run_id == self.run_id, Epoch.epoch <= done)
            whole = session.scalar(count) == done
            first = done if whole else 0
            session.execute(delete(Epoch).where(Epoch.run_id == self.run_id, Epoch.epoch > first))
        return whole

    def epoch(self, result: EpochResult) -> None:
        """Write an epoch that has ended, in the release's precision."""
        row: dict[str, int] = {"run_id": self.run_id, "epoch": result.epoch}
        for part, metrics in (("train", result.train), ("val", result.val)):
            row[f"{part}_top1_milli"] = round(metrics.top1 * MILLI)
            row[f"{part}_top5_milli"] = round(metrics.top5 * MILLI)
            row[f"{part}_loss_micro"] = round(metrics.loss * MICRO)
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())
            session.execute(insert(Epoch).values(**row))

    def finish(self, result: RunResult) -> None:
        """Write the end of the run."""
        fields: dict[str, Any] = {
            "status": "diverged" if result.diverged else "finished",
            "finished_at": utc_now(),
            "train_time_s": round(result.train_time),
        }
        if result.best is not None:
            fields["best_epoch"] = result.best.epoch
            fields["val_top1"] = round(result.best.val.top1 * MILLI) / MILLI
        if result.test is not None:
            fields["test_top1"] = round(result.test.top1 * MILLI) / MILLI
            fields["test_top5"] = round(result.test.top5 * MILLI) / MILLI
            fields["test_loss"] = round(result.test.loss * MICRO) / MICRO
        with self.db.transaction() as session:
            self._change(session, **fields)

    def fail(self, message: str) -> None:
        """Write that the run cannot be trained, and why."""
        with self.db.transaction() as session:
            self._change(session, status="failed", message=message, finished_at=utc_now())

    def beat(self) -> None:
        """Give a sign of life."""
        with self.db.transaction() as session:
            self._change(session, heartbeat_at=utc_now())

    def release(self) -> None:
        """Give the run back as it is, for somebody to go on with."""
        with self.db.transaction() as session:
            self._change(session, status="pending", worker=None)

    def _change(self, session: Session, **fields: Any) -> None:
        ours = (Run.id == self.run_id, Run.worker == self.worker, Run.status == "running")
        done: CursorResult[Any] = session.execute(update(Run).where(*ours).values(**fields))  # type: ignore[assignment]
        if done.rowcount != 1:
            raise RunLostError(f"architecture {self.arch_id} was taken over by another worker")
