"""Database to release files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from bloxdb import codecs, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, BENCH, COLUMNS, ENV, EXT, INFO, MEASURED, is_list
from bloxdb.counts import counted
from bloxdb.db.database import Database, asked
from bloxdb.db.epochs import read_epochs, whole_runs
from bloxdb.db.needed import without_needed
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import (
    EPOCH_MEASURES,
    RUN_MEASURES,
    Device,
    Env,
    Epoch,
    Latency,
    Recipe,
    Run,
    StaticInfo,
)
from bloxdb.db.statuses import FINISHED, STATUSES
from bloxdb.device_names import is_device_name, misnamed
from bloxdb.errors import BloxFormatError, ReleaseError
from bloxdb.files import ExportReport, expanded
from bloxdb.measures import ENVIRONMENT, LATENCY, Array, from_stored
from bloxdb.progress import Meter, Progress
from bloxdb.release.tally import Tally
from bloxdb.space.keys import KEY
from bloxdb.writing import replacing_all

_ORIGINAL_DEVICE = re.compile("[a-zA-Z0-9-]+")


def export_release(
    folder: str | PathLike[str],
    db: Database | None = None,
    *,
    format: str = next(iter(codecs.FORMATS)),
    recipe: str | None = None,
    seeds: Seeds = None,
    strict: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Write all five kinds of file for what the database holds, whole or not at all.

    Parameters
    ----------
    folder
        The folder to write into; made if needed. Files of the same names are replaced, others stay.
    db
        The database; the current one if not given.
    format
        ``'blox'``, ``'pickle'`` or ``'csv'``.
    recipe
        The name of the recipe; needed where the database has several.
    seeds
        Only runs of this seed, or of these.
    strict
        Refuse what the original package cannot read.
    progress
        Called with the rows that are done, all rows, and what is going on.

    Returns
    -------
    ExportReport
        The files, and what a reader should know of them.

    Raises
    ------
    QueryError
        There is no such recipe or seed.
    BloxFormatError, ReleaseError
        The format cannot hold the data.
    """
    db = asked(db)
    report, tally = ExportReport(), Tally()
    target = expanded(folder)
    with replacing_all(target) as staging, db.snapshots(os.cpu_count() or 1) as sessions:
        source = _Source(sessions, _recipe(sessions[0], db, recipe), seeds, report)
        steps = source.steps()
        source.meter = meter = Meter(progress, sum(steps.values()))
        for name, rows in steps.items():
            meter.begin(name, rows)
            table = source.table(name)
            if table is None:
                continue
            path = staging / f"{table.header.stem}.{format}"
            for extension in _written(table, path, target / path.name, strict):
                report.notes.append(
                    f"{path.name}: column {extension.column} needs the type {extension.type}; "
                    "the original package cannot read this file"
                )
            device = table.header.device
            if device is not None and not _ORIGINAL_DEVICE.fullmatch(device):
                report.notes.append(
                    f"{path.name}: the original package does not find a device of this name in a folder; it "
                    "knows a-z, A-Z, 0-9 and -"
                )
            report.files.append(target / path.name)
            tally.add(table.header, table.arch_ids())
    report.counts = tally.counts()
    meter.finish()
    return report


def _written(table: Table, path: Path, target: Path, strict: bool) -> list[codecs.Extension]:
    """Write a file under a name that it keeps for a while; an error tells the one that it gets."""
    try:
        return codecs.write(table, path, strict=strict)
    except BloxFormatError as error:
        error.source = str(target)
        raise


def _recipe(session: Session, db: Database, name: str | None) -> Recipe | None:
    """The recipe to export; none where the database has none, and so only costs and latencies."""
    if name is None and session.scalar(select(func.count()).select_from(Recipe)) == 0:
        return None
    return find_recipe(db, name, session)


