"""Bringing what can be read of a damaged database into a new one."""

from __future__ import annotations

import os
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.arguments import LARGEST
from bloxdb.care.checking import CHECKS, REFERENCE, Finding, check
from bloxdb.care.fitting import instead_of, problems_of
from bloxdb.care.mending import StandIns, copy_anew, mend_lost
from bloxdb.care.own import Brought, bring_own
from bloxdb.care.places import file_to_repair, place_of_copy
from bloxdb.care.salvage import DamagedIndex, DamagedTable, Gap, Row, damaged_file, nothing_in, places_of
from bloxdb.care.strays import Strays
from bloxdb.care.trees import Key, in_order
from bloxdb.counts import Report, agreed, counted
from bloxdb.db.backups import close_to
from bloxdb.db.creation import open_or_create
from bloxdb.db.database import Database
from bloxdb.db.schema import Device, Env, Epoch, Latency, Recipe, Run
from bloxdb.errors import DatabaseExistsError
from bloxdb.progress import Progress

_EPOCHS_AT_LEAST = 256  # that are looked for where a recipe is lost; runs in use have 200
_EPOCHS_A_PROBE = 32  # epochs between two places that are tried; a page has twice as many at the least
_MOST_PROBES = 1_000_000  # places that are tried of a table of which nobody knows where its rows are
_FAR = 40  # powers of two, so far beyond the last row that is read others are looked for
_LAST_ROWID = LARGEST
_TABLES: tuple[Table, ...] = tuple(
    model.__table__  # type: ignore[misc]
    for model in (Recipe, Env, Device, Run, Epoch, Latency)
)
Fit = Callable[[Row], Row | None]
_PARENTS = {key.column.table.name for table in _TABLES for key in table.foreign_keys}


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


