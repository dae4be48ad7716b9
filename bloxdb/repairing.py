"""Bringing what can be read of a damaged database into a new one."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, Table, delete, select, update
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.checking import Finding, check, gapped_runs, wrong_best
from bloxdb.counts import Report, counted
from bloxdb.db.access import beside, refusal
from bloxdb.db.best import BEST_FIRST
from bloxdb.db.connection import check_file, locate, locate_other, path_of
from bloxdb.db.creation import open_or_create
from bloxdb.db.dialects import engines_of
from bloxdb.db.schema import Device, Env, Epoch, Latency, Recipe, Run
from bloxdb.db.statuses import UNFINISHED
from bloxdb.db.waiting import BUSY_MS, is_busy
from bloxdb.errors import DatabaseError, DatabaseExistsError
from bloxdb.progress import Progress

_AT_ONCE = 500  # values of a table's first column that are read at once
_TABLES: tuple[Table, ...] = tuple(
    model.__table__  # type: ignore[misc]
    for model in (Recipe, Env, Device, Run, Epoch, Latency)
)
_PARENTS = {key.column.table.name for table in _TABLES for key in table.foreign_keys}

Row = tuple[Any, ...]


@dataclass(repr=False)
class RepairReport(Report):
    """What `repair` did.

    Attributes
    ----------
    copy
        The new database.
    rows
        How many rows of each table are in it, but for those of the search space, which are made anew.
    repaired
        What is otherwise than it was, a sentence each.
    lost
        What could be read no more, or has no place in a database, a sentence each.
    left
        What is still wrong in the copy.
    """

    copy: Path
    rows: dict[str, int] = field(default_factory=dict)
    repaired: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost, and nothing is wrong any more."""
        return not (self.lost or self.left)

    def __str__(self) -> str:
        parts = f"{len(self.repaired)} repaired, {len(self.lost)} lost, {len(self.left)} as they were"
        return f"{self.copy} has what could be read: {parts}"


def file_to_repair(path_or_url: str | os.PathLike[str] | None = None) -> Path:
    """The file of a database that is to be repaired.

    Parameters
    ----------
    path_or_url
        A file; None means the database that `bloxdb.open` takes then.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        There is none, or something else.
    DatabaseError
        It is on a server.
    """
    url = locate(path_or_url)
    path = path_of(url)
    if path is None:
        raise DatabaseError(engines_of(url).REPAIR)
    check_file(url)
    return path


def place_of_copy(damaged: Path, copy: str | os.PathLike[str] | None) -> Path:
    """Where the copy of a damaged file goes.

    Parameters
    ----------
    damaged
        The file.
    copy
        The new file; ``NAME.repaired.db`` beside it if None.

    Returns
    -------
    pathlib.Path
        The new file.

    Raises
    ------
    DatabaseNotFoundError
        It is blank, or no name of a database.
    DatabaseError
        It is on a server.
    """
    if copy is None:
        return damaged.with_name(f"{damaged.stem}.repaired{damaged.suffix}")
    target = path_of(locate_other(copy, "a repaired copy"))
    if target is None:
        raise DatabaseError("a repaired copy is a file; name it by its path")
    return target