class _Source:
    """The tables of one recipe, of one state of the database."""

    def __init__(
        self,
        sessions: list[Session],
        recipe: Recipe | None,
        seeds: Seeds,
        report: ExportReport,
    ) -> None:
        self.session = sessions[0]
        self.sessions = sessions
        self.recipe = recipe or Recipe(id=-1, name="(none)", dataset="", epochs=0)
        self.report = report
        self.meter = Meter(None, 0)
        self.seeds = find_seeds(self.session, seeds, recipe, statuses=STATUSES)
        self._curves = _Curves(np.empty(0, dtype=np.int64), {})

    def steps(self) -> dict[str, int]:
        """The kinds of table to write, with their seed or device, and about how many rows they are of."""
        steps = {"info": space.NUM_ARCHS}
        for seed in self.seeds:
            runs = self.session.scalar(self._runs(seed, func.count()).order_by(None)) or 0
            steps |= {f"base {seed}": runs * self.recipe.epochs, f"ext {seed}": runs, f"env {seed}": runs}
        latencies = select(Device.name, func.count()).join(Latency, isouter=True).group_by(Device.name)
        for device, rows in self.session.execute(latencies.order_by(Device.name)):
            steps[f"bench {device}"] = rows
        return steps

    def table(self, step: str) -> Table | None:
        """One table; None if the database holds no row of it."""
        kind, _, name = step.partition(" ")
        if kind == "info":
            return self._info()
        if kind == "bench":
            return self._bench(name)
        return self._env(int(name)) if kind == "env" else self._training(kind, int(name))

    def _runs(self, seed: int, *columns: Any) -> Select[Any]:
        """Finished runs of a seed, in the order of architectures."""
        return (
            select(*columns)
            .select_from(Run)
            .where(Run.recipe_id == self.recipe.id, Run.seed == seed, Run.status == FINISHED)
            .order_by(Run.arch_id)
        )

    def _info(self) -> Table | None:
        """The architectures that the release speaks of; all of them if it has no runs at all."""
        spoken_of = (
            select(Run.arch_id)
            .where(Run.recipe_id == self.recipe.id, Run.status == FINISHED, Run.seed.in_(self.seeds))
            .union(select(Latency.arch_id))
        )
        query = select(StaticInfo.arch_id, StaticInfo.params, StaticInfo.flops).order_by(StaticInfo.arch_id)
        rows = self.session.execute(query.where(StaticInfo.arch_id.in_(spoken_of))).all()
        if not rows:
            rows = self.session.execute(query).all()
        ids, params, flops = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        cells = np.array([block.cell for block in space.BLOCKS], dtype=np.uint8)
        blocks = np.stack([space.block_of_stage(ids, stage) for stage in range(space.STAGES)], axis=1)
        columns: dict[str, Array] = {"params": params, "flops": flops, "arch_vec": cells[blocks]}
        return self._make(Header("static", INFO), ids, columns)

    def _training(self, part: str, seed: int) -> Table | None:
        names = BASE[1:] if part == "base" else EXT[1:]
        singles = [name for name in names if not is_list(name)]
        measured = self._has_ext() if part == "ext" else Run.id.is_not(None)
        query = self._runs(seed, Run.arch_id, Run.id, *(getattr(Run, name) for name in singles))
        rows = self.session.execute(query.where(measured)).all()
        if part == "ext":
            self._note_missing_ext(seed, len(rows))
        if not rows:
            return None
        ids, run_ids = (np.array([row[c] for row in rows], dtype=np.int64) for c in (0, 1))
        columns = {name: _single(name, rows, 2 + c, seed) for c, name in enumerate(singles)}
        if part == "base":
            self._curves = _Curves(run_ids, self._lists(seed, run_ids))
        columns |= {name: self._curves.of(name, run_ids) for name in names if is_list(name)}
        header = Header(
            "training",
            BASE if part == "base" else EXT,
            seed=seed,
            epochs=self.recipe.epochs,
            dataset=self.recipe.dataset,
            part=part,
        )
        return self._make(header, ids, columns)

    def _has_ext(self) -> Any:
        """Whether anything of a run's ext data was measured."""
        epoch = aliased(Epoch)
        stored = [getattr(epoch, EPOCH_MEASURES[name].column) for name in EXT if is_list(name)]
        in_epochs = select(epoch.run_id).where(
            epoch.run_id == Run.id, or_(*(column.is_not(None) for column in stored))
        )
        in_runs = (getattr(Run, name).is_not(None) for name in EXT if name in RUN_MEASURES)
        return or_(*in_runs, in_epochs.exists())

    def _note_missing_ext(self, seed: int, with_ext: int) -> None:
        total = self.session.scalar(self._runs(seed, func.count()).order_by(None)) or 0
        if total > with_ext:
            of_all = counted(total, "run has", "runs have")
            self.report.notes.append(
                f"seed {seed}: {total - with_ext:,} of {of_all} no ext data; ext lacks them"
            )
        query = select(func.count()).where(
            Run.recipe_id == self.recipe.id, Run.seed == seed, Run.status != FINISHED
        )
        unfinished = self.session.scalar(query) or 0
        if unfinished:
            runs = counted(unfinished, "run is not finished", "runs are not finished")
            self.report.notes.append(f"seed {seed}: {runs}, and not in the files")

    def _lists(self, seed: int, ids: npt.NDArray[np.int64]) -> dict[str, Array]:
        """All measures of the epochs of runs, stored integers of shape (runs, epochs)."""
        epochs, names = self.recipe.epochs, list(EPOCH_MEASURES)
        lacks = (
            f"a finished run of recipe {self.recipe.name}, seed {seed}, does not have the epochs "
            f"1 … {epochs} that its recipe says; see the table epochs"
        )
        order = np.argsort(ids)
        found: dict[str, Array] = {name: np.empty((len(ids), epochs), dtype=np.int32) for name in names}
        read = 0
        for block in read_epochs(self.sessions, ids, names):
            read += len(block.run_ids)
            self.meter.rows(len(block.epochs), len(ids) * epochs)
            if np.any(block.counts != epochs):
                raise ReleaseError(lacks)
            for run_ids, measures in whole_runs(block, lacks):
                rows = order[np.searchsorted(ids[order], run_ids)]
                for name, values in measures.items():
                    found[name] = _placed(found[name], rows, values)
        if read < len(ids):
            raise ReleaseError(lacks)
        return found

    def _env(self, seed: int) -> Table | None:
        query = self._runs(seed, Run.arch_id, Run.env_id).where(Run.env_id.is_not(None))
        rows = self.session.execute(query).all()
        if not rows:
            return None
        ids, env_ids = (np.array(values, dtype=np.int64) for values in zip(*rows, strict=True))
        columns = [getattr(Env, name) for name in ENVIRONMENT]
        known, *fields = zip(*self.session.execute(select(Env.id, *columns).order_by(Env.id)), strict=True)
        places = np.searchsorted(np.array(known, dtype=np.int64), env_ids)
        texts = {
            name: np.array(field, dtype=object)[places]
            for name, field in zip(ENVIRONMENT, fields, strict=True)
        }
        return self._make(Header("env", ENV, seed=seed), ids, texts)

    def _bench(self, device: str) -> Table | None:
        query = (
            select(Latency.arch_id, Latency.latency_ms)
            .join(Device)
            .where(Device.name == device)
            .order_by(Latency.arch_id)
        )
        rows = self.session.execute(query).all()
        if not rows:
            return None
        ids, latency = zip(*rows, strict=True)
        if not is_device_name(device):
            devices = {name: number for number, name in self.session.execute(select(Device.id, Device.name))}
            raise ReleaseError(misnamed(devices[device], device, devices))
        header = Header("benchmarking", BENCH, device=device)
        return self._make(header, np.array(ids), {LATENCY.name: np.array(latency, dtype=np.float64)})

    def _make(self, header: Header, ids: Array, columns: dict[str, Array]) -> Table:
        try:
            return Table(header, {KEY: space.all_digests()[ids], **columns})
        except BloxFormatError as error:  # what got into the database by SQL
            which = "" if error.row is None else f", architecture {ids[error.row]}"
            error.source = f"{header.stem}{which}"
            raise


