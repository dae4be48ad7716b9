"""Rows of a damaged SQLite file: all that can be read around pages that are damaged, or not there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bloxdb.care.pages import blank
from bloxdb.care.trees import Forest, Key, in_order
from bloxdb.counts import counted
from bloxdb.db.access import in_one_state, pages_of, refusal
from bloxdb.db.names import beside
from bloxdb.db.waiting import is_busy
from bloxdb.errors import DatabaseError
from bloxdb.writing import workspace

_AT_ONCE = 5_000  # rows
_TOLD = 5  # places that are told one by one

Row = tuple[Any, ...]


class Undecoded(bytes):
    """A text that is not UTF-8, as it is stored."""


class Gap(NamedTuple):
    """Where rows cannot be read.

    Attributes
    ----------
    after, before
        Keys of the rows that can be read on both sides; None at an end of the table.
    """

    after: Key | None
    before: Key | None

    def may_follow(self, key: Key) -> bool:
        """Whether rows just after a key, which is read or is before all rows, may be among those."""
        is_after = self.after is None or in_order(self.after) <= in_order(key)
        return is_after and (self.before is None or in_order(key) < in_order(self.before))


def places_of(gaps: Sequence[Gap], names: Sequence[str]) -> list[str]:
    """Where rows cannot be read, in words that follow "rows of a table".

    Parameters
    ----------
    gaps
        The places.
    names
        What each part of their keys is called.
    """
    told = []
    for gap in gaps[:_TOLD]:
        sides = [
            f"{word} {', '.join(f'{name} {value!r:.80}' for name, value in zip(names, key, strict=True))}"
            for word, key in zip(("after", "before"), gap, strict=True)
            if key is not None
        ]
        told.append((" and ".join(sides) or "at any place") + _most(gap))
    if len(gaps) > _TOLD:
        told.append(f"at {counted(len(gaps) - _TOLD, 'more place')}")
    return told


def _most(gap: Gap) -> str:
    """How many rows there can have been at the most, where their numbers say it."""
    low, high = gap.after or (), gap.before or ()
    if len(low) != 1 or len(high) != 1 or not all(isinstance(key, int) for key in (*low, *high)):
        return ""
    return f" ({high[0] - low[0] - 1} at the most)"


@contextmanager
def damaged_file(path: Path, scratch: Path) -> Iterator[sqlite3.Connection]:
    """A damaged file, of which one state is read, and nothing is changed but what SQLite recovers.

    Of a file that was cut off within a page the rest of that page is taken for damaged: SQLite would read
    zeros there. So is a page that has what belongs elsewhere, where it would read rows that are not true.

    Parameters
    ----------
    path
        The file.
    scratch
        Where a copy of it may be made, if there is such a page.

    Yields
    ------
    sqlite3.Connection
        Texts that are not UTF-8 come as `Undecoded`.

    Raises
    ------
    DatabaseError
        It is locked, or SQLite finds no database in it.
    """
    with closing(_opened(path, path)) as source:
        pages = pages_of(path)
        cut = pages if pages is not None and pages.rest and pages.is_cut_off else None
        misplaced = Forest(source).misplaced
        if cut is None and not misplaced:
            yield source
            return
        with workspace(scratch) as folder:
            copy = folder / path.name
            with closing(sqlite3.connect(copy)) as whole:
                source.backup(whole)
            if cut is not None:
                os.truncate(copy, cut.there * cut.size)
            with closing(_opened(copy, path)) as opened:
                misplaced = Forest(opened).misplaced
            blank(copy, misplaced)
            with closing(_opened(copy, path)) as opened:
                yield opened


def _opened(place: Path, path: Path) -> sqlite3.Connection:
    try:
        source = in_one_state(place)
    except sqlite3.Error as error:
        if is_busy(error):
            raise DatabaseError(refusal(error, path)) from error
        raise nothing_in(path, error) from error
    source.text_factory = _text
    source.set_authorizer(_tables_alone)
    return source


def _tables_alone(action: int, *told: str | None) -> int:
    """Let nothing be read through a view: one in the place of a table may have no end, or do anything."""
    through = told[-1]
    reads = (sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)
    return sqlite3.SQLITE_DENY if through is not None and action in reads else sqlite3.SQLITE_OK


def nothing_in(path: Path, error: object) -> DatabaseError:
    """The error for a file of which nothing can be read.

    Parameters
    ----------
    path
        The file.
    error
        What shows that.
    """
    pages = pages_of(path)
    if pages is not None and pages.is_cut_off:
        told = f"it was cut off, and {pages}; take a backup"
    elif error is None:
        told = "it has no table of ours"
    else:
        told = f"{error}; is {beside(path, '-journal').name} missing, which was beside it?"
    return DatabaseError(f"nothing can be read of {path}: {told}")


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecoded(data)


class DamagedTable:
    """A table whose rows are read from both ends, and from places between them where damage is in the way.

    Parameters
    ----------
    source
        The file.
    name
        The table.
    columns
        What is read of each row.
    keys
        The columns by which the table itself is ordered.
    probes
        Gives places between two keys where rows may be, in their order; None stands for an end of the table.

    Attributes
    ----------
    gaps
        Where rows could not be read, so far.
    keys
        As given.
    """

    def __init__(
        self,
        source: sqlite3.Connection,
        name: str,
        columns: Sequence[str],
        keys: Sequence[str],
        probes: Callable[[Key | None, Key | None], Iterable[Key]],
    ) -> None:
        self.gaps: list[Gap] = []
        self._source = source
        self.keys = keys
        self._probes = probes
        self._select = f"SELECT {', '.join((*keys, *columns))} FROM {name} NOT INDEXED"  # noqa: S608
        self._is_damaged = False
        self._first: Key | None = None
        self._last: Key | None = None

    def rows(self) -> Iterator[list[Row]]:
        """All rows that can be read, some at once, each once."""
        yield from self._scan()
        if not self._is_damaged:
            return
        after = self._last
        yield from self._scan((">", after), descending=True)
        before = self._last
        if self._is_damaged:
            yield from self._between(after, before)

    def _between(self, after: Key | None, before: Key | None) -> Iterator[list[Row]]:
        """Rows between two keys beyond which there is damage, from wherever a place is readable."""
        for probe in self._probes(after, before):
            if after is not None and in_order(probe) <= in_order(after):
                continue
            if before is not None and in_order(probe) >= in_order(before):
                break
            yield from self._scan((">=", probe), ("<", before))
            is_damaged, first, last = self._is_damaged, self._first, self._last
            if is_damaged and last is None:
                continue
            yield from self._scan((">", after), ("<", probe), descending=True)
            if self._is_damaged:
                self.gaps.append(Gap(after, self._last or first or before))
            if not is_damaged:
                return
            after = last
        self.gaps.append(Gap(after, before))

    def _scan(self, *bounds: tuple[str, Key | None], descending: bool = False) -> Iterator[list[Row]]:
        """Rows within bounds up to damage, which `_is_damaged` says, and the key of the last one."""
        order = ", ".join(f"{key} DESC" if descending else key for key in self.keys)
        names, marks = ", ".join(self.keys), ", ".join("?" * len(self.keys))
        known = [(sign, key) for sign, key in bounds if key is not None]
        where = " AND ".join(f"({names}) {sign} ({marks})" for sign, _ in known) or "1"
        values = [value for _, key in known for value in key]
        width = len(self.keys)
        rows: list[Row] = []
        self._is_damaged, self._first, self._last = False, None, None
        try:
            for row in self._source.execute(f"{self._select} WHERE {where} ORDER BY {order}", values):
                self._first = self._first or row[:width]
                rows.append(row)
                if len(rows) == _AT_ONCE:
                    self._last = row[:width]
                    yield [row[width:] for row in rows]
                    rows = []
        except sqlite3.DatabaseError:
            self._is_damaged = True
        if rows:
            self._last = rows[-1][:width]
            yield [row[width:] for row in rows]


class DamagedIndex:
    """An index that has rows of a table, read from both ends up to damage.

    Parameters
    ----------
    source
        The file.
    table
        The table.
    columns
        What is read of each row; the index has them.
    name
        The index.

    Attributes
    ----------
    is_damaged
        Whether something could not be read, so far.
    """

    def __init__(self, source: sqlite3.Connection, table: str, columns: Sequence[str], name: str) -> None:
        self.is_damaged = False
        self._source = source
        indexed = [row[2] or "rowid" for row in source.execute(f"PRAGMA index_xinfo({name})")]
        backward = ", ".join(f"{column} DESC" for column in indexed)
        query = f'SELECT {", ".join(columns)} FROM {table} INDEXED BY "{name}"'  # noqa: S608
        self._queries = (query, f"{query} ORDER BY {backward}")

    def rows(self) -> Iterator[Row]:
        """Its rows, where it is damaged some of them twice."""
        for query in self._queries:
            try:
                yield from self._source.execute(query)
            except sqlite3.DatabaseError:
                self.is_damaged = True
            if not self.is_damaged:
                return
