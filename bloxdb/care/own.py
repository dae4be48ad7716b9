"""What is the user's own in a file that is repaired: tables, columns, views, indices and triggers.

Tables come before what speaks of them, indices after the rows, and triggers last, so that none fires.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from bloxdb.care.salvage import DamagedTable, Row, Undecoded, places_of
from bloxdb.care.trees import Key, quoted
from bloxdb.counts import agreed, counted
from bloxdb.db.base import Base
from bloxdb.db.codes import kind_of
from bloxdb.errors import one_line

_REFUSALS = (
    *(sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG),
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_RANGE),
)
"""Primary codes of what SQLite says of a thing itself, and not, as of a full disk, of where it is to go."""

_OF_WRITING = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
_OF_MAKING = {
    *(sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW),
    *(sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_REINDEX),
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE),
}
_MODULES = ("fts3", "fts4", "fts5", "rtree", "rtree_i32", "geopoly")
"""Those that keep what they have in tables of the file itself, and read no other."""

_MOST_PROBES = 100_000  # places that are tried between two rows of a table, around damage
_PARTS = re.compile(
    r""" "(?:[^"]|"")*" | '(?:[^']|'')*' | `(?:[^`]|``)*` | \[[^\]]*\] | --[^\n]* | /\*.*?\*/ | \w+ | . """,
    re.DOTALL | re.VERBOSE,
)
_COMMENTS = ("--", "/*")
_CLOSING = {'"': '"', "`": "`", "'": "'", "[": "]"}


class _Thing(NamedTuple):
    """A row of the list of a file's tables and of what belongs to them."""

    type: str
    name: str
    table: str
    sql: str

    @property
    def is_virtual(self) -> bool:
        return self.type == "table" and self.sql.upper().startswith("CREATE VIRTUAL TABLE")


@dataclass
class Brought:
    """What came over of a user's own things.

    Attributes
    ----------
    rows
        How many rows of each table.
    lost
        What did not come over, a sentence each.
    broken
        Rows that refer to rows that are not there, a sentence a table.
    """

    rows: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def bring_own(source: sqlite3.Connection, target: sqlite3.Connection) -> Brought:
    """Bring a user's own things into a new database that has all of ours.

    Parameters
    ----------
    source
        The damaged file.
    target
        The new one, in a transaction that does not check foreign keys.

    Returns
    -------
    Brought
        What came, and what did not.
    """
    bringing = _Bringing(source, target)
    try:
        listed = source.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
        ).fetchall()
        (number,) = source.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        bringing.found.lost.append(f"all tables of your own, if there were any: {one_line(error)}")
        return bringing.found
    things = [_Thing(*row) for row in listed if all(isinstance(value, str) for value in row)]
    own = [thing for thing in things if not bringing.has(thing.name)]
    tables = [thing for thing in own if thing.type == "table"]
    for thing in sorted(tables, key=lambda thing: not thing.is_virtual):  # which make tables themselves
        if thing.is_virtual:
            bringing.virtual_table(thing)
        elif not bringing.has(thing.name):
            bringing.table(thing)
    bringing.sequences()
    for thing in things:
        if thing.type == "table" and thing.name in Base.metadata.tables:
            bringing.columns(thing)
    for kind in ("view", "index", "trigger"):
        for thing in own:
            if thing.type == kind:
                bringing.make(thing, f"the {kind} {thing.name}")
    target.execute(f"PRAGMA user_version = {number}")
    bringing.look_at_references()
    return bringing.found


