"""Rows of a database that was repaired: what they copy, and runs that are not whole any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.checking import gapped_runs, wrong_best
from bloxdb.counts import Counts, counted
from bloxdb.db.best import BEST_FIRST
from bloxdb.db.recipes import NAMED
from bloxdb.db.schema import Epoch, Recipe, Run
from bloxdb.db.statuses import DIVERGED, FAILED, FINISHED, UNFINISHED
from bloxdb.measures import EPOCHS
from bloxdb.salvage import Gap

_TOLD = 10  # architectures that are named of all that lost the same


def copy_anew(session: Session) -> list[str]:
    """Copy anew what runs have of architectures and of their epochs.

    Runs that have not ended go on after their last epoch before a gap.

    Parameters
    ----------
    session
        The transaction that brings rows into the new database.

    Returns
    -------
    list of str
        What is otherwise than it was, a sentence each.
    """
    repaired = []
    costs = dict(enumerate(space.all_costs().tolist()))
    changes = []
    for row in session.execute(select(Run.id, Run.arch_id, Run.flops, Run.params)).all():
        flops, params = costs[row.arch_id]
        if (row.flops, row.params) != (flops, params):
            changes.append({"id": row.id, "flops": flops, "params": params})
    if changes:
        session.execute(update(Run), changes)
        runs = counted(len(changes), "run has its", "runs have their")
        repaired.append(f"{runs} architecture's costs again")
    wrong = {row.id for query in wrong_best().values() for row in session.execute(query)}
    for run_id in sorted(wrong):
        best = session.execute(
            select(Epoch.epoch, Epoch.val_top1).where(Epoch.run_id == run_id).order_by(*BEST_FIRST).limit(1)
        ).one()
        session.execute(
            update(Run).where(Run.id == run_id).values(best_epoch=best.epoch, val_top1=best.val_top1)
        )
    if wrong:
        runs = counted(len(wrong), "run has the best of its epochs", "runs have the best of their epochs")
        repaired.append(f"{runs} again")
    return repaired + _cut(session)


def _cut(session: Session) -> list[str]:
    """Runs that have not ended go on after their last epoch before a gap."""
    cut = 0
    for row in session.execute(gapped_runs().where(Run.status.in_(UNFINISHED))).all():
        numbers = session.scalars(select(Epoch.epoch).where(Epoch.run_id == row.id).order_by(Epoch.epoch))
        whole = 0
        for number in numbers:
            if number != whole + 1:
                break
            whole = number
        session.execute(delete(Epoch).where(Epoch.run_id == row.id, Epoch.epoch > whole))
        cut += 1
    if not cut:
        return []
    runs = counted(
        cut, "unfinished run goes on before a gap in its", "unfinished runs go on before a gap in their"
    )
    return [f"{runs} epochs, without those after it"]


def mend_lost(session: Session, is_lost: bool, gaps: Sequence[Gap]) -> list[str]:
    """Let no run pass for whole of which epochs were lost: it has failed, and its message says which.

    Parameters
    ----------
    session
        The transaction that brings rows into the new database.
    is_lost
        Whether any row of epochs was lost; if not, runs that lack some did so before.
    gaps
        Where rows of epochs could not be read.

    Returns
    -------
    list of str
        What is lost, a sentence for all runs that lost the same epochs.
    """
    if not is_lost:
        return []
    there = select(func.count()).where(Epoch.run_id == Run.id).scalar_subquery()
    query = select(Run.id, Run.arch_id, Run.status, Run.best_epoch, Recipe.epochs).join(Recipe)
    ended = query.where(Run.status.in_((FINISHED, DIVERGED)), there < Recipe.epochs).order_by(Run.arch_id)
    lost: dict[str, list[int]] = {}
    for run in session.execute(ended).all():
        known = set(session.scalars(select(Epoch.epoch).where(Epoch.run_id == run.id)))
        last = run.epochs
        if run.status == DIVERGED:  # nobody knows how many it had
            if not any(_may_lack(run.id, gap) for gap in gaps):
                continue
            last = max(known, default=0) + 1
        missing = _ranges(set(range(1, last + 1)) - known)
        missing += " and later ones" if run.status == DIVERGED else ""
        values: dict[str, str | None] = {
            "status": FAILED,
            "message": f"epochs {missing} were lost when the database was damaged",
        }
        if run.best_epoch not in known:
            values |= {"best_epoch": None, "val_top1": None}
        session.execute(update(Run).where(Run.id == run.id).values(values))
        lost.setdefault(missing, []).append(run.arch_id)
    return [f"epochs {missing} of {_named(archs)}" for missing, archs in lost.items()]


def _named(archs: list[int]) -> str:
    runs = counted(len(archs), "run, which has failed now", "runs, which have failed now")
    more = f" and {len(archs) - _TOLD:,} more" if len(archs) > _TOLD else ""
    word = "architecture" if len(archs) == 1 else "architectures"
    return f"{runs}: {word} {', '.join(map(str, archs[:_TOLD]))}{more}"


def _may_lack(run_id: int, gap: Gap) -> bool:
    """Whether rows of a run may be among those that could not be read."""
    after, before = gap
    is_after = after is None or run_id >= after[0]
    return is_after and (before is None or run_id < before[0] or (run_id == before[0] and before[1] > 1))


def _ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges: `1 … 3, 7`."""
    told = []
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        told.append(str(run[0]) if len(run) == 1 else f"{run[0]} … {run[-1]}")
    return ", ".join(told)


def stand_in_recipes(session: Session, source: sqlite3.Connection) -> list[str]:
    """Recipes in place of those that cannot be read, so that their runs need not be lost.

    Parameters
    ----------
    session
        The transaction that brings rows into the new database, which has the recipes that can be read.
    source
        The damaged file.

    Returns
    -------
    list of str
        What is lost, a sentence a recipe.
    """
    names: dict[int, str] = {}
    with suppress(sqlite3.DatabaseError):
        names |= dict(source.execute("SELECT id, name FROM recipes ORDER BY name"))  # an index has both
    wanted: set[int] = set(names)
    for place in ("NOT INDEXED", "INDEXED BY ix_runs_recipe_id_seed_arch_id"):
        with suppress(sqlite3.DatabaseError):
            wanted |= {row[0] for row in source.execute(f"SELECT DISTINCT recipe_id FROM runs {place}")}  # noqa: S608
    lost = []
    for number in sorted(wanted - set(session.scalars(select(Recipe.id)))):
        name = names.get(number, f"lost-{number}")
        said = NAMED.fullmatch(name)
        if said is None or int(said[2]) not in EPOCHS:
            dataset, epochs = "unknown", _most_epochs(source, number)
        else:
            dataset, epochs = said[1], int(said[2])
        session.add(Recipe(id=number, name=name, dataset=dataset, epochs=epochs))
        lost.append(
            f"the settings of recipe {name}, which is taken for {Counts(epochs=epochs)} of {dataset} now"
        )
    session.flush()
    return lost


def _most_epochs(source: sqlite3.Connection, recipe_id: int) -> int:
    """How many epochs runs of a recipe have, as far as they can be read; at least one."""
    query = "SELECT max(epoch) FROM epochs WHERE run_id IN (SELECT id FROM runs WHERE recipe_id = ?)"
    with suppress(sqlite3.DatabaseError):
        return int(source.execute(query, (recipe_id,)).fetchone()[0] or 1)
    return 1