@dataclass(frozen=True)
class _Curves:
    """The epochs of all runs of a seed, which its base and its ext share: one row each in `run_ids`."""

    run_ids: npt.NDArray[np.int64]
    stored: dict[str, Array]

    def of(self, name: str, run_ids: npt.NDArray[np.int64]) -> Array:
        """A column for some of the runs, in the same order."""
        stored = self.stored[name]
        if len(run_ids) < len(self.run_ids):
            stored = stored[np.isin(self.run_ids, run_ids)]
        return _measure(name, stored)


def _single(name: str, rows: Sequence[Any], place: int, seed: int) -> Array:
    """A column of runs of which there are the architecture, the id and values."""
    values = [row[place] for row in rows]
    if COLUMNS[name] in MEASURED:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    lacking = [row for row in rows if row[place] is None]
    if lacking:
        arch_id, run_id = lacking[0][:2]
        raise without_needed(name, run_id, arch_id, seed, len(lacking) - 1)
    return np.array(values, dtype=np.int64)


def _placed(column: Array, rows: Array, values: Array) -> Array:
    """A column with some rows filled in; int64 from the first value on that int32 does not hold."""
    if column.dtype == np.int32 and (values.min() < -(2**31) or values.max() >= 2**31):
        column = column.astype(np.int64)
    column[rows] = values
    return column


def _measure(name: str, stored: Array) -> Array:
    """Stored integers as a column of a Table, which takes int32 as it is."""
    return stored if stored.dtype == np.int32 else from_stored(stored, EPOCH_MEASURES[name])
