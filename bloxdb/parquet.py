"""A database as Parquet files, one a table, and back.

Runs that have ended, their epochs, and what they refer to. Rows are in the order of architectures, and a
group of rows holds whole architectures, so that a reader who wants some of them skips the rest. Each field
has its unit in its metadata. Values are the natural ones: percent, losses, seconds. Pages have checksums.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import JSON, Boolean, Column, DateTime, Double, Integer, Select, select
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from bloxdb.arrow_checks import integers_of, rows_from, rows_of, stored_of
from bloxdb.arrow_reading import ParquetTable, libraries
from bloxdb.arrow_tables import EpochChecks, Tables
from bloxdb.counts import Counts
from bloxdb.db.broken import broken_references
from bloxdb.db.creation import create
from bloxdb.db.database import Database, asked
from bloxdb.db.engines import insert_rows
from bloxdb.db.epochs import EpochBlock, EpochWriter, read_epochs, whole_runs
from bloxdb.db.needed import NEEDED_OF_RUNS, without_needed
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import EPOCH_MEASURES, Base, Device, Env, Latency, Recipe, Run
from bloxdb.db.statuses import ENDED, FINISHED
from bloxdb.db.values import MEASURED
from bloxdb.device_names import is_device_name, misnamed
from bloxdb.errors import BloxError, BloxFormatError, ReleaseError
from bloxdb.fields import UNITS
from bloxdb.files import ExportReport, expanded
from bloxdb.measures import MISSING, check, from_stored
from bloxdb.merging import MergeReport, merge
from bloxdb.progress import Meter, Progress
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.writing import replacing, replacing_all, workspace

SUFFIX = ".parquet"

_ARCHS_A_GROUP = 500
_PLAIN = (Recipe, Env, Device, Run, Latency)
_TABLES = ("epochs", *(model.__tablename__ for model in _PLAIN))
_WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
_EPOCH_COLUMNS: tuple[tuple[str, TypeEngine[Any]], ...] = tuple(
    (name, Double() if name in EPOCH_MEASURES else Integer())
    for name in ("arch_id", "run_id", "epoch", *EPOCH_MEASURES)
)


_LATER = ("device_workers", "settings")
"""Columns that came after the first files; NULL where one lacks them."""


def is_parquet(folder: str | PathLike[str]) -> bool:
    """Whether a folder holds what `export_parquet` writes."""
    return (expanded(folder) / f"runs{SUFFIX}").is_file()


def export_parquet(
    folder: str | PathLike[str],
    db: Database | None = None,
    *,
    recipe: str | None = None,
    seeds: Seeds = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the ended runs of a database, whole or not at all.

    Parameters
    ----------
    folder
        Where to; made if needed. Files of the same names are replaced.
    db
        The database; the current one if not given.
    recipe
        Only runs of the recipe of this name.
    seeds
        Only runs of this seed, or of these.
    progress
        Called with rows that are done, all rows, and what is going on.

    Returns
    -------
    ExportReport
        The files.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    QueryError
        There is no such recipe or seed.
    BloxFormatError
        A value is none that its column may have; the error says which. SQL put it there.
    """
    _, parquet = libraries()
    db = asked(db)
    target = expanded(folder)
    with replacing_all(target) as staging, db.snapshot() as session:
        chosen: list[Any] = [Run.status.in_(ENDED)]
        found = None if recipe is None else find_recipe(db, recipe, session)
        if found is not None:
            chosen.append(Run.recipe_id == found.id)
        if seeds is not None:
            chosen.append(Run.seed.in_(find_seeds(session, seeds, found, statuses=ENDED)))
        rows = {}
        for model in _PLAIN:
            name = model.__tablename__
            with replacing(staging / f"{name}{SUFFIX}") as path:
                table = _plain(session, model, chosen)
                parquet.write_table(table, path, **_WRITING)
            rows[name] = len(table)
        with replacing(staging / f"epochs{SUFFIX}") as path:
            archs, epochs = _write_epochs(session, chosen, path, progress)
    counts = Counts(archs, rows["runs"], epochs, rows["latencies"])
    return ExportReport([target / f"{name}{SUFFIX}" for name in sorted(_TABLES)], counts=counts)