def repair(
    path_or_url: str | os.PathLike[str] | None = None,
    *,
    copy: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> RepairReport:
    """Make a new database of what can be read of a damaged one, which stays as it is.

    The search space and all indices are made anew, and copies of what stands elsewhere are copied anew.

    Parameters
    ----------
    path_or_url
        The file, or its URL; None means the database that `bloxdb.open` takes then.
    copy
        The new file; ``NAME.repaired.db`` beside it if None.
    progress
        Called with tables that are done, all tables, and which is going on.

    Returns
    -------
    RepairReport
        What was repaired, what is lost, and what is still wrong.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        There is none, or something else.
    DatabaseExistsError
        There is a file where the copy is to be.
    DatabaseError
        It is on a server, or nothing at all can be read.
    """
    damaged = file_to_repair(path_or_url)
    target = place_of_copy(damaged, copy)
    report = RepairReport(target)
    with open_or_create(target) as (db, is_new):
        if not is_new:
            raise DatabaseExistsError(f"{target} exists already; remove it, or choose another place")
        with closing(_source(damaged)) as source, db.bulk_transaction() as session:
            copying = _Copying(source, session, report)
            for done, table in enumerate(_TABLES):
                if progress is not None:
                    progress(done, len(_TABLES), table.name)
                copying.table(table)
            _copy_anew(session, report)
    if progress is not None:
        progress(len(_TABLES), len(_TABLES), "done")
    report.left = check(target).findings
    return report


def _source(path: Path) -> sqlite3.Connection:
    """The damaged file. It is opened for writing where that may be, so that SQLite uses its journal first."""
    real = path.resolve()
    mode = "rw" if os.access(real, os.W_OK) and os.access(real.parent, os.W_OK) else "ro"
    source = sqlite3.connect(
        f"{real.as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_MS / 1000
    )
    try:
        source.execute("PRAGMA query_only = ON")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.execute("BEGIN")
    except sqlite3.Error as error:
        source.close()
        if is_busy(error):
            raise DatabaseError(refusal(error, path)) from error
        journal = beside(path, "-journal").name
        raise DatabaseError(
            f"nothing can be read of {path}: {error}; is {journal} missing, which was beside it?"
        ) from error
    return source


class _Copying:
    """Brings tables over, each after those that it refers to."""

    def __init__(self, source: sqlite3.Connection, session: Session, report: RepairReport) -> None:
        self._source = source
        self._report = report
        self._target: Any = session.connection().connection.driver_connection
        self._keys: dict[str, set[int]] = {"archs": set(range(space.NUM_ARCHS))}

    def table(self, table: Table) -> None:
        """All rows that can be read, and that refer to rows that are there."""
        there = {row[1] for row in self._source.execute(f"PRAGMA table_xinfo({table.name})")}
        columns = [column for column in table.columns if column.computed is None and column.name in there]
        self._report.rows[table.name] = 0
        if not columns or columns[0].name not in there:
            self._lose(f"the table {table.name} is not there")
            return
        fit, seen = self._fitting(table, columns), 0
        lost = len(self._report.lost)
        for rows in self._read(table, columns):
            seen += len(rows)
            good = [row for row in map(fit, rows) if row is not None]
            self._report.rows[table.name] += self._write(table, columns, good)
        unseen = self._count(table.name) - seen
        if unseen > 0 and len(self._report.lost) == lost:  # nothing else was said of them
            self._lose(f"{counted(unseen, 'row')} of {table.name} without a number for {columns[0].name}")
        for problem, count in self._problems.items():
            self._lose(f"{counted(count, 'row')} of {table.name} {problem}")
        for change, count in self._changes.items():
            self._report.repaired.append(f"{counted(count, 'row')} of {table.name} {change}")
        if table.name in _PARENTS:
            query = f"SELECT {columns[0].name} FROM {table.name}"  # noqa: S608
            self._keys[table.name] = {row[0] for row in self._target.execute(query)}

    def _fitting(self, table: Table, columns: list[Column[Any]]) -> Callable[[Row], Row | None]:
        """What makes of a row one that a database may have; None where that cannot be."""
        self._problems: dict[str, int] = {}
        self._changes: dict[str, int] = {}
        kinds = [_types_of(column) for column in columns]
        parents = {
            at: (key.column.table.name, self._keys[key.column.table.name])
            for at, column in enumerate(columns)
            for key in column.foreign_keys
        }

        def fit(row: Row) -> Row | None:
            values = list(row)
            for at, column in enumerate(columns):
                value, problem = values[at], ""
                if value is None:
                    problem = "" if column.nullable else f"had no {column.name}"
                elif not isinstance(value, kinds[at]) or value != value or value in (math.inf, -math.inf):
                    problem = f"had something else for {column.name}"
                elif at in parents and value not in parents[at][1]:
                    problem = f"referred to {parents[at][0]} that are not there"
                if problem and not column.nullable:
                    self._problems[problem] = self._problems.get(problem, 0) + 1
                    return None
                if problem:
                    self._changes[problem] = self._changes.get(problem, 0) + 1
                    values[at] = None
            return tuple(values)

        return fit

    def _write(self, table: Table, columns: list[Column[Any]], rows: list[Row]) -> int:
        names = ", ".join(column.name for column in columns)
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608
        written = int(self._target.executemany(statement, rows).rowcount) if rows else 0
        if written < len(rows):
            problem = "were there twice, or had a status that there is not"
            self._problems[problem] = self._problems.get(problem, 0) + len(rows) - written
        return written

    def _read(self, table: Table, columns: list[Column[Any]]) -> Iterator[list[Row]]:
        """Rows by ranges of the first column, which shrink where something cannot be read."""
        names = ", ".join(column.name for column in columns)
        key = columns[0].name
        query = f"SELECT {names} FROM {table.name} WHERE {key} BETWEEN ? AND ? ORDER BY {key}"  # noqa: S608
        bounds = [self._bound(table.name, key, last=last) for last in (False, True)]
        if bounds[0] is None or bounds[1] is None:
            return
        unread = []
        ranges = [(bounds[0], bounds[1])]
        while ranges:
            low, high = ranges.pop()
            if high - low >= _AT_ONCE:
                low = self._next(table.name, key, low)
                ranges += [(low + _AT_ONCE, high), (low, min(low + _AT_ONCE - 1, high))]
                continue
            try:
                yield self._source.execute(query, (low, high)).fetchall()
            except sqlite3.DatabaseError:
                if low == high:
                    unread.append(low)
                else:
                    middle = (low + high) // 2
                    ranges += [(middle + 1, high), (low, middle)]
        if unread:
            values = f"{counted(len(unread), 'value')} of {key}, from {min(unread)} to {max(unread)}"
            self._lose(f"what {table.name} had under {values}, cannot be read")

    def _count(self, table: str) -> int:
        """How many rows a table has; 0 where that cannot be read."""
        try:
            return int(self._source.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
        except sqlite3.DatabaseError:
            return 0

    def _next(self, table: str, key: str, low: int) -> int:
        """The first number from one on that can be read; that one where it is not known."""
        query = f"SELECT {key} FROM {table} WHERE {key} >= ? AND {_is_number(key)} ORDER BY {key} LIMIT 1"  # noqa: S608
        try:
            row = self._source.execute(query, (low,)).fetchone()
        except sqlite3.DatabaseError:
            return low
        return low if row is None else int(row[0])

    def _bound(self, table: str, key: str, *, last: bool) -> int | None:
        """The first or the last number that can be read; None where there is none."""
        order = "DESC" if last else "ASC"
        other = "ASC" if last else "DESC"
        try:
            row = self._source.execute(
                f"SELECT {key} FROM {table} WHERE {_is_number(key)} ORDER BY {key} {order} LIMIT 1"  # noqa: S608
            ).fetchone()
            return None if row is None else int(row[0])
        except sqlite3.DatabaseError:
            found = None
        try:  # from the other side, up to what is damaged
            query = f"SELECT {key} FROM {table} WHERE {_is_number(key)} ORDER BY {key} {other}"  # noqa: S608
            for row in self._source.execute(query):
                found = row[0]
        except sqlite3.DatabaseError as error:
            end = "last" if last else "first"
            self._lose(f"the {end} rows of {table} cannot be read: {error}")
        return found if isinstance(found, int) else None

    def _lose(self, sentence: str) -> None:
        self._report.lost.append(sentence)


def _is_number(key: str) -> str:
    """A condition: SQLite holds a text in any column, and has it behind all numbers."""
    return f"typeof({key}) = 'integer'"


def _types_of(column: Column[Any]) -> tuple[type, ...]:
    """What SQLite's driver gives for the values of a column."""
    if isinstance(column.type, Integer | BigInteger | Boolean):
        return (int,)
    return (int, float) if isinstance(column.type, Double) else (str,)


def _copy_anew(session: Session, report: RepairReport) -> None:
    """What runs have of architectures and of their epochs."""
    costs = dict(enumerate(space.all_costs().tolist()))
    changes = []
    for row in session.execute(select(Run.id, Run.arch_id, Run.flops, Run.params)).all():
        flops, params = costs[row.arch_id]
        if (row.flops, row.params) != (flops, params):
            changes.append({"id": row.id, "flops": flops, "params": params})
    if changes:
        session.execute(update(Run), changes)
        runs = counted(len(changes), "run has its", "runs have their")
        report.repaired.append(f"{runs} architecture's costs again")
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
        report.repaired.append(f"{runs} again")
    _cut(session, report)


def _cut(session: Session, report: RepairReport) -> None:
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
    if cut:
        runs = counted(
            cut, "unfinished run goes on before a gap in its", "unfinished runs go on before a gap in their"
        )
        report.repaired.append(f"{runs} epochs, without those after it")
