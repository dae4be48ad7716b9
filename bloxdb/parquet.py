"""A database as Parquet files, one a table, and back.

Runs that have ended, their epochs, and what they refer to. Rows are in the order of architectures, and a
group of rows holds whole architectures, so that a reader who wants some of them skips the rest. Each field
has its unit in its metadata. Values are the natural ones: percent, losses, seconds. Pages have checksums.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import JSON, Boolean, DateTime, Double, Integer, Select, insert, select
from sqlalchemy.orm import Session

from bloxdb.db.creation import create
from bloxdb.db.database import Database, asked
from bloxdb.db.dialects import broken_references
from bloxdb.db.epochs import EpochBlock, EpochWriter, read_epochs
from bloxdb.db.references import Seeds, find_recipe, find_seeds
from bloxdb.db.schema import EPOCH_MEASURES, Base, Device, Env, Latency, Recipe, Run
from bloxdb.db.statuses import ENDED
from bloxdb.errors import MissingExtraError, ReleaseError
from bloxdb.fields import UNITS
from bloxdb.files import ExportReport, check_file, expanded, replacing_all
from bloxdb.measures import MEASURES, MISSING, SEEDS, check, from_stored, to_stored
from bloxdb.merging import MergeReport, merge
from bloxdb.progress import Meter, Progress

SUFFIX = ".parquet"

_ARCHS_A_GROUP = 500
_PLAIN = (Recipe, Env, Device, Run, Latency)
_TABLES = ("epochs", *(model.__tablename__ for model in _PLAIN))
_WRITING: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
_MEASURED = {measure.column: measure for measure in MEASURES if measure.of != "epoch"}
_EPOCH_COLUMNS = ("arch_id", "run_id", "epoch", *EPOCH_MEASURES)


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
    """
    _, parquet = _libraries()
    db = asked(db)
    target = expanded(folder)
    with replacing_all(target) as staging, db.snapshot() as session:
        chosen: list[Any] = [Run.status.in_(ENDED)]
        found = None if recipe is None else find_recipe(db, recipe, session)
        if found is not None:
            chosen.append(Run.recipe_id == found.id)
        if seeds is not None:
            chosen.append(Run.seed.in_(find_seeds(session, seeds, found, statuses=ENDED)))
        for model in _PLAIN:
            name = model.__tablename__
            parquet.write_table(_plain(session, model, chosen), staging / f"{name}{SUFFIX}", **_WRITING)
        _write_epochs(session, chosen, staging / f"epochs{SUFFIX}", progress)
    return ExportReport([target / f"{name}{SUFFIX}" for name in sorted(_TABLES)])


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
        A value is not one that the database keeps.
    ConflictError
        Values contradict the database.
    """
    db = asked(db)
    place = expanded(folder)
    for model in _PLAIN:
        _read(place / f"{model.__tablename__}{SUFFIX}", _needed(model))
    _read(place / f"epochs{SUFFIX}", _EPOCH_COLUMNS)
    with _scratch(db) as scratch:
        path = scratch / "parquet.db"
        with create(path, current=False) as made, made.bulk_transaction() as session:
            for model in _PLAIN:
                _insert(session, model, place / f"{model.__tablename__}{SUFFIX}")
            with EpochWriter(session, scratch, Meter(None, 0)) as writer:
                for run_ids, measures in _epochs(place / f"epochs{SUFFIX}"):
                    writer.write(run_ids, measures)
                writer.flush()
            if broken_references(session.connection()):
                raise ReleaseError(f"{place}: a row refers to one that is in none of the files")
        return merge(path, db, prefer="last" if replace else None, progress=progress)


@contextmanager
def _scratch(db: Database) -> Iterator[Path]:
    with db.scratch() as beside:
        if beside is not None:
            yield beside
            return
        with tempfile.TemporaryDirectory(prefix="bloxdb-") as folder:
            yield Path(folder)


def _libraries() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise MissingExtraError("Parquet files need pyarrow: pip install 'bloxdb[frames]'") from error


def _schema(names: Sequence[tuple[str, Any]]) -> Any:
    """An Arrow schema of names and SQLAlchemy types."""
    arrow, _ = _libraries()
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
    arrow, _ = _libraries()
    columns = _columns(model)
    query: Select[Any] = select(*columns)
    query = query.where(*chosen).order_by(Run.arch_id, Run.id) if model is Run else query.order_by(columns[0])
    rows = session.execute(query).all()
    values = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in columns]
    for c, column in enumerate(columns):
        if isinstance(column.type, JSON):
            values[c] = [None if value is None else json.dumps(value) for value in values[c]]
    return arrow.table(values, schema=_schema([(column.name, column.type) for column in columns]))


def _write_epochs(session: Session, chosen: list[Any], path: Path, progress: Progress | None) -> None:
    arrow, parquet = _libraries()
    rows = session.execute(select(Run.arch_id, Run.id).where(*chosen).order_by(Run.arch_id, Run.id)).all()
    arch_ids, run_ids = (np.array([row[c] for row in rows], dtype=np.int64) for c in (0, 1))
    schema = _schema([(name, Double() if name in EPOCH_MEASURES else Integer()) for name in _EPOCH_COLUMNS])
    meter = Meter(progress, len(rows))
    meter.begin("epochs", len(rows))
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
            meter.rows(int(inside.sum()), len(rows))


def _epoch_table(arrow: Any, schema: Any, block: EpochBlock, arch_of: dict[int, int]) -> Any:
    archs = np.array([arch_of[run_id] for run_id in block.run_ids.tolist()])
    columns = [
        arrow.array(np.repeat(archs, block.counts)),
        arrow.array(np.repeat(block.run_ids, block.counts)),
        arrow.array(block.epochs),
    ]
    for name, stored in block.measures.items():
        natural = from_stored(stored, EPOCH_MEASURES[name])
        columns.append(arrow.array(natural, mask=stored == MISSING))
    return arrow.table(columns, schema=schema)


def _read(path: Path, names: Iterable[str]) -> Any:
    """A file of a table, with its columns checked."""
    arrow, parquet = _libraries()
    check_file(path, ReleaseError)
    try:
        opened = parquet.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise ReleaseError(f"there is no {path}") from error
    except (arrow.ArrowException, OSError) as error:
        raise ReleaseError(f"{path} is damaged: {error}") from error
    lacking = [name for name in names if name not in opened.schema_arrow.names]
    if lacking:
        raise ReleaseError(f"{path} lacks the column {lacking[0]}")
    return opened


def _needed(model: type[Base]) -> list[str]:
    """The columns that a file must have: those of later revisions have a default, or are not known."""
    columns = [column for column in _columns(model) if column.server_default is None]
    return [column.name for column in columns if column.name not in _LATER]


def _insert(session: Session, model: type[Base], path: Path) -> None:
    arrow, _ = _libraries()
    opened = _read(path, _needed(model))
    names = [column.name for column in _columns(model) if column.name in opened.schema_arrow.names]
    try:
        table = opened.read(columns=names)
    except (arrow.ArrowException, OSError) as error:
        raise ReleaseError(f"{path} is damaged: {error}") from error
    for name in names:
        if name in _MEASURED:
            check(_natural(table, name, path), _MEASURED[name], str(path))
    if model is Run:
        strange = [seed for seed in table["seed"].to_pylist() if seed not in SEEDS]
        if strange:
            raise ReleaseError(f"{path}: a run has seed {strange[0]!r}; seeds are 0 … 2^63 - 1")
    rows = table.to_pylist()
    texts = [column.name for column in _columns(model) if isinstance(column.type, JSON)]
    for row in rows:
        for name in texts:
            if row.get(name) is not None:
                row[name] = json.loads(row[name])
    if rows:
        session.execute(insert(model.__table__), rows)  # type: ignore[arg-type]


def _epochs(path: Path) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]]]]:
    """Stored integers of runs that have the same number of epochs, some at once."""
    arrow, _ = _libraries()
    opened = _read(path, _EPOCH_COLUMNS)
    for group in range(opened.num_row_groups):
        try:
            table = opened.read_row_group(group).sort_by([("run_id", "ascending"), ("epoch", "ascending")])
        except (arrow.ArrowException, OSError) as error:
            raise ReleaseError(f"{path} is damaged: {error}") from error
        run_ids, starts, counts = np.unique(table["run_id"].to_numpy(), return_index=True, return_counts=True)
        epochs = table["epoch"].to_numpy()
        stored = {name: _stored(table, name, path) for name in EPOCH_MEASURES}
        for count in np.unique(counts).tolist():
            chosen = counts == count
            places = starts[chosen][:, None] + np.arange(count)
            if np.any(epochs[places] != np.arange(1, count + 1)):
                raise ReleaseError(f"{path}: a run lacks some of its epochs")
            yield run_ids[chosen], {name: values[places] for name, values in stored.items()}


def _stored(table: Any, name: str, path: Path) -> npt.NDArray[np.int64]:
    """Natural values of an epoch's measure as the integers that the database keeps."""
    values = _natural(table, name, path)
    check(values, EPOCH_MEASURES[name], str(path))
    return to_stored(values, EPOCH_MEASURES[name], str(path))


def _natural(table: Any, name: str, path: Path) -> npt.NDArray[np.float64]:
    """A column of numbers, NaN for null."""
    try:
        values: npt.NDArray[np.float64] = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ReleaseError(f"{path}: the column {name} does not hold numbers") from error
    return values