def import_parquet(
    folder: str | PathLike[str],
    db: Database | None = None,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Bring what `export_parquet` wrote into a database, all of it or nothing.

    Parameters
    ----------
    folder
        The folder of the files.
    db
        The database; the current one if not given.
    replace
        Let the files' values override those that contradict them.
    progress
        Called with runs that are done, all runs, and what is going on.

    Returns
    -------
    MergeReport
        What came in.

    Raises
    ------
    ReleaseError
        A file is missing or damaged, or does not have the columns of its table.
    BloxFormatError
        A value is of another type or not one that its column may have, refers to nothing, or contradicts what
        it is a copy of: FLOPs and parameters of the architecture, the best of the run's epochs; the error
        names file, row and column.
    ConflictError
        Values contradict the database.
    """
    db = asked(db)
    place = expanded(folder)
    epochs = ParquetTable(place / f"epochs{SUFFIX}", dict(_EPOCH_COLUMNS), dict(_EPOCH_COLUMNS))
    rows: dict[type[Base], list[dict[str, Any]]] = {}
    for model in _PLAIN:
        path = place / f"{model.__tablename__}{SUFFIX}"
        table = ParquetTable(path, {column.name: column.type for column in _columns(model)}, _needed(model))
        most = NUM_ARCHS * len(rows[Device]) if model is Latency else math.inf
        table.check_claims(most, "its devices and all architectures")
        rows[model] = rows_of(model, table.batches(), path)
    tables = Tables(rows, place)
    tables.check()
    blocks = _epochs(epochs, EpochChecks(tables))
    first = list(islice(blocks, 1))  # what is wrong there is told before anything is made
    with _scratch(db) as scratch:
        made_of = scratch / "parquet.db"
        with create(made_of, current=False) as made, made.bulk_transaction() as session:
            for model in _PLAIN:
                insert_rows(session, model, rows[model])
            with EpochWriter(session, scratch, Meter(None, 0)) as writer:
                for run_ids, measures in chain(first, blocks):
                    writer.write(run_ids, measures)
                writer.flush()
            if broken_references(session.connection()):
                raise ReleaseError(f"{place}: a row refers to one that is in none of the files")
        try:
            return merge(made_of, db, prefer="last" if replace else None, progress=progress)
        except BloxError as error:
            if str(made_of) not in str(error):
                raise
            kind = type(error) if isinstance(error, ReleaseError) else ReleaseError
            raise kind(str(error).replace(str(made_of), str(place))) from error  # what the user has seen


@contextmanager
def _scratch(db: Database) -> Iterator[Path]:
    with db.scratch() as beside:
        if beside is not None:
            yield beside
            return
        with workspace(Path(tempfile.gettempdir())) as folder:
            yield folder


def _schema(names: Sequence[tuple[str, Any]]) -> Any:
    """An Arrow schema of names and SQLAlchemy types."""
    arrow, _ = libraries()
    fields = []
    for name, kind in names:
        if isinstance(kind, DateTime):
            arrow_type = arrow.timestamp("us")
        elif isinstance(kind, Double):
            arrow_type = arrow.float64()
        elif isinstance(kind, Boolean):
            arrow_type = arrow.bool_()
        else:
            arrow_type = arrow.int64() if isinstance(kind, Integer) else arrow.string()
        unit = {"unit": UNITS[name]} if name in UNITS else None
        fields.append(arrow.field(name, arrow_type, metadata=unit))
    return arrow.schema(fields)


def _columns(model: type[Base]) -> list[Any]:
    return list(model.__table__.columns)


def _plain(session: Session, model: type[Base], chosen: list[Any]) -> Any:
    """A table of which all rows, or the chosen runs, are written."""
    arrow, _ = libraries()
    columns = _columns(model)
    query: Select[Any] = select(*columns)
    query = query.where(*chosen).order_by(Run.arch_id, Run.id) if model is Run else query.order_by(columns[0])
    rows = session.execute(query).all()
    values = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in columns]
    fields = _schema([(column.name, column.type) for column in columns])
    _check_whole(model, dict(zip((column.name for column in columns), values, strict=True)))
    for c, column in enumerate(columns):
        _check_stored(column, values[c], values[0])
        if isinstance(column.type, JSON):
            values[c] = [None if value is None else json.dumps(value) for value in values[c]]
    return arrow.table(values, schema=fields)


def _check_whole(model: type[Base], values: dict[str, list[Any]]) -> None:
    """Refuse devices and finished runs that no import would take; SQL made them so."""
    if model is Device:
        for number, name in zip(values["id"], values["name"], strict=True):
            if isinstance(name, str) and not is_device_name(name):
                raise ReleaseError(misnamed(number, name, values["name"]))
    for needed in NEEDED_OF_RUNS if model is Run else ():
        ended = zip(values["status"], values[needed], strict=True)
        lacking = [i for i, (status, value) in enumerate(ended) if status == FINISHED and value is None]
        if lacking:
            run_id, arch_id, seed = (values[name][lacking[0]] for name in ("id", "arch_id", "seed"))
            raise without_needed(needed, run_id, arch_id, seed, len(lacking) - 1)


def _check_stored(column: Column[Any], values: Sequence[Any], numbers: Sequence[Any]) -> None:
    """Refuse what SQL put into a column of a database, and no file may say; `numbers` tell the rows."""
    kind: type = object if isinstance(column.type, JSON) else column.type.python_type
    kinds = (int, float) if kind is float else (kind,)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, kinds):
            problem = f"{value!r:.40} is no {kind.__name__}; `bloxdb check` tells all such values"
            raise _stored_error(column, numbers[row], problem)
    measure = MEASURED.get(column.name)
    if measure is None:
        return
    known = [0 if value is None else value for value in values]
    is_whole = all(isinstance(value, int) for value in known)
    try:
        check(np.array(known, dtype=np.int64 if is_whole else np.float64), measure)
    except BloxFormatError as error:
        raise _stored_error(column, numbers[error.row or 0], error.problem) from error


def _stored_error(column: Column[Any], number: object, problem: str) -> BloxFormatError:
    """An error at a row of a table."""
    source = f"{column.table.name}, {next(iter(column.table.columns)).name} {number}"
    return BloxFormatError(problem, source=source, column=column.name)


def _write_epochs(
    session: Session, chosen: list[Any], path: Path, progress: Progress | None
) -> tuple[int, int]:
    """Write the epochs of the chosen runs; of how many architectures, and how many epochs."""
    arrow, parquet = libraries()
    rows = session.execute(select(Run.arch_id, Run.id).where(*chosen).order_by(Run.arch_id, Run.id)).all()
    arch_ids, run_ids = (np.array([row[c] for row in rows], dtype=np.int64) for c in (0, 1))
    schema = _schema(_EPOCH_COLUMNS)
    meter = Meter(progress, len(rows))
    meter.begin("epochs", len(rows))
    written = 0
    with parquet.ParquetWriter(path, schema, **_WRITING) as writer:
        distinct = np.unique(arch_ids)
        for first in range(0, len(distinct), _ARCHS_A_GROUP):
            inside = np.isin(arch_ids, distinct[first : first + _ARCHS_A_GROUP])
            arch_of = dict(zip(run_ids[inside].tolist(), arch_ids[inside].tolist(), strict=True))
            blocks = list(read_epochs([session], run_ids[inside], list(EPOCH_MEASURES)))
            if blocks:
                table = arrow.concat_tables([_epoch_table(arrow, schema, block, arch_of) for block in blocks])
                order = [("arch_id", "ascending"), ("run_id", "ascending"), ("epoch", "ascending")]
                writer.write_table(table.sort_by(order), row_group_size=len(table))
                written += len(table)
            meter.rows(int(inside.sum()), len(rows))
    return len(distinct), written


def _epoch_table(arrow: Any, schema: Any, block: EpochBlock, arch_of: dict[int, int]) -> Any:
    archs = np.array([arch_of[run_id] for run_id in block.run_ids.tolist()])
    columns = [
        arrow.array(np.repeat(archs, block.counts)),
        arrow.array(np.repeat(block.run_ids, block.counts)),
        arrow.array(block.epochs),
    ]
    for name, stored in block.measures.items():
        try:
            check(stored, EPOCH_MEASURES[name])
        except BloxFormatError as error:  # what got into the database by SQL
            at = error.row or 0
            run_id = int(np.repeat(block.run_ids, block.counts)[at])
            error.source, error.row = f"epochs, run_id {run_id}, epoch {block.epochs[at]}", None
            raise
        natural = from_stored(stored, EPOCH_MEASURES[name])
        columns.append(arrow.array(natural, mask=stored == MISSING))
    return arrow.table(columns, schema=schema)


def _needed(model: type[Base]) -> list[str]:
    """The columns that a file must have: those of later revisions have a default, or are not known."""
    columns = [column for column in _columns(model) if column.server_default is None]
    return [column.name for column in columns if column.name not in _LATER]


def _epochs(
    file: ParquetTable, checks: EpochChecks
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]]:
    """Stored integers of runs that have the same number of epochs, some at once."""
    file.check_claims(checks.most, "the recipes of its runs", is_of_epochs=True)
    for first, table in file.groups():
        with rows_from(first, file.path):
            yield from _groups(table, file.path, checks)
    checks.finish()


def _groups(
    table: Any, path: Path, checks: EpochChecks
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]]:
    runs, epochs, archs = (integers_of(table, name, path) for name in ("run_id", "epoch", "arch_id"))
    stored = {name: stored_of(table, measure, path) for name, measure in EPOCH_MEASURES.items()}
    order = np.lexsort((epochs, runs))
    run_ids, counts = np.unique(runs, return_counts=True)
    columns = {name: values[order] for name, values in {**stored, "arch_id": archs}.items()}
    block = EpochBlock(run_ids, counts, epochs[order], columns)
    for some_ids, some in whole_runs(block, f"{path}: a run lacks some of its epochs"):
        of_archs = some.pop("arch_id")
        if np.any(of_archs != of_archs[:, :1]):
            raise ReleaseError(f"{path}: the epochs of a run are of several architectures")
        checks.look(some_ids.tolist(), of_archs[:, 0].tolist(), some, path)
        yield some_ids, some
