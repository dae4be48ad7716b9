"""Queries of runs that are not as their recipes, their epochs and their ends say, by what is wrong."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, or_, select

from bloxdb.db import best
from bloxdb.db.needed import NEEDED_OF_RUNS, is_without
from bloxdb.db.schema import Epoch, Recipe, Run
from bloxdb.db.statuses import FINISHED


def _counts() -> Any:
    of_run = select(
        Epoch.run_id,
        func.count().label("n"),
        func.min(Epoch.epoch).label("low"),
        func.max(Epoch.epoch).label("high"),
    )
    return of_run.group_by(Epoch.run_id).subquery()


def gapped_runs() -> Any:
    """A query of runs that lack an epoch before one that they have."""
    counts = _counts()
    return _with(counts).where(or_(counts.c.low != 1, counts.c.high != counts.c.n))


def _with(counts: Any) -> Any:
    return select(Run.id, Run.arch_id).join(counts, counts.c.run_id == Run.id).join(Recipe)


def wrong_counts() -> dict[str, Any]:
    """Queries of runs that have not the epochs that their recipes say, by what is wrong."""
    counts = _counts()
    fewer = and_(counts.c.n < Recipe.epochs, counts.c.low == 1, counts.c.high == counts.c.n)
    return {
        "gaps among [its|their] epochs": gapped_runs(),
        "more epochs than [its recipe|their recipes]": _with(counts).where(counts.c.high > Recipe.epochs),
        "fewer epochs than [its recipe, and is|their recipes, and are] finished": select(Run.id, Run.arch_id)
        .outerjoin(counts, counts.c.run_id == Run.id)
        .join(Recipe)
        .where(Run.status == FINISHED, or_(fewer, and_(counts.c.n.is_(None), Run.best_epoch.is_not(None)))),
    }


def wrong_best() -> dict[str, Any]:
    """Queries of runs whose best epoch, or its accuracy, is not that of their epochs, by what is wrong.

    Of equal epochs any may be the best: training compares what it has measured before it is rounded.
    """
    said = select(Run.id, Run.arch_id).join(
        Epoch, and_(Epoch.run_id == Run.id, Epoch.epoch == Run.best_epoch)
    )
    top = select(Epoch.run_id, func.max(best.TOP1).label("top1")).group_by(Epoch.run_id).subquery()
    highest = and_(top.c.run_id == Epoch.run_id, top.c.top1 == best.TOP1)
    losses = select(Epoch.run_id, func.min(best.LOSS).label("loss")).join(top, highest)
    low = losses.group_by(Epoch.run_id).subquery()
    with_top = select(Run.id, Run.arch_id).join(top, top.c.run_id == Run.id)
    there = select(Epoch.epoch).where(Epoch.run_id == Run.id, Epoch.epoch == Run.best_epoch).exists()
    ended = Run.status == FINISHED
    is_worse = or_(low.c.loss < best.LOSS, and_(best.LOSS.is_(None), low.c.loss.is_not(None)))
    return {
        "a best epoch that is not there": with_top.where(Run.best_epoch.is_not(None), ~there),
        "no best epoch, and [is|are] finished": with_top.where(
            ended, Run.best_epoch.is_(None), top.c.top1.is_not(None)
        ),
        "a best epoch that is not the best of [its own|their own]": said.join(top, top.c.run_id == Run.id)
        .outerjoin(low, low.c.run_id == Run.id)
        .where(or_(best.TOP1.is_distinct_from(top.c.top1), is_worse)),
        "another val_top1 than [its best epoch|their best epochs]": said.where(
            Run.val_top1.is_distinct_from(Epoch.val_top1)
        ),
    }


def lacking_needed() -> dict[str, Any]:
    """Queries of finished runs without what release files cannot leave out, by what is wrong."""
    query = select(Run.id, Run.arch_id)
    return {f"no {name}, and [is|are] finished": query.where(is_without(name)) for name in NEEDED_OF_RUNS}
