"""Writing a run into the database as it happens, each step in a transaction of its own."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from bloxdb.codecs.fixed import MICRO, MILLI
from bloxdb.database import Database
from bloxdb.errors import ReleaseError
from bloxdb.schema import Env, Epoch, Recipe, Run
from trainer.data import DataSet
from trainer.loop import EpochResult, RunResult
from trainer.recipe import Recipe as TrainingRecipe


class RunTakenError(Exception):
    """The run is finished, or another worker has it; the text says which."""


def store_recipe(db: Database, recipe: TrainingRecipe, data: DataSet) -> int:
    """The id of a recipe, which is stored if it is new.

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
        "config": recipe.config(),
    }
    with db.transaction() as session:
        found = session.scalar(select(Recipe).where(Recipe.name == recipe.name))
        if found is None:
            found = Recipe(name=recipe.name, **fields)
            session.add(found)
            session.flush()
        elif {name: getattr(found, name) for name in fields} != fields:
            raise ReleaseError(
                f"the database has another recipe named {recipe.name}; train into another database"
            )
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
    """One run in the database, from claim to result."""

    def __init__(self, db: Database, run_id: int) -> None:
        self.db = db
        self.run_id = run_id

    @classmethod
    def claim(cls, db: Database, arch_id: int, recipe_id: int, seed: int, env_id: int) -> RunRecord:
        """Make the run ours, before its first epoch; what an earlier try left of it is removed.

        Raises
        ------
        RunTakenError
            It is finished or diverged, or its worker is alive.
        """
        key = {"arch_id": arch_id, "recipe_id": recipe_id, "seed": seed}
        state = {"status": "running", "env_id": env_id, "worker": _worker(), "started_at": _now()}
        with db.transaction() as session:
            found = session.scalar(select(Run).filter_by(**key))
            if found is None:
                found = Run(**key, **state, heartbeat_at=_now())
                session.add(found)
                session.flush()
            else:
                _check_free(found)
                session.execute(delete(Epoch).where(Epoch.run_id == found.id))
                _update(session, found.id, **state, heartbeat_at=_now())
            return cls(db, found.id)

    def epoch(self, result: EpochResult) -> None:
        """Write an epoch that has ended."""
        row: dict[str, int] = {"run_id": self.run_id, "epoch": result.epoch}
        for part, metrics in (("train", result.train), ("val", result.val)):
            row[f"{part}_top1_milli"] = round(metrics.top1 * MILLI)
            row[f"{part}_top5_milli"] = round(metrics.top5 * MILLI)
            row[f"{part}_loss_micro"] = round(metrics.loss * MICRO)
        with self.db.transaction() as session:
            session.execute(insert(Epoch).values(**row))
            _update(session, self.run_id, heartbeat_at=_now())

    def finish(self, result: RunResult) -> None:
        """Write the end of the run; the release's precision, as the epochs have it."""
        fields: dict[str, Any] = {
            "status": "diverged" if result.diverged else "finished",
            "finished_at": _now(),
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
            _update(session, self.run_id, **fields)

    def release(self) -> None:
        """Give an interrupted run back; its epochs stay until somebody starts it again."""
        with self.db.transaction() as session:
            _update(session, self.run_id, status="pending", worker=None)


def _update(session: Session, run_id: int, **fields: Any) -> None:
    session.execute(update(Run).where(Run.id == run_id).values(**fields))


def _check_free(run: Run) -> None:
    if run.status in ("finished", "diverged"):
        raise RunTakenError(f"{run.status} already")
    if run.status == "running" and _is_alive(run.worker or ""):
        raise RunTakenError(f"{run.worker} is training it")


def _worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _is_alive(worker: str) -> bool:
    """Whether a worker may still be running; of another machine we cannot tell, so it may."""
    node, _, pid = worker.rpartition(":")
    if node != platform.node():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
