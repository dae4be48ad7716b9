"""Bringing databases that were filled apart into one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from sqlalchemy import ExceptionContext, Row, delete, event, func, select, update
from sqlalchemy.orm import Session

from bloxdb.arguments import one_or_more
from bloxdb.care.checking import wrong_rows
from bloxdb.counts import Counts, Report, counted
from bloxdb.db.access import refusal
from bloxdb.db.conflicts import Conflicts
from bloxdb.db.connection import locate_other
from bloxdb.db.database import Database, asked, open_url
from bloxdb.db.dialects import engines_of
from bloxdb.db.engines import insert_rows
from bloxdb.db.epochs import EpochWriter, read_epochs, whole_runs
from bloxdb.db.firsts import first_epochs, lost, reconsider
from bloxdb.db.recipes import RecipeFacts, differing
from bloxdb.db.references import Environments, device_id, known_recipe, recipe_for
from bloxdb.db.schema import EPOCH_MEASURES, Device, Env, Epoch, Latency, Recipe, Run
from bloxdb.db.statuses import ENDED, FAILED
from bloxdb.errors import BloxFormatError, DatabaseError, QueryError, ReleaseError, one_line, spelled
from bloxdb.measures import ENVIRONMENT, RUN, Array, check
from bloxdb.progress import Meter, Progress
from bloxdb.runs.status import gaps

PREFERENCES = ("newest", "first", "last")

_AT_ONCE = 500  # runs of one statement
_RESULTS = ("status", "best_epoch", *(measure.name for measure in RUN.values() if measure.reproducible))
_RUN_COLUMNS = [column for column in Run.__table__.columns if column.name != "id"]


@dataclass(repr=False)
class MergeReport(Report):
    """What a merge did.

    Attributes
    ----------
    added, replaced
        Runs and latencies that came in, and those that took the place of others.
    agreed
        Duplicates with the same results.
    kept
        Contradictions in which the database's own values were preferred.
    unfinished
        Runs of the other databases that had not ended and were left there.
    gaps
        After it, for each recipe and seed, the ranges of architectures without a finished run.
    notes
        Sentences on what a reader should know, as of first epochs (`bloxdb.overwritten`).
    new, changed, same
        What came in, took the place of others, or was there already and equal: architectures, runs, epochs,
        latencies.
    """

    added: int = 0
    replaced: int = 0
    agreed: int = 0
    kept: int = 0
    unfinished: int = 0
    gaps: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    new: Counts = field(default_factory=Counts)
    changed: Counts = field(default_factory=Counts)
    same: Counts = field(default_factory=Counts)

    def __str__(self) -> str:
        parts = [f"new: {self.new}" if self.new else "nothing new"]
        for what, counts in (("replaced", self.changed), ("there already and equal", self.same)):
            if counts:
                parts.append(f"{what}: {counts}")
        if self.kept:
            parts.append(
                counted(self.kept, "contradiction kept as it was", "contradictions kept as they were")
            )
        if self.unfinished:
            parts.append(f"{counted(self.unfinished, 'run')} not finished and left")
        return "; ".join(parts)


def merge(
    others: str | PathLike[str] | Iterable[str | PathLike[str]],
    db: Database | None = None,
    *,
    prefer: str | None = None,
    progress: Progress | None = None,
) -> MergeReport:
    """Bring the ended runs and the latencies of other databases into this one, all of them or none.

    Two runs of one architecture, recipe and seed agree if their status, their results and all their epochs
    are the same. A run of ours that has not finished gives way to one that has.

    Parameters
    ----------
    others
        A path or URL, or several, of the databases that give, which are only read.
    db
        The database that takes; the current one if not given.
    prefer
        Of two runs that contradict each other: ``'newest'`` takes the one that finished later, ``'first'``
        the one that is there, ``'last'`` that of the database named last. Latencies have no date; of those,
        the last is the newest.
    progress
        Called with runs that are done, all runs, and what is going on.

    Returns
    -------
    MergeReport
        What came in, and which architectures are missing after it.

    Raises
    ------
    ConflictError
        Runs contradict each other, and nothing says which to prefer; nothing was merged.
    QueryError
        There is no such preference, or there are no others.
    DatabaseNotFoundError
        One of the others is not there, or was not named: a blank path is none.
    ReleaseError
        A recipe of the same name is another one, or the epochs of a run are not whole.
    """
    if prefer not in (None, *PREFERENCES):
        raise QueryError(f"there is no preference {spelled(prefer)}; choose one of: {', '.join(PREFERENCES)}")
    if isinstance(others, Database):
        raise QueryError("merge takes the databases that give, as paths, before the one that takes")
    places = one_or_more(others, "databases that give")
    db = asked(db)
    report, preference = MergeReport(), Preference(prefer)
    doubts = _Doubts()
    new_archs: set[int] = set()
    with ExitStack() as stack:
        urls = [locate_other(place, "a database that gives") for place in places]
        opened = [stack.enter_context(open_url(url, read_only=True, current=False)) for url in urls]
        for other in opened:
            event.listen(other.engine, "handle_error", partial(_named, other), retval=True)
            if wrong := next(wrong_rows(other), None):
                advice = f"`bloxdb check --repair --db {other.name}` makes a copy that can be"
                raise DatabaseError(f"{other.name} cannot be merged: {wrong}; {advice}")
        sources = [(other.name, stack.enter_context(other.snapshot())) for other in opened]
        total = sum(theirs.scalar(select(func.count()).select_from(Run)) or 0 for _, theirs in sources)
        meter = Meter(progress, total)
        folder = stack.enter_context(db.scratch())
        session = stack.enter_context(db.bulk_transaction())
        epochs = stack.enter_context(EpochWriter(session, folder, meter))
        for name, theirs in sources:
            meter.begin(name, theirs.scalar(select(func.count()).select_from(Run)) or 0)
            _Source(epochs, theirs, name, report, preference, new_archs, doubts).merge()
        preference.conflicts.check()
        report.new.architectures = len(new_archs)
        epochs.flush()
        report.notes = doubts.settled(session)
    meter.finish()
    named = select(Recipe.name, Run.seed).join(Recipe, Recipe.id == Run.recipe_id).distinct()
    for recipe, seed in db.reader.execute(named.order_by(Recipe.name, Run.seed)):
        report.gaps[recipe, seed] = gaps(recipe, seed, db)
    return report


def _named(other: Database, context: ExceptionContext) -> BaseException | None:
    """An error of one of the databases that give, which is not of the one that takes."""
    if context.sqlalchemy_exception is None:
        return context.original_exception
    said = refusal(context.original_exception, other.path)
    told = said or f"{one_line(context.original_exception)}; `bloxdb check` tells more"
    return DatabaseError(f"{other.name} cannot be merged: {told}")


class Preference:
    """Decides between two values, or collects what nothing decides."""

    def __init__(self, prefer: str | None) -> None:
        self.prefer = prefer
        self.conflicts = Conflicts("nothing was merged (prefer the newest, the first or the last)")

    def takes_theirs(self, what: str, ours: datetime | None, theirs: datetime | None) -> bool:
        """Whether a value of the other database takes the place of ours; dates are those of their ends."""
        if self.prefer == "last":
            return True
        if self.prefer == "newest":
            return theirs is None or ours is None or theirs > ours
        if self.prefer is None:
            self.conflicts.add(what)
        return False


class _Doubts:
    """Recipes of which one database says that first epochs are the best ones, and another does not."""

    def __init__(self) -> None:
        self._ours: dict[int, bool | None] = {}  # what was said here at first, by the id of the recipe here
        self._told: dict[int, list[tuple[str, bool]]] = {}  # and what the others said, by their names

    def add(self, recipe: Recipe, before: bool | None, source: str, theirs: bool) -> None:
        """A recipe that is here now, what was said here, None if it was not here, and what another says."""
        self._ours.setdefault(recipe.id, before)
        self._told.setdefault(recipe.id, []).append((source, theirs))

    def settled(self, session: Session) -> list[str]:
        """Look at the runs of such recipes, say of each what is so now, and give notes of what changed."""
        notes = []
        for recipe_id, told in self._told.items():
            recipe = session.get_one(Recipe, recipe_id)
            before = self._ours[recipe_id]
            said = {theirs for _, theirs in told} | ({before} if before is not None else set())
            if said == {False}:
                continue
            note = reconsider(recipe, first_epochs(session, recipe)) if len(said) > 1 else None
            if recipe.first_epoch_is_best and not before:
                notes.append(lost(next(source for source, theirs in told if theirs), recipe))
            if note is not None and (before or recipe.first_epoch_is_best):
                notes.append(note)
        return notes


class _Source:
    """One of the other databases."""

    def __init__(
        self,
        epochs: EpochWriter,
        theirs: Session,
        name: str,
        report: MergeReport,
        preference: Preference,
        new_archs: set[int],
        doubts: _Doubts,
    ) -> None:
        self.epochs = epochs
        self.ours = epochs.session
        self.theirs = theirs
        self.name = name
        self.report = report
        self.preference = preference
        self.new_archs = new_archs  # of runs that came in, of all databases
        self.doubts = doubts
        self.envs = self._merge_envs()

    def merge(self) -> None:
        """Runs, then latencies."""
        recipes = {recipe.id: self._recipe(recipe) for recipe in self.theirs.scalars(select(Recipe))}
        ended = Run.status.in_(ENDED)
        open_runs = select(func.count()).where(~ended)
        self.report.unfinished += self.theirs.scalar(open_runs.select_from(Run)) or 0
        groups = select(Run.recipe_id, Run.seed).where(ended).distinct().order_by(Run.recipe_id, Run.seed)
        for recipe_id, seed in self.theirs.execute(groups).all():
            self._runs(recipe_id, recipes[recipe_id], seed)
        self._latencies()

    def _recipe(self, recipe: Recipe) -> int:
        """The id here of a recipe of theirs."""
        advice = f"what {self.name} has of it cannot be merged"
        found = known_recipe(self.ours, recipe.name, recipe.digest)
        before = None if found is None else found.first_epoch_is_best
        found = recipe_for(self.ours, RecipeFacts.of(recipe), advice)
        self.doubts.add(found, before, self.name, recipe.first_epoch_is_best)
        return found.id

    def _merge_envs(self) -> dict[int, int]:
        """The ids here of their environments."""
        ours = Environments(self.ours)
        columns = [getattr(Env, name) for name in ENVIRONMENT]
        return {row[0]: ours.id_of(row[1:]) for row in self.theirs.execute(select(Env.id, *columns))}

    def _runs(self, recipe_id: int, our_recipe: int, seed: int) -> None:
        theirs = _runs_of(self.theirs, recipe_id, seed, only_ended=True)
        ours = _runs_of(self.ours, our_recipe, seed, only_ended=False)
        both = [arch_id for arch_id in theirs if arch_id in ours]
        if both:
            self.epochs.flush()  # what came from the database before may be compared now
        same = self._same_epochs([(ours[a].id, theirs[a].id) for a in both])
        new = [row for arch_id, row in theirs.items() if arch_id not in ours]
        replaced = []
        for arch_id in both:
            one, other = ours[arch_id], theirs[arch_id]
            if one.status not in ENDED or (one.status == FAILED and other.status != FAILED):
                replaced.append(arch_id)
            elif other.status == FAILED:
                self._agree(runs=1)  # whatever ours is, it is as good
            elif (one.id in same) and all(getattr(one, n) == getattr(other, n) for n in _RESULTS):
                self._agree(runs=1)
            elif self.preference.takes_theirs(
                f"architecture {arch_id}, seed {seed}, {_difference(one, other)} in {self.name}",
                one.finished_at,
                other.finished_at,
            ):
                replaced.append(arch_id)
            else:
                self.report.kept += 1
        if replaced:
            gone = [ours[arch_id].id for arch_id in replaced]
            for first in range(0, len(gone), _AT_ONCE):
                part = gone[first : first + _AT_ONCE]
                self.ours.execute(delete(Epoch).where(Epoch.run_id.in_(part)))
                self.ours.execute(delete(Run).where(Run.id.in_(part)))
        epochs = self._add([*new, *(theirs[arch_id] for arch_id in replaced)], our_recipe)
        self.report.added += len(new)
        self.report.replaced += len(replaced)
        self.new_archs.update(row.arch_id for row in new)
        for counts, rows in (
            (self.report.new, new),
            (self.report.changed, [theirs[arch_id] for arch_id in replaced]),
        ):
            counts.runs += len(rows)
            counts.epochs += sum(epochs.get(row.id, 0) for row in rows)

    def _agree(self, runs: int = 0, latencies: int = 0) -> None:
        self.report.agreed += runs + latencies
        self.report.same.runs += runs
        self.report.same.latencies += latencies

    def _add(self, rows: list[Row[Any]], recipe_id: int) -> dict[int, int]:
        """Insert runs under new ids, in the order of theirs, with their epochs; how many epochs each has."""
        rows = sorted(rows, key=lambda row: row.id)
        engines = engines_of(self.ours.get_bind().dialect)
        column: Any = Run.__table__.c.id
        new = np.array(engines.new_ids(self.ours, column, len(rows)), dtype=np.int64)
        values = []
        for run_id, row in zip(new.tolist(), rows, strict=True):
            fields = {column.name: getattr(row, column.name) for column in _RUN_COLUMNS}
            env_id = None if row.env_id is None else self.envs[row.env_id]
            values.append({**fields, "id": run_id, "recipe_id": recipe_id, "env_id": env_id})
        insert_rows(self.ours, Run, values)
        ids = np.array([row.id for row in rows], dtype=np.int64)
        counts: dict[int, int] = {}
        for run_ids, measures in self._whole_runs(ids):
            self.epochs.write(new[np.searchsorted(ids, run_ids)], measures)
            counts |= dict.fromkeys(run_ids.tolist(), next(iter(measures.values())).shape[1])
        return counts

    def _whole_runs(self, ids: Array) -> Iterator[tuple[Array, dict[str, Array]]]:
        """Epochs of runs of theirs, of as many runs at once as have the same number."""
        lacks = f"{self.name}: a run lacks some of its epochs; see its table epochs"
        for block in read_epochs([self.theirs], ids, list(EPOCH_MEASURES)):
            for name, values in block.measures.items():
                try:
                    check(values, EPOCH_MEASURES[name])
                except BloxFormatError as error:  # what got into the database by SQL
                    raise ReleaseError(
                        f"{self.name}: epochs have a {name} that there cannot be: {error.problem}; "
                        "`bloxdb check` tells all such values"
                    ) from error
            yield from whole_runs(block, lacks)

    def _same_epochs(self, pairs: list[tuple[int, int]]) -> set[int]:
        """The ids of our runs whose epochs are those of their counterparts."""
        ours = _epoch_digests(self.ours, [one for one, _ in pairs])
        theirs = _epoch_digests(self.theirs, [other for _, other in pairs])
        return {one for one, other in pairs if ours.get(one) == theirs.get(other)}

    def _device(self, name: str, settings: dict[str, Any] | None) -> int:
        """Our id of a device; that it was measured otherwise is a conflict like any other."""
        found = device_id(self.ours, name, settings)
        device = self.ours.get_one(Device, found)
        differs = differing(settings, device.settings)
        if differs and self.preference.takes_theirs(
            f"how device {name} was measured, in {self.name}: {differs}", None, None
        ):
            device.settings = settings
        return found

    def _latencies(self) -> None:
        devices: dict[str, int] = {}
        here = {
            (row.arch_id, row.device_id): row.latency_ms
            for row in self.ours.execute(select(Latency.__table__))
        }
        query = select(Latency.__table__, Device.name, Device.settings).join(
            Device, Device.id == Latency.device_id
        )
        added, changed = [], []
        for row in self.theirs.execute(query):
            if row.name not in devices:
                devices[row.name] = self._device(row.name, row.settings)
            key = (row.arch_id, devices[row.name])
            values = {
                "arch_id": key[0],
                "device_id": key[1],
                "latency_ms": row.latency_ms,
                "spread_ms": row.spread_ms,
            }
            if key not in here:
                added.append(values)
            elif here[key] == row.latency_ms:
                self._agree(latencies=1)
            elif self.preference.takes_theirs(
                f"architecture {row.arch_id} on {row.name}, {here[key]} ms here, {row.latency_ms} ms in "
                f"{self.name}",
                None,
                None,
            ):
                changed.append(values)
            else:
                self.report.kept += 1
        insert_rows(self.ours, Latency, added)
        if changed:
            self.ours.execute(update(Latency), changed)
        self.report.added += len(added)
        self.report.replaced += len(changed)
        self.report.new.latencies += len(added)
        self.report.changed.latencies += len(changed)


def _difference(one: Row[Any], other: Row[Any]) -> str:
    """The first result in which two runs differ; if there is none, it is an epoch."""
    for name in _RESULTS:
        if getattr(one, name) != getattr(other, name):
            return f"{name} {getattr(one, name)} here, {getattr(other, name)}"
    return "values of epochs here are others than"


def _runs_of(session: Session, recipe_id: int, seed: int, *, only_ended: bool) -> dict[int, Row[Any]]:
    """Runs by architecture."""
    query = select(Run.__table__).where(Run.recipe_id == recipe_id, Run.seed == seed).order_by(Run.arch_id)
    if only_ended:
        query = query.where(Run.status.in_(ENDED))
    return {row.arch_id: row for row in session.execute(query)}


def _epoch_digests(session: Session, run_ids: list[int]) -> dict[int, bytes]:
    """For each run that has epochs, all their values in a short form."""
    digests = {}
    names = list(EPOCH_MEASURES)
    for block in read_epochs([session], np.array(run_ids, dtype=np.int64), names):
        values = np.stack([block.epochs, *(block.measures[name] for name in names)], axis=1)
        parts = np.split(values, np.cumsum(block.counts)[:-1])
        for run_id, part in zip(block.run_ids.tolist(), parts, strict=True):
            ordered = part[np.argsort(part[:, 0])]
            digests[run_id] = hashlib.sha256(ordered.tobytes()).digest()
    return digests