class _Bringing:
    def __init__(self, source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        self._source = source
        self._target = target
        self.found = Brought()
        self._given_up: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether the new database has something of a name, or is not to have it: SQLite makes it itself."""
        return name.lower().startswith("sqlite_") or name.lower() in self._names() | self._given_up

    def _names(self) -> set[str]:
        return {name.lower() for (name,) in self._target.execute("SELECT name FROM sqlite_master")}

    def make(self, thing: _Thing, what: str, sql: str = "") -> bool:
        """Have a statement of the user's done; where it is refused, say what is lost."""
        try:
            with self._point(), self._only_making(thing):
                self._target.execute(sql or thing.sql)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            # without a code it is the driver that refuses: several statements, or a letter that none has
            if kind_of(error) not in (*_REFUSALS, sqlite3.SQLITE_OK):
                raise
            self.found.lost.append(f"{what}: {one_line(error)}")
            return False
        return True

    @contextmanager
    def _only_making(self, thing: _Thing) -> Iterator[None]:
        """Let a statement of a file make a thing in the copy, and nothing else: anything may stand there."""

        def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
            if action in _OF_WRITING:
                parts = f"{thing.name}_" if thing.is_virtual else "sqlite_"
                is_allowed = str(first).lower().startswith(("sqlite_", parts.lower()))
            elif action == sqlite3.SQLITE_CREATE_VTABLE:
                is_allowed = thing.is_virtual and str(second).lower() in _MODULES
            elif action == sqlite3.SQLITE_PRAGMA:
                is_allowed = thing.is_virtual and second is None
            else:
                is_allowed = action in _OF_MAKING
            return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY

        self._target.set_authorizer(authorize)
        try:
            yield
        finally:
            self._target.set_authorizer(None)

    @contextmanager
    def _point(self) -> Iterator[None]:
        """A part of the transaction that is undone alone."""
        self._target.execute("SAVEPOINT own")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has undone everything
                self._target.execute("ROLLBACK TO own")
            raise
        finally:
            with suppress(sqlite3.Error):
                self._target.execute("RELEASE own")

    def table(self, thing: _Thing) -> None:
        """A table with its rows."""
        if self.make(thing, f"the table {thing.name}{self._with_rows(thing.name)}"):
            rows, lost = self._copied(thing.name)
            self.found.rows[thing.name] = rows
            self.found.lost += [f"rows of {thing.name} {place} cannot be read" for place in lost]

    def _with_rows(self, name: str) -> str:
        """How many rows a table has, as far as they can be counted."""
        try:
            (count,) = self._source.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()  # noqa: S608
        except sqlite3.Error:
            return ""
        return f" with {counted(count, 'row')}"

    def virtual_table(self, thing: _Thing) -> None:
        """A table of a module's, as one for full texts, and the tables in which that keeps what it has."""
        before = self._names()
        if not self.make(thing, f"the table {thing.name}{self._with_rows(thing.name)}"):
            return
        damaged = False
        parts = self._names() - before
        for name in sorted(part for part in parts - {thing.name.lower()} if not part.startswith("sqlite_")):
            self._target.execute(f"DELETE FROM {quoted(name)}")  # noqa: S608
            damaged |= bool(self._copied(name)[1])
        if damaged:
            self._target.execute(f"DROP TABLE {quoted(thing.name)}")
            self._given_up |= parts
            self.found.lost.append(f"the table {thing.name}, of which a part cannot be read")

    def _copied(self, name: str) -> tuple[int, list[str]]:
        """Bring all rows of a table; how many came, and where others cannot be read."""
        try:
            columns, keys = self._shape(name)
            names = [*keys, *columns] if keys[0] in _ROWIDS else columns
            marks = ", ".join("?" * len(names))
            into = f"INSERT OR IGNORE INTO {quoted(name)} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
            reading = self._reading(name, names, keys)
            read = came = 0
            for rows in reading.rows():
                read += len(rows)
                came += self._write(into, rows)
        except sqlite3.DatabaseError as error:
            if kind_of(error) not in _REFUSALS:
                raise
            return 0, ["at any place"]
        if came < read:
            self.found.lost.append(f"{counted(read - came, 'row')} of {name} that its own rules refuse")
        return came, _places(reading)

    def _shape(self, name: str) -> tuple[list[str], list[str]]:
        """The stored columns of a table, and those by which it is ordered, as SQL has them."""
        info = self._source.execute(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
        columns = [quoted(row[1]) for row in info if not row[6]]
        taken = {row[1].lower() for row in info}
        for alias in _ROWIDS:
            if alias not in taken:
                with suppress(sqlite3.OperationalError):  # it has none
                    self._source.execute(f"SELECT {alias} FROM {quoted(name)} LIMIT 0")  # noqa: S608
                    return columns, [alias]
        keys = [quoted(row[1]) for row in sorted(info, key=lambda row: row[5]) if row[5]]
        return columns, keys or columns[:1]

    def _reading(self, name: str, columns: Sequence[str], keys: Sequence[str]) -> DamagedTable:
        return DamagedTable(self._source, quoted(name), columns, keys, _between)

    def _write(self, statement: str, rows: Sequence[Row]) -> int:
        """Write rows, each alone where not all can be; how many were."""
        plain = [row for row in rows if not any(isinstance(value, Undecoded) for value in row)]
        others: Iterable[Row] = [row for row in rows if row not in plain] if len(plain) < len(rows) else ()
        written = 0
        try:
            with self._point():
                written += self._target.executemany(statement, plain).rowcount if plain else 0
        except sqlite3.Error as error:
            if kind_of(error) not in _REFUSALS:
                raise
            others, written = rows, 0
        for row in others:
            with self._refusable():
                written += self._target.execute(_as_texts(statement, row), row).rowcount
        return written

    @contextmanager
    def _refusable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if kind_of(error) not in _REFUSALS:
                raise

    def sequences(self) -> None:
        """The last numbers of tables that give none twice."""
        with suppress(sqlite3.OperationalError):  # there is none
            for name, last in self._source.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
                if name in self.found.rows:
                    self._target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
                    self._target.execute(
                        "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last)
                    )

    def columns(self, thing: _Thing) -> None:
        """Columns that were added to a table of ours, with their values in the rows that came."""
        try:
            info = self._source.execute(f"PRAGMA table_xinfo({thing.name})").fetchall()
        except sqlite3.Error:  # it is told as a table that is not there
            return
        ours = {row[1].lower() for row in self._target.execute(f"PRAGMA table_xinfo({thing.name})")}
        definitions = definitions_of(thing.sql)
        added = []
        for row in info:
            name, hidden = row[1], row[6]
            if not isinstance(name, str) or name.lower() in ours:
                continue
            what = f"the column {name} of {thing.name}{'' if hidden else self._with_values(thing.name, name)}"
            definition = definitions.get(name.lower(), quoted(name))
            if self.make(thing, what, f"ALTER TABLE {thing.name} ADD COLUMN {definition}") and not hidden:
                added.append(quoted(name))
        if added:
            self._fill(thing.name, added)

    def _with_values(self, table: str, column: str) -> str:
        try:
            query = f"SELECT count({quoted(column)}) FROM {table}"  # noqa: S608
            (count,) = self._source.execute(query).fetchone()
        except sqlite3.Error:
            return ""
        return f" with {counted(count, 'value')}"

    def _fill(self, table: str, added: list[str]) -> None:
        """Give the rows that came what the damaged file has in added columns."""
        first = self._target.execute(f"SELECT {', '.join(added)} FROM {table} LIMIT 1").fetchone()  # noqa: S608
        if first is None:
            return
        keys = [column.name for column in Base.metadata.tables[table].primary_key]
        marks = ", ".join(f"{name} = ?" for name in added)
        found = " AND ".join(f"{key} = ?" for key in keys)
        into = f"UPDATE OR IGNORE {table} SET {marks} WHERE {found}"  # noqa: S608
        _, order = self._shape(table)
        reading = self._reading(table, [*added, *keys], order)
        for rows in reading.rows():
            self._write(into, [row for row in rows if not _is_same(row[: len(added)], first)])
        for place in _places(reading):
            names = " and ".join(added)
            self.found.lost.append(f"the values of {names} in rows of {table} {place} cannot be read")

    def look_at_references(self) -> None:
        """Count rows of the user's that refer to what is not there."""
        with suppress(sqlite3.OperationalError):  # a reference to a table that there never was
            broken = Counter(row[0] for row in self._target.execute("PRAGMA foreign_key_check"))
            for table, count in broken.items():
                refer = agreed(count, "[row refers to one that is|rows refer to some that are] not there")
                self.found.broken.append(f"of {table} {refer}")


_ROWIDS = ("rowid", "oid", "_rowid_")
"""What SQLite calls the number of a row, unless a column is called so."""


def _between(after: Key | None, before: Key | None) -> Iterable[Key]:
    """Places between two rows of any table; none where its rows have no numbers, or the end is not known."""
    if after is None or before is None or len(after) != 1:
        return ()
    low, high = after[0], before[0]
    if not isinstance(low, int) or not isinstance(high, int):
        return ()
    return ((number,) for number in range(low + 1, high, 1 + (high - low) // _MOST_PROBES))


def _places(reading: DamagedTable) -> list[str]:
    names = ["number" if key in _ROWIDS else key for key in reading.keys]
    return places_of(reading.gaps, names)


def _as_texts(statement: str, row: Row) -> str:
    """A statement that writes texts that are no UTF-8 as such, and not as bytes."""
    values = iter(row)
    return _MARK.sub(lambda _: "CAST(? AS TEXT)" if isinstance(next(values), Undecoded) else "?", statement)


_MARK = re.compile(r"\?(?=[,) ]|$)")


def _is_same(values: Row, others: Row) -> bool:
    return all(type(one) is type(two) and one == two for one, two in zip(values, others, strict=True))


def definitions_of(sql: str) -> dict[str, str]:
    """What stands for each column in a statement that makes a table, by its name in small letters.

    Parameters
    ----------
    sql
        ``CREATE TABLE name (…)``, as SQLite keeps it.

    Returns
    -------
    dict of str
        Constraints of the table are among them, by their first words.

    Examples
    --------
    >>> definitions_of('CREATE TABLE a (id INTEGER, "my, note" TEXT DEFAULT (max(1, 2)), CHECK (id > 0))')
    {'id': 'id INTEGER', 'my, note': '"my, note" TEXT DEFAULT (max(1, 2))', 'check': 'CHECK (id > 0)'}
    """
    depth = 0
    parts: list[list[str]] = [[]]
    for part in _PARTS.findall(sql):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth == 1 and part == ",":
            parts.append([])
        elif depth > 1 or (depth == 1 and (part != "(" or parts[-1])):
            parts[-1].append(" " if part.startswith(_COMMENTS) else part)
        elif part == ")" and depth == 0:
            break
    found: dict[str, str] = {}
    for words in parts:
        text = "".join(words).strip()
        first = next((word for word in words if word.strip()), "")
        if first:
            found.setdefault(_unquoted(first).lower(), text)
    return found


def _unquoted(name: str) -> str:
    end = _CLOSING.get(name[0])
    if end is None or len(name) < 2:
        return name
    return name[1:-1] if end == "]" else name[1:-1].replace(end * 2, end)
