"""What has been trained, what is being trained, what is missing, and what went wrong."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, update

from bloxdb.db.database import Database, current
from bloxdb.db.dialects import utc_now
from bloxdb.db.schema import STATUSES, Arch, Epoch, Recipe, Run
from bloxdb.errors import QueryError
from bloxdb.queries import Row, find_recipe, rows_of

RETRIED = ("failed", "diverged")
"""What `retry` can be asked to train once more."""


def progress(db: Database | None = None) -> list[Row]:
    """Runs by recipe, seed and status: one row a recipe and seed.

    A count a status; ``missing`` counts the architectures without a finished run; ``best``, ``median`` and
    ``worst`` are test top-1 in percent.
    """
    db = db or current()
    total = db.reader.scalar(select(func.count()).select_from(Arch)) or 0
    counts = [func.count().filter(Run.status == status).label(status) for status in STATUSES]
    query = (
        select(Recipe.name.label("recipe"), Recipe.epochs, Recipe.id, Run.seed, *counts)
        .join(Recipe)
        .group_by(Recipe.id, Recipe.name, Recipe.epochs, Run.seed)
        .order_by(Recipe.name, Run.seed)
    )
    rows = []
    for row in rows_of(db, query):
        recipe_id = row.pop("id")
        rows.append({**row, "missing": total - row["finished"], **_quantiles(db, recipe_id, row["seed"])})
    return rows


def _quantiles(db: Database, recipe_id: int, seed: int) -> Row:
    """The best, the median and the worst test top-1."""
    query = (
        select(Run.test_top1)
        .where(Run.recipe_id == recipe_id, Run.seed == seed, Run.status == "finished")
        .where(Run.test_top1.is_not(None))
        .order_by(Run.test_top1.desc())
    )
    values = [value for value in db.reader.scalars(query) if value is not None]
    if not values:
        return {"best": None, "median": None, "worst": None}
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return {"best": values[0], "median": round(middle, 4), "worst": values[-1]}


def gaps(recipe: str, seed: int, db: Database | None = None) -> list[tuple[int, int]]:
    """Architectures without a finished run, as inclusive ranges of indices, in order."""
    db = db or current()
    done = set(
        db.reader.scalars(
            select(Run.arch_id)
            .join(Recipe)
            .where(Recipe.name == recipe, Run.seed == seed, Run.status == "finished")
        )
    )
    ranges: list[tuple[int, int]] = []
    for index in db.reader.scalars(select(Arch.id).order_by(Arch.id)):
        if index in done:
            continue
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    return ranges


def workers(db: Database | None = None) -> list[Row]:
    """What is being trained: a row a run, with its worker, last epoch, and seconds since the last beat."""
    db = db or current()
    last_epoch = select(func.max(Epoch.epoch)).where(Epoch.run_id == Run.id).correlate(Run).scalar_subquery()
    query = (
        select(
            Run.worker,
            Run.arch_id,
            Recipe.name.label("recipe"),
            Run.seed,
            func.coalesce(last_epoch, 0).label("epoch"),
            Recipe.epochs,
            Run.heartbeat_at,
            utc_now().label("now"),
        )
        .join(Recipe)
        .where(Run.status == "running")
        .order_by(Run.worker, Run.arch_id)
    )
    rows = []
    for row in rows_of(db, query):
        now, beat = row.pop("now"), row.pop("heartbeat_at")
        rows.append({**row, "last_beat_s": None if beat is None else round((now - beat).total_seconds(), 1)})
    return rows


def failures(db: Database | None = None) -> list[Row]:
    """Runs that failed or diverged, with what was said of them."""
    db = db or current()
    columns = (Run.arch_id, Recipe.name.label("recipe"), Run.seed, Run.status, Run.message)
    query = select(*columns).join(Recipe).where(Run.status.in_(RETRIED))
    return rows_of(db, query.order_by(Recipe.name, Run.seed, Run.arch_id))


def retry(
    statuses: Collection[str],
    *,
    recipe: str | None = None,
    seed: int | None = None,
    db: Database | None = None,
) -> int:
    """Let runs be trained once more, from their first epoch.

    Parameters
    ----------
    statuses
        Of `RETRIED`.
    recipe, seed
        Only runs of this recipe, of this seed.
    db
        The database; the one opened last if not given.

    Returns
    -------
    int
        How many runs wait now. Their epochs and messages are gone.

    Raises
    ------
    QueryError
        There is no such status or recipe.
    """
    db = db or current()
    for status in statuses:
        if status not in RETRIED:
            raise QueryError(f"runs that are {status} are not tried again; choose of: {', '.join(RETRIED)}")
    chosen: list[Any] = [Run.status.in_(list(statuses))]
    if recipe is not None:
        chosen.append(Run.recipe_id == find_recipe(db, recipe).id)
    if seed is not None:
        chosen.append(Run.seed == seed)
    nothing = dict.fromkeys(
        ("message", "worker", "best_epoch", "val_top1", "train_time_s", "started_at", "finished_at")
    )
    with db.transaction() as session:
        session.execute(delete(Epoch).where(Epoch.run_id.in_(select(Run.id).where(*chosen))))
        done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
            update(Run).where(*chosen).values(status="pending", **nothing)
        )
        return int(done.rowcount)
