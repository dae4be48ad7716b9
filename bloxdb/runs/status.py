"""What has been trained, what is being trained, what is missing, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, update

from bloxdb.arguments import integer, one_or_more
from bloxdb.counts import Report, counted
from bloxdb.db.database import Database, asked
from bloxdb.db.dialects import utc_now
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import RUN_MEASURES, Arch, Epoch, Recipe, Run
from bloxdb.db.statuses import ENDED, FINISHED, PENDING, RUNNING, STATUSES, UNSUCCESSFUL
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import COSTS, RANKED_BY
from bloxdb.runs.processes import shown

Row = dict[str, Any]


OVERVIEW_COLUMNS = ("recipe", "epochs", "seed", *STATUSES, "missing", "best", "median", "worst")
"""What `overview` tells of a recipe and seed."""


def overview(db: Database | None = None) -> list[Row]:
    """Runs by recipe, seed and status.

    Parameters
    ----------
    db
        The database; the current one if not given.

    Returns
    -------
    list of dict
        A dict a recipe and seed: a count a status; ``missing`` counts the architectures without a finished
        run; ``best``, ``median`` and ``worst`` are test top-1 in percent, None without a finished run.
    """
    db = asked(db)
    total = db.reader.scalar(select(func.count()).select_from(Arch)) or 0
    counts = [func.count().filter(Run.status == status).label(status) for status in STATUSES]
    query = (
        select(Recipe.name.label("recipe"), Recipe.epochs, Recipe.id, Run.seed, *counts)
        .join(Recipe)
        .group_by(Recipe.id, Recipe.name, Recipe.epochs, Run.seed)
        .order_by(Recipe.name, Run.seed)
    )
    rows = []
    for row in db.rows_of(query):
        recipe_id = row.pop("id")
        found = {**row, "missing": total - row[FINISHED], **_quantiles(db, recipe_id, row["seed"])}
        rows.append({name: found[name] for name in OVERVIEW_COLUMNS})
    return rows


def _quantiles(db: Database, recipe_id: int, seed: int) -> Row:
    """The best, the median and the worst of what runs are ranked by."""
    measured = getattr(Run, RANKED_BY)
    query = (
        select(measured)
        .where(Run.recipe_id == recipe_id, Run.seed == seed, Run.status == FINISHED)
        .where(measured.is_not(None))
        .order_by(measured.desc())
    )
    values = [value for value in db.reader.scalars(query) if value is not None]
    if not values:
        return {"best": None, "median": None, "worst": None}
    middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
    return {"best": values[0], "median": round(middle, 4), "worst": values[-1]}


def finished_archs(recipe: str, seed: int, db: Database | None = None) -> set[int]:
    """The architectures that have a finished run under a recipe and seed."""
    query = select(Run.arch_id).join(Recipe)
    query = query.where(Recipe.name == recipe, Run.seed == integer(seed, "a seed"), Run.status == FINISHED)
    return set(asked(db).reader.scalars(query))


def unfinished_count(arch_ids: Sequence[int], recipe: str, seed: int, db: Database | None = None) -> int:
    """How many runs of some architectures have not ended; those that nobody has asked for yet count too."""
    low, high = min(arch_ids), max(arch_ids)
    query = (
        select(Run.arch_id)
        .join(Recipe)
        .where(
            Recipe.name == recipe,
            Run.seed == integer(seed, "a seed"),
            Run.arch_id.between(low, high),
            Run.status.in_(ENDED),
        )
    )
    reader = asked(db).reader
    if len(arch_ids) == high - low + 1:
        return len(arch_ids) - (reader.scalar(select(func.count()).select_from(query.subquery())) or 0)
    return len(set(arch_ids).difference(reader.scalars(query)))


def gaps(recipe: str, seed: int, db: Database | None = None) -> list[tuple[int, int]]:
    """Architectures without a finished run.

    Parameters
    ----------
    recipe
        The name of the recipe.
    seed
        The seed of the runs.
    db
        The database; the current one if not given.

    Returns
    -------
    list of tuple
        Inclusive ranges of architecture indices, in order.
    """
    db = asked(db)
    done = finished_archs(find_recipe(db, recipe).name, seed, db)
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
    """What is being trained.

    Parameters
    ----------
    db
        The database; the current one if not given.

    Returns
    -------
    list of dict
        A dict a run that is `running`, with its worker, its last epoch, and the seconds since its last sign
        of life, by the database's clock.
    """
    db = asked(db)
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
        .where(Run.status == RUNNING)
        .order_by(Run.worker, Run.arch_id)
    )
    rows = []
    for row in db.rows_of(query):
        now, heartbeat = row.pop("now"), row.pop("heartbeat_at")
        row["worker"] = shown(row["worker"] or "")
        since = None if heartbeat is None else round((now - heartbeat).total_seconds(), 1)
        rows.append({**row, "last_heartbeat_s": since})
    return rows


def failures(db: Database | None = None) -> list[Row]:
    """Runs that failed or diverged, with what was said of them.

    Parameters
    ----------
    db
        The database; the current one if not given.

    Returns
    -------
    list of dict
        A dict a run.
    """
    db = asked(db)
    columns = (Run.arch_id, Recipe.name.label("recipe"), Run.seed, Run.status, Run.message)
    query = select(*columns).join(Recipe).where(Run.status.in_(UNSUCCESSFUL))
    return db.rows_of(query.order_by(Recipe.name, Run.seed, Run.arch_id))


@dataclass(frozen=True, repr=False)
class RetryReport(Report):
    """What `retry` did.

    Attributes
    ----------
    runs
        How many runs wait now to be trained once more.
    """

    runs: int

    def __str__(self) -> str:
        return counted(self.runs, "run waits to be trained again", "runs wait to be trained again")


def retry(
    statuses: Iterable[str] = UNSUCCESSFUL,
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
) -> RetryReport:
    """Let runs that have no results be trained once more, from their first epoch.

    Their epochs and messages are removed.

    Parameters
    ----------
    statuses
        Those of ``'failed'``, of ``'diverged'``, or both.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these.

    Returns
    -------
    RetryReport
        How many runs wait now.

    Raises
    ------
    QueryError
        There is no such status or recipe, or no run of such a seed; or no status is named.
    """
    db = asked(db)
    wanted = one_or_more(statuses, "statuses of runs to try again")
    for status in wanted:
        if status not in UNSUCCESSFUL:
            choices = ", ".join(UNSUCCESSFUL)
            raise QueryError(f"runs that are {spelled(status)} are not tried again; choose of: {choices}")
    chosen: list[Any] = [Run.status.in_(wanted)]
    found = None if recipe is None else find_recipe(db, recipe)
    if found is not None:
        chosen.append(Run.recipe_id == found.id)
    if seeds is not None:
        chosen.append(Run.seed.in_(find_seeds(db.reader, seeds, found, statuses=STATUSES)))
    with db.transaction() as session:
        session.execute(delete(Epoch).where(Epoch.run_id.in_(select(Run.id).where(*chosen))))
        done: CursorResult[Any] = session.execute(  # type: ignore[assignment]
            update(Run).where(*chosen).values(status=PENDING, **_FORGOTTEN)
        )
        return RetryReport(int(done.rowcount))


_FORGOTTEN = dict.fromkeys(
    (
        *(name for name in RUN_MEASURES if name not in COSTS),
        *("best_epoch", "device_workers", "message", "worker", "started_at", "finished_at"),
    )
)
"""What a run is rid of before it is trained once more."""
