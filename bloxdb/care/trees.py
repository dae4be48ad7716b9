"""Tables and indices of a damaged SQLite file as trees of pages, and pages that are where others must be."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bloxdb.care.pages import (
    INDEX_INNER,
    INDEX_LEAF,
    INNER,
    TABLE_INNER,
    TABLE_LEAF,
    Cell,
    PageError,
    Pages,
    Value,
)
from bloxdb.db.schema import Base

Key = tuple[Any, ...]

REAL: tuple[type, ...] = (int, float)
"""What a column of floats has: whole numbers are stored as such, which are shorter."""


class Column(NamedTuple):
    """A column as a record has it."""

    name: str
    kinds: tuple[type, ...] | None  # of its values; None for any
    is_needed: bool  # whether there is always a value
    is_rowid: bool  # whether it is the row's number, for which a record has NULL
    default: str | None  # for rows that are older than the column


@dataclass(frozen=True)
class Tree:
    """A table, or an index, and where it is."""

    name: str
    root: int
    leaf: int
    columns: tuple[Column, ...]
    is_plain: bool = True  # whether its order is that of its values as they are
    least: int = 0  # values that its shortest record has; rows may be older than a column of somebody's

    def may_lie(self, cell: Cell) -> bool:
        """Whether a record may be one of this tree by its length, whatever is in it."""
        if not self.columns:
            return True
        pairs = zip(self.columns, cell.values or (), strict=False)
        return self.least <= cell.width <= len(self.columns) and all(
            value is None for column, value in pairs if column.is_rowid
        )

    def order(self, cell: Cell | None) -> list[tuple[int, Any]] | None:
        """What sorts its rows; None if that is not known."""
        if cell is None or not self.is_plain:
            return None
        if self.leaf == TABLE_LEAF:
            return in_order((cell.rowid,))
        if cell.values is None or any(isinstance(value, bytes) for value in cell.values):
            return None
        return in_order(cell.values)

    def fits(self, cell: Cell) -> bool:
        """Whether a row may be one of this tree."""
        if not self.columns:  # nobody knows
            return True
        older, values = self.columns[cell.width :], cell.values or ()
        if not self.may_lie(cell):
            return False
        if any(column.is_needed and column.default is None for column in older):
            return False
        return all(_may_have(column, value) for column, value in zip(self.columns, values, strict=False))


def _may_have(column: Column, value: Value) -> bool:
    if value is None:
        return column.is_rowid or not column.is_needed
    return not column.is_rowid and (column.kinds is None or isinstance(value, column.kinds))


class Forest:
    """All trees of a file, and the pages that each leads to.

    Parameters
    ----------
    source
        The file.

    Attributes
    ----------
    pages
        Its pages.
    trees
        Its tables and indices.
    found
        By name the pages that a tree leads to, and that are of such a tree.
    misplaced
        Pages among them that have what belongs elsewhere, or that more than one tree leads to: what SQLite
        reads there need not be true.
    why_unsure
        Why it cannot be told what of the other pages was deleted, in words; an empty text if it can.
    """

    def __init__(self, source: sqlite3.Connection) -> None:
        self.pages = Pages(source)
        self.found: dict[str, set[int]] = {}
        self.misplaced: set[int] = set()
        self.why_unsure = self.pages.why_unsure
        is_whole = self._walk(Tree("sqlite_master", 1, TABLE_LEAF, ()))
        self.trees, is_listed = _listed(source)
        if not (is_whole and is_listed):
            self.why_unsure = self.why_unsure or "the list of tables is damaged"
        for tree in self.trees:
            self._walk(tree)
        seen: set[int] = set()
        for found in self.found.values():
            self.misplaced |= seen & found
            seen |= found
        self.misplaced -= self.found["sqlite_master"]

    def _walk(self, tree: Tree) -> bool:
        """Find the pages of a tree; whether all that are led to are there, and of such a tree."""
        found = self.found.setdefault(tree.name, set())
        is_whole = True
        leaves: dict[int, list[int]] = {}  # by how deep they are
        waiting: list[tuple[int, int, Cell | None, Cell | None]] = [(tree.root, 0, None, None)]
        while waiting:
            number, depth, low, high = waiting.pop()
            kind = self.pages.type_of(number)
            if number in self.pages.free:
                self.why_unsure = self.why_unsure or "the list of pages whose rows were deleted is damaged"
                self.misplaced.add(number)
            if number in found:
                self.misplaced.add(number)
            if number in found or kind not in (tree.leaf, INNER[tree.leaf]):
                is_whole = False
                continue
            found.add(number)
            if not self._is_in_place(tree, number, low, high):
                self.misplaced.add(number)
                is_whole = False
            elif kind == tree.leaf:
                leaves.setdefault(depth, []).append(number)
            else:
                try:
                    children = self.pages.children(number)
                except PageError:
                    is_whole = False
                    continue
                for child, cell in children:
                    waiting.append((child, depth + 1, low, cell or high))
                    low = cell
        for some in sorted(leaves.values(), key=len)[:-1]:  # all leaves are equally deep
            self.misplaced.update(some)
            is_whole = False
        return is_whole

    def has_strays(self) -> bool:
        """Whether there are pages of tables or indices that nothing leads to, and that need not be free."""
        known = self.pages.free.union(*self.found.values())
        return any(number not in known for number in self.pages.of_type(*INNER, INDEX_INNER))

    def _is_in_place(self, tree: Tree, number: int, low: Cell | None, high: Cell | None) -> bool:
        """Whether the first and the last row of a page may lie there; what cannot be read, SQLite tells."""
        if self.pages.type_of(number) == TABLE_INNER or number == 1:
            return True
        try:
            first, last = self.pages.ends(number)
        except PageError:
            return True
        if not (tree.may_lie(first) and tree.may_lie(last)):
            return False
        before, one, two, after = (tree.order(cell) for cell in (low, first, last, high))
        if one is None or two is None or one > two:
            return one is None or two is None
        is_beyond = after is not None and (two > after or (two == after and tree.leaf == INDEX_LEAF))
        return not is_beyond and (before is None or before < one)


def _listed(source: sqlite3.Connection) -> tuple[list[Tree], bool]:
    """All trees but that of the list itself, whose rows are like no others; whether those are all.

    Where the list is damaged they are those before it, and SQLite knows no others either.
    """
    rows: list[tuple[Any, ...]] = []
    is_whole = True
    query = "SELECT type, name, tbl_name, rootpage, rowid FROM sqlite_master WHERE rowid > ? LIMIT 1"
    try:
        while row := source.execute(query, (rows[-1][4] if rows else 0,)).fetchone():
            if rows and row[4] <= rows[-1][4]:
                raise sqlite3.DatabaseError
            rows.append(row)
    except sqlite3.DatabaseError:
        is_whole = False
    rows = [row[:4] for row in rows if row[3]]  # a view has no pages
    known = [row for row in rows if list(map(type, row)) == [str, str, str, int]]
    names = {name for _, name, _, _ in known}
    trees = []
    for kind, name, table, root in known:
        ordered = name if kind == "index" else _order_of(source, name, names)
        if ordered is None:
            trees.append(Tree(name, root, TABLE_LEAF, tuple(_columns(source, table).values())))
            continue
        found = source.execute(f"PRAGMA index_xinfo({quoted(ordered)})").fetchall()
        is_plain = all(row[3] == 0 and row[4] == "BINARY" for row in found)
        columns = _indexed(_columns(source, table), [row[1] for row in found])
        least = len(columns) if kind == "index" else _ours(table)
        trees.append(Tree(name, root, INDEX_LEAF, columns, is_plain, least))
    return trees, is_whole and len(known) == len(rows)


def _ours(table: str) -> int:
    """How many columns of a table every row has stored, since we made it with them."""
    ours = Base.metadata.tables.get(table)
    return 0 if ours is None else sum(column.computed is None for column in ours.columns)


def _order_of(source: sqlite3.Connection, table: str, names: Collection[str]) -> str | None:
    """What SQLite calls the order of a table without rowids; None for any other."""
    for _, name, _, origin, _ in source.execute(f"PRAGMA index_list({quoted(table)})"):
        if origin == "pk" and name not in names:
            return str(name)
    return None


def _columns(source: sqlite3.Connection, table: str) -> dict[int, Column]:
    """The columns that a table stores, by their numbers."""
    rows = source.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    keys = [row for row in rows if row[5]]
    columns = {}
    for number, name, kind, needed, default, key, hidden in rows:
        if hidden != 2:  # it is computed, and not stored
            kind = kind if isinstance(kind, str) else ""  # bytes where it is damaged
            is_rowid = len(keys) == 1 and bool(key) and kind.upper() == "INTEGER"
            columns[number] = Column(name, _kinds_of(kind), bool(needed), is_rowid, default)
    return columns


def _indexed(columns: dict[int, Column], numbers: Sequence[int]) -> tuple[Column, ...]:
    """The columns of an index; none if it has more than columns of its table."""
    rowid = Column("rowid", (int,), True, False, None)
    known = [rowid if number == -1 else columns.get(number) for number in numbers]
    found = [column for column in known if column is not None]
    if len(found) < len(known):
        return ()
    return tuple(
        column._replace(is_needed=column.is_needed or column.is_rowid, is_rowid=False) for column in found
    )


def _kinds_of(declared: str) -> tuple[type, ...] | None:
    """What a column of a type has: https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
    name = declared.upper()
    if "INT" in name:
        return (int,)
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return (str, bytes)
    return REAL if any(part in name for part in ("REAL", "FLOA", "DOUB")) else None


def quoted(name: str) -> str:
    """A name as SQL has it, whatever it is.

    Parameters
    ----------
    name
        Of a table or a column.

    Examples
    --------
    >>> quoted("my own")
    '"my own"'
    """
    return '"' + name.replace('"', '""') + '"'


def in_order(key: Key) -> list[tuple[int, Any]]:
    """What sorts keys as SQLite does, whatever a damaged file has in them: numbers, texts, then bytes."""
    return [
        (0, 0)
        if value is None
        else (1, value)
        if isinstance(value, int | float)
        else (2, value.encode(errors="surrogatepass"))
        if isinstance(value, str)
        else (3, value)
        for value in key
    ]
