"""Rows of a database that was repaired: what they copy, and runs that are not whole any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from bloxdb import space
from bloxdb.care.salvage import Gap
from bloxdb.care.wrong_runs import gapped_runs, wrong_best
from bloxdb.counts import Counts, agreed, word_for
from bloxdb.db.best import BEST_FIRST
from bloxdb.db.needed import NEEDED_OF_RUNS, is_without
from bloxdb.db.recipes import new_name, said_by
from bloxdb.db.schema import Device, Epoch, Recipe, Run
from bloxdb.db.statuses import DIVERGED, FAILED, FINISHED, UNFINISHED
from bloxdb.device_names import fitting_name, is_device_name
from bloxdb.errors import QueryError, spelled

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
        words = "[run has the costs of its architecture|runs have the costs of their architectures] again"
        repaired.append(agreed(len(changes), words))
    wrong = {row.id for query in wrong_best().values() for row in session.execute(query)}
    for run_id in sorted(wrong):
        best = session.execute(
            select(Epoch.epoch, Epoch.val_top1).where(Epoch.run_id == run_id).order_by(*BEST_FIRST).limit(1)
        ).one()
        session.execute(
            update(Run).where(Run.id == run_id).values(best_epoch=best.epoch, val_top1=best.val_top1)
        )
    if wrong:
        repaired.append(agreed(len(wrong), "[run has|runs have] the best of [its|their] epochs again"))
    return repaired + _named_anew(session) + _given(session) + _cut(session)


def _named_anew(session: Session) -> list[str]:
    """Devices that no file can be named after have names that one can be."""
    found = session.execute(select(Device.id, Device.name).order_by(Device.id))
    names = {device.id: device.name for device in found}
    told = []
    for number, name in names.items():
        if not is_device_name(name):
            fits = fitting_name(number, name, names.values())
            session.execute(update(Device).where(Device.id == number).values(name=fits))
            names[number] = fits
            told.append(
                f"device {number}, {spelled(name)}, is called {fits} now, after which a file can be named"
            )
    return told


def _given(session: Session) -> list[str]:
    """Finished runs have 0 for what release files cannot leave out, as nobody knows what it was."""
    told = []
    for name in NEEDED_OF_RUNS:
        count = session.scalar(select(func.count()).select_from(Run).where(is_without(name))) or 0
        if count:
            session.execute(update(Run).where(is_without(name)).values({name: 0}))
            told.append(agreed(count, f"finished [run has|runs have] 0 for {name}, which was not known"))
    return told


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
    words = "unfinished [run goes|runs go] on before a gap in [its|their] epochs, without those after it"
    return [agreed(cut, words)]


def mend_lost(session: Session, is_lost: bool, gaps: Sequence[Gap], unsure: Collection[int]) -> list[str]:
    """Let no run pass for whole of which epochs were lost: it has failed, and its message says which.

    Parameters
    ----------
    session
        The transaction that brings rows into the new database.
    is_lost
        Whether any row of epochs was lost; if not, runs that lack some did so before.
    gaps
        Where rows of epochs could not be read.
    unsure
        Recipes of which nobody knows how many epochs their runs had; as of runs that diverged, those after
        the last one may be lost, too.

    Returns
    -------
    list of str
        What is lost, a sentence for all runs that lost the same epochs.
    """
    if not is_lost:
        return []
    there = select(func.count()).where(Epoch.run_id == Run.id).scalar_subquery()
    query = select(
        Run.id, Run.arch_id, Run.status, Run.best_epoch, Run.recipe_id, Recipe.epochs, there.label("there")
    ).join(Recipe)
    query = query.where(or_(there < Recipe.epochs, Run.recipe_id.in_(unsure)))
    ended = query.where(Run.status.in_((FINISHED, DIVERGED))).order_by(Run.arch_id)
    lost: dict[str, list[int]] = {}
    for run in session.execute(ended).all():
        due = run.epochs if run.status == FINISHED else 0
        if run.there >= run.epochs == due and not _may_follow(run.id, due, gaps):
            continue
        known = set(session.scalars(select(Epoch.epoch).where(Epoch.run_id == run.id)))
        last = max(known, default=0)
        is_known = run.status == FINISHED and run.recipe_id not in unsure
        gone = _Gone(
            set(range(1, max(due, last) + 1)) - known,
            None if is_known or not _may_follow(run.id, last, gaps) else max(due, last),
        )
        if not gone:
            continue
        values: dict[str, str | None] = {"status": FAILED, "message": gone.message()}
        if run.best_epoch not in known:
            values |= {"best_epoch": None, "val_top1": None}
        session.execute(update(Run).where(Run.id == run.id).values(values))
        lost.setdefault(gone.named(), []).append(run.arch_id)
    return [f"{epochs} of {_named(archs)}" for epochs, archs in lost.items()]


@dataclass(frozen=True)
class _Gone:
    """Epochs that a run lacks, and after which one others may be lost that nobody knows of."""

    lacking: set[int]
    after: int | None

    def __bool__(self) -> bool:
        return bool(self.lacking) or self.after is not None

    def named(self) -> str:
        """What is lost."""
        parts = [f"{self._word()} {_ranges(self.lacking)}"] if self.lacking else []
        parts += [f"perhaps epochs after {self.after}"] if self.after is not None else []
        return " and ".join(parts)

    def message(self) -> str:
        """What the run says of it."""
        if not self.lacking:
            return f"epochs after {self.after} may have been lost when the database was damaged"
        were = word_for(len(self.lacking), "was", "were")
        later = "" if self.after is None else f", and perhaps those after {self.after}"
        return f"{self._word()} {_ranges(self.lacking)} {were} lost when the database was damaged{later}"

    def _word(self) -> str:
        return word_for(len(self.lacking), "epoch")


def _may_follow(run_id: int, epoch: int, gaps: Sequence[Gap]) -> bool:
    """Whether epochs of a run after one of its own may be among those that cannot be read."""
    return any(gap.may_follow((run_id, epoch)) for gap in gaps)


def _named(archs: list[int]) -> str:
    runs = agreed(len(archs), "[run, which has|runs, which have] failed now")
    more = f" and {len(archs) - _TOLD:,} more" if len(archs) > _TOLD else ""
    word = word_for(len(archs), "architecture")
    return f"{runs}: {word} {', '.join(map(str, archs[:_TOLD]))}{more}"


def _ranges(numbers: Iterable[int]) -> str:
    """Whole numbers as ranges: `1 … 3, 7`."""
    told = []
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        told.append(str(run[0]) if len(run) == 1 else f"{run[0]} … {run[-1]}")
    return ", ".join(told)


class StandIns:
    """Recipes in place of those that are not there, so that their runs need not be lost.

    Parameters
    ----------
    session
        The transaction that brings rows into the new database.
    source
        The damaged file, of which an index may have names that the table has no more.

    Attributes
    ----------
    said
        The recipes that were made, and how many epochs the name of each says; None if it does not.
    unsure
        Those of which nobody knows how many epochs their runs had, once `settle` has looked at the runs.
    """

    def __init__(self, session: Session, source: sqlite3.Connection) -> None:
        self.said: dict[int, int | None] = {}
        self.unsure: set[int] = set()
        self._session = session
        self._names: dict[int, str] = {}
        for direction in ("ASC", "DESC"):  # from both ends up to damage; the index has both columns
            with suppress(sqlite3.DatabaseError):
                for number, name in source.execute(f"SELECT id, name FROM recipes ORDER BY name {direction}"):  # noqa: S608
                    if isinstance(number, int) and isinstance(name, str):
                        self._names[number] = name

    def add_named(self) -> None:
        """Make those that only the index has, of whatever runs."""
        for number in sorted(self._names.keys() - set(self._session.scalars(select(Recipe.id)))):
            self.add(number)

    def add(self, number: int) -> None:
        """Make one, as far as it is known before its runs are.

        Parameters
        ----------
        number
            What its runs have for it.
        """
        name = self._free_name(number)
        dataset, self.said[number] = said_by(name) or ("unknown", None)
        self._session.add(Recipe(id=number, name=name, dataset=dataset, epochs=self.said[number] or 1))
        self._session.flush()

    def _free_name(self, number: int) -> str:
        """A name that a recipe may have, and that no other has."""
        taken = set(self._session.scalars(select(Recipe.name)))
        with suppress(QueryError):
            name = new_name(self._names.get(number, ""))
            if name not in taken:
                return name
        lost = (f"lost-{number}{more}" for more in ("", *(f"-{again}" for again in range(2, len(taken) + 3))))
        return next(name for name in lost if name not in taken)

    def settle(self) -> list[str]:
        """Give each as many epochs as its runs have, once they are there, and no fewer than its name says.

        An epoch without the one before it does not count: a damaged row may have any number.

        Returns
        -------
        list of str
            What is lost, a sentence a recipe.
        """
        lost = []
        before = aliased(Epoch)
        follows = select(before.epoch).where(before.run_id == Epoch.run_id, before.epoch == Epoch.epoch - 1)
        for number, said in self.said.items():
            found = select(func.max(Epoch.epoch)).join(Run, Run.id == Epoch.run_id)
            found = found.where(Run.recipe_id == number, or_(Epoch.epoch == 1, follows.exists()))
            highest = self._session.scalar(found) or 1
            recipe = self._session.get_one(Recipe, number)
            recipe.epochs = max(said or 1, highest)
            if said is None or highest > said:
                self.unsure.add(number)
            lost.append(
                f"the settings of recipe {recipe.name}, which is taken for {Counts(epochs=recipe.epochs)} of "
                f"{recipe.dataset} now"
            )
        self._session.flush()
        return lost