def repair(
    database: Database | str | os.PathLike[str] | None = None,
    *,
    copy: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> RepairReport:
    """Make a new database of what can be read of a damaged one, which stays as it is.

    The search space and all indices are made anew, and copies of what stands elsewhere are copied anew.

    Parameters
    ----------
    database
        The file, its URL, or an open database; None means the one that `bloxdb.open` takes then.
    copy
        The new file; ``NAME.repaired.db`` beside it if None.
    progress
        Called with what is done of all tables and of all checks of the copy, how many these are, and which is
        going on.

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
    damaged = file_to_repair(database)
    target = place_of_copy(damaged, copy)
    report = RepairReport(target)
    with open_or_create(target) as (db, is_new):
        if not is_new:
            raise DatabaseExistsError(f"{target} exists already; remove it, or choose another place")
        with damaged_file(damaged, target.resolve().parent) as source, db.bulk_transaction() as session:
            copying = _Copying(source, session, report)
            for done, table in enumerate(_TABLES):
                if progress is not None:
                    progress(done, len(_TABLES) + len(CHECKS), table.name)
                copying.table(table)
            if not any(copying.is_there.values()):
                raise nothing_in(damaged, copying.error)
            report.lost += copying.stand_ins.settle()
            report.rows["recipes"] += len(copying.stand_ins.said)
            unsure = copying.stand_ins.unsure
            report.lost += mend_lost(session, copying.has_lost["epochs"], copying.gaps["epochs"], unsure)
            report.repaired += copy_anew(session)
            own = copying.bring_own()
            close_to(db.path, damaged)  # type: ignore[arg-type]
    report.left = check(target, progress=progress and _after_tables(progress)).findings
    report.left += [Finding(REFERENCE, said) for said in own.broken]
    return report


def _after_tables(progress: Progress) -> Progress:
    """What tells of the checks of the copy, which come after its tables."""

    def shown(done: int, total: int, what: str) -> None:
        progress(len(_TABLES) + done, len(_TABLES) + total, what)

    return shown


class _Copying:
    """Brings tables over, each after those that it refers to."""

    def __init__(self, source: sqlite3.Connection, session: Session, report: RepairReport) -> None:
        self._source = source
        self._report = report
        self.stand_ins = StandIns(session, source)
        self._strays = Strays(source)
        self._target: Any = session.connection().connection.driver_connection
        self._keys: dict[str, set[int]] = {"archs": set(range(space.NUM_ARCHS))}
        self.gaps: dict[str, list[Gap]] = {table.name: [] for table in _TABLES}
        self.is_there: dict[str, bool] = {}
        self.error: sqlite3.Error | None = None
        self.has_lost: dict[str, bool] = {}
        self._problems: dict[str, int] = {}
        self._changes: dict[str, int] = {}

    def table(self, table: Table) -> None:
        """All rows that can be read, and that refer to rows that are there."""
        there: set[str] = set()
        try:
            there = {row[1] for row in self._source.execute(f"PRAGMA table_xinfo({table.name})")}
        except sqlite3.Error as error:
            self.error = error
        columns = [column for column in table.columns if column.computed is None and column.name in there]
        self._report.rows[table.name] = 0
        self.is_there[table.name] = bool(columns) and columns[0].name in there
        self._problems, self._changes = {}, {}
        if not self.is_there[table.name]:
            self._lose(f"the table {table.name} is not there")
            self._keys[table.name], self.has_lost[table.name] = set(), True
            self.gaps[table.name] = [Gap(None, None)]
            return
        fit = self._fitting(table, columns)
        reading = self._damaged(table, columns)
        for rows in reading.rows():
            self._bring(table, columns, fit, rows)
        left_out = self._read_strays(table, columns, reading, fit)
        if reading.gaps and not self._read_indices(table, columns, fit):
            self._tell_gaps(table, reading.gaps)
        for problem, count in self._problems.items():
            self._lose(agreed(count, f"[row|rows] of {table.name} {problem}"))
        for change, count in self._changes.items():
            self._report.repaired.append(agreed(count, f"[row|rows] of {table.name} {change}"))
        self.has_lost[table.name] = bool(self.gaps[table.name] or self._problems or left_out)
        if table is Recipe.__table__:
            self.stand_ins.add_named()
        if table.name in _PARENTS:
            query = f"SELECT {columns[0].name} FROM {table.name}"  # noqa: S608
            self._keys[table.name] = {row[0] for row in self._target.execute(query)}

    def bring_own(self) -> Brought:
        """Bring what is the user's own, once all of ours is there."""
        own = bring_own(self._source, self._target)
        self._report.rows |= own.rows
        self._report.lost += own.lost
        return own

    def _bring(self, table: Table, columns: list[Column[Any]], fit: Fit, rows: Iterable[Row]) -> int:
        """Write those rows that have a place; how many."""
        written = self._write(table, columns, [row for row in map(fit, rows) if row is not None])
        self._report.rows[table.name] += written
        return written

    def _read_strays(self, table: Table, columns: list[Column[Any]], reading: DamagedTable, fit: Fit) -> bool:
        """Rows of pages that nothing readable leads to."""
        found = self._strays.rows(table.name, [column.name for column in columns], reading.keys, reading.gaps)
        count = sum(self._bring(table, columns, fit, rows) for rows in found)
        if count:
            rows_of = f"{counted(count, 'row')} of {table.name}"
            self._report.repaired.append(f"{rows_of} came from pages that nothing leads to any more")
        self._report.lost += self._strays.left_out
        return bool(self._strays.left_out)

    def _fitting(self, table: Table, columns: list[Column[Any]]) -> Fit:
        """What makes of a row one that a database may have; None where that cannot be."""
        problems = [problems_of(column) for column in columns]
        parents = {
            at: key.column.table.name for at, column in enumerate(columns) for key in column.foreign_keys
        }

        def fit(row: Row) -> Row | None:
            values = list(row)
            absent: list[int] = []  # a recipe that is not there
            for at, column in enumerate(columns):
                problem = problems[at](values[at])
                if at in parents and not problem and not self._has(parents[at], values[at]):
                    if parents[at] == Recipe.__tablename__:
                        absent.append(values[at])
                    else:
                        problem = f"referred to [a row|rows] of {parents[at]} that [is|are] not there"
                instead = None if column.nullable else instead_of(column)
                if problem and not column.nullable and instead is None:
                    self._problems[problem] = self._problems.get(problem, 0) + 1
                    return None
                if problem:
                    self._changes[problem] = self._changes.get(problem, 0) + 1
                    values[at] = instead
            for number in absent:
                self.stand_ins.add(number)
                self._keys[Recipe.__tablename__].add(number)
            return tuple(values)

        return fit

    def _has(self, table: str, key: int | None) -> bool:
        """Whether there is the row that a key refers to, or none is meant."""
        return key is None or key in self._keys[table]

    def _write(self, table: Table, columns: list[Column[Any]], rows: list[Row]) -> int:
        names = ", ".join(column.name for column in columns)
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT OR IGNORE INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608
        written = int(self._target.executemany(statement, rows).rowcount) if rows else 0
        if written < len(rows):
            problem = "[was|were] there twice, or had a status that there is not"
            self._problems[problem] = self._problems.get(problem, 0) + len(rows) - written
        return written

    def _damaged(self, table: Table, columns: list[Column[Any]]) -> DamagedTable:
        """What reads a table by the order in which SQLite keeps its rows."""
        keys = ["rowid"]
        if not table.dialect_options["sqlite"]["with_rowid"]:
            keys = [column.name for column in table.primary_key]
        names = [column.name for column in columns]

        def probes(after: Key | None, before: Key | None) -> Iterable[Key]:
            if table is Epoch.__table__:
                return self._epochs_between(after, before)
            low = 0 if after is None else after[0] + 1
            high = self._highest(table, low) if before is None else before[0] - 1
            return ((rowid,) for rowid in range(low, high + 1, 1 + (high - low) // _MOST_PROBES))

        return DamagedTable(self._source, table.name, names, keys, probes)

    def _epochs_between(self, after: Key | None, before: Key | None) -> Iterator[Key]:
        """Places of epochs: one in each so many of each run, fewer than a page has."""
        runs = sorted(self._keys["runs"])
        first = 0 if after is None else bisect_left(runs, in_order(after[:1]), key=_run_in_order)
        last = len(runs) if before is None else bisect_right(runs, in_order(before[:1]), key=_run_in_order)
        (most,) = self._target.execute("SELECT max(epochs) FROM recipes").fetchone()
        if self.stand_ins.said:
            (seen,) = self._target.execute("SELECT max(epoch) FROM epochs").fetchone()
            most = max(most, seen or 0, _EPOCHS_AT_LEAST)
        for run_id in runs[first:last]:
            for epoch in range(1, (most or 0) + 1, _EPOCHS_A_PROBE):
                yield run_id, epoch

    def _highest(self, table: Table, low: int) -> int:
        """The highest number that a row may have, as far as rows elsewhere tell it."""
        asked = [f"SELECT count(*) FROM {table.name}"]  # noqa: S608 (of an index)
        asked += [
            f"SELECT max({column.name}) FROM {other.name}"  # noqa: S608
            for other in _TABLES
            for column in other.columns
            if any(key.column.table is table for key in column.foreign_keys)
        ]
        steps = [low + (1 << power) for power in range(_FAR)]
        asked += [f"SELECT rowid FROM {table.name} WHERE rowid >= {at} LIMIT 1" for at in steps]  # noqa: S608
        found = [low]
        for query in asked:
            with suppress(sqlite3.DatabaseError):
                found += [row[0] for row in self._source.execute(query) if isinstance(row[0], int)]
        return min(max(found), _LAST_ROWID)

    def _read_indices(self, table: Table, columns: list[Column[Any]], fit: Fit) -> bool:
        """Rows that an index has, as far as it has what every row needs; whether there are no others."""
        needed = {column.name for column in columns if not column.nullable}
        keys = [column.name for column in table.primary_key]
        for name, names in self._indices(table):
            known = [column for column in columns if column.name in names]
            if not needed <= {column.name for column in known}:
                continue
            there = set(self._target.execute(f"SELECT {', '.join(keys)} FROM {table.name}"))  # noqa: S608
            at = {column.name: i for i, column in enumerate(known)}
            index = DamagedIndex(self._source, table.name, [column.name for column in known], name)
            rows = [row for row in index.rows() if tuple(row[at[key]] for key in keys) not in there]
            full = [tuple(row[at[c.name]] if c.name in at else None for c in columns) for row in set(rows)]
            count = self._bring(table, columns, fit, full)
            if count:
                lacking = [column.name for column in columns if column.name not in at]
                rows_of = f"{counted(count, 'row')} of {table.name} came from an index"
                if lacking:
                    self._lose(f"{rows_of}, without {', '.join(lacking)}")
                else:
                    self._report.repaired.append(rows_of)
            return not index.is_damaged
        return False

    def _indices(self, table: Table) -> Iterator[tuple[str, set[str]]]:
        """The indices of a table that has rowids, and the columns that each has."""
        if not table.dialect_options["sqlite"]["with_rowid"]:
            return
        alias = {"id"} & set(table.columns.keys())
        with suppress(sqlite3.DatabaseError):
            for _, name, *_ in self._source.execute(f"PRAGMA index_list({table.name})").fetchall():
                found = self._source.execute(f"PRAGMA index_xinfo({name})")
                yield name, {row[2] for row in found if row[2] is not None} | alias

    def _tell_gaps(self, table: Table, gaps: list[Gap]) -> None:
        """Where rows could not be read."""
        self.gaps[table.name] = gaps
        names = ("run_id", "epoch") if table is Epoch.__table__ else ("number",)
        for place in places_of(gaps, names):
            self._lose(f"rows of {table.name} {place} cannot be read")

    def _lose(self, sentence: str) -> None:
        self._report.lost.append(sentence)


def _run_in_order(run_id: int) -> list[tuple[int, Any]]:
    return in_order((run_id,))
