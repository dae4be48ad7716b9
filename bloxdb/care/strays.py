"""Pages of a table that SQLite cannot come to, since the pages that led to them are damaged or not there.

A page is taken for one of a table only where that is sure: no other table or index leads to it, its rows can
be of no other one, they are where rows could not be read, no two pages contradict each other, and what was
deleted is known.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from bloxdb.care.pages import INDEX_INNER, INDEX_LEAF, TABLE_LEAF, Cell, PageError, Value
from bloxdb.care.salvage import Gap, Row
from bloxdb.care.trees import REAL, Forest, Key, Tree, in_order
from bloxdb.counts import counted


class Strays:
    """Rows of pages that nothing readable leads to.

    Parameters
    ----------
    source
        The damaged file.

    Attributes
    ----------
    left_out
        What may be of the table that was asked for last, but is not surely so, a sentence each.
    """

    def __init__(self, source: sqlite3.Connection) -> None:
        self.left_out: list[str] = []
        self._forest = Forest(source)
        self._pages = self._forest.pages
        self._has_any = self._forest.has_strays()

    def rows(
        self, table: str, columns: Sequence[str], keys: Sequence[str], gaps: list[Gap]
    ) -> Iterator[list[Row]]:
        """Rows of a table, those of a page at once, each once.

        Parameters
        ----------
        table
            Its name.
        columns
            What is read of each row.
        keys
            The columns by which the table itself is ordered.
        gaps
            Where rows of it could not be read; at the end, where they could not even so.
        """
        self.left_out = []
        tree = next((tree for tree in self._forest.trees if tree.name == table), None)
        if tree is None or not (gaps or self._has_any):
            return
        places = _Places(gaps)
        pages, doubtful = self._pages_of(tree, keys, places)
        if self._forest.why_unsure and pages:
            self._leave_out(counted(len(pages), "page"), table, self._forest.why_unsure)
            return
        if doubtful:
            self._leave_out(counted(doubtful, "page"), table, "others say otherwise")
        spans: list[_Span] = []
        left_out = 0
        for number in pages:
            found = [(key, cell) for key, cell in self._keyed(tree, number, keys) if places.have(key)]
            spans += self._spans(number, [key for key, _ in found])
            rows = [_row(tree, cell, columns) for _, cell in found]
            left_out += rows.count(None)
            yield [row for row in rows if row is not None]
        gaps[:] = places.without(spans)
        if left_out:
            self._leave_out(counted(left_out, "row"), table, "a part of each is elsewhere")

    def _leave_out(self, what: str, table: str, why: str) -> None:
        self.left_out.append(f"of {table} left out were {what} to which nothing leads: {why}")

    def _pages_of(self, tree: Tree, keys: Sequence[str], places: _Places) -> tuple[list[int], int]:
        """The pages that are surely of a tree and have rows in places; how many others may have some."""
        own = self._forest.found[tree.name]
        taken = self._pages.free.union(
            *(found for name, found in self._forest.found.items() if name != tree.name)
        )
        spans: list[tuple[_Span, int]] = []
        doubtful = set()
        for number in self._pages.of_type(tree.leaf, *((INDEX_INNER,) if tree.leaf == INDEX_LEAF else ())):
            if number in taken:
                continue
            try:
                if number in own and self._pages.type_of(number) == tree.leaf:
                    first, _ = self._pages.ends(number)
                    if not places.have(_key(tree, first, keys)):  # it was read
                        continue
                found = self._keyed(tree, number, keys)
            except PageError:
                continue
            inside = [key for key, _ in found if places.have(key)]
            if number in own and not inside:
                continue
            is_inner = self._pages.type_of(number) == INDEX_INNER
            if len(inside) < len(found) and not (number in own and is_inner):  # as beside two damaged ones
                doubtful.add(number)
            if self._may_be_others(tree, [cell for _, cell in found]):
                doubtful.add(number)
            spans += [(span, number) for span in self._spans(number, inside or [key for key, _ in found])]
        spans.sort(key=lambda pair: in_order(pair[0].low))
        for (before, one), (after, other) in pairwise(spans):
            if in_order(before.high) >= in_order(after.low):
                doubtful |= {one, other}
        numbers = dict.fromkeys(number for _, number in spans)
        return [number for number in numbers if number not in doubtful], len(doubtful)

    def _may_be_others(self, tree: Tree, cells: Sequence[Cell]) -> bool:
        others = (other for other in self._forest.trees if other is not tree and other.leaf == tree.leaf)
        return any(all(map(other.fits, cells)) for other in others)

    def _keyed(self, tree: Tree, number: int, keys: Sequence[str]) -> list[tuple[Key, Cell]]:
        """The rows of a page by their keys; `PageError` if it is not one of this tree."""
        cells = self._pages.cells(number)
        if not all(map(tree.fits, cells)):
            raise PageError
        found = [_key(tree, cell, keys) for cell in cells]
        whole = all(len(key) == len(keys) and all(isinstance(part, int) for part in key) for key in found)
        if not whole or any(in_order(one) >= in_order(two) for one, two in pairwise(found)):
            raise PageError
        return list(zip(found, cells, strict=True))

    def _spans(self, number: int, keys: Sequence[Key]) -> list[_Span]:
        """What a page has all rows of: a leaf from its first one to its last, an inner page each alone."""
        if self._pages.type_of(number) == INDEX_INNER:
            return [_Span(key, key) for key in keys]
        return [_Span(keys[0], keys[-1])]


def _key(tree: Tree, cell: Cell, keys: Sequence[str]) -> Key:
    return (cell.rowid,) if tree.leaf == TABLE_LEAF else (cell.values or ())[: len(keys)]


class _Span(NamedTuple):
    low: Key
    high: Key


class _Places:
    """Places of keys that no row was read from."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        self._gaps = sorted(gaps, key=lambda gap: in_order(gap.after or ()))
        self._after = [in_order(gap.after or ()) for gap in self._gaps]

    def _at(self, key: Key) -> int:
        """Which of them a key may be in."""
        return bisect_left(self._after, in_order(key)) - 1

    def have(self, key: Key) -> bool:
        """Whether a key is within one."""
        at = self._at(key)
        before = self._gaps[at].before if at >= 0 else ()
        return before is None or in_order(key) < in_order(before)

    def without(self, spans: Sequence[_Span]) -> list[Gap]:
        """What is left of them, where rows were read after all."""
        within: dict[int, list[_Span]] = {}
        for span in sorted(spans, key=lambda span: in_order(span.low)):
            within.setdefault(self._at(span.low), []).append(span)
        left = []
        for at, gap in enumerate(self._gaps):
            after = gap.after
            for span in within.get(at, ()):
                left.append(Gap(after, span.low))
                after = span.high
            left.append(Gap(after, gap.before))
        return [gap for gap in left if not _has_nothing(gap)]


def _has_nothing(gap: Gap) -> bool:
    """Whether no whole number is between the keys."""
    if gap.after is None or gap.before is None:
        return False
    *start, last = gap.after
    *other, following = gap.before
    return start == other and isinstance(last, int) and following == last + 1


def _row(tree: Tree, cell: Cell, columns: Sequence[str]) -> Row | None:
    """What is asked for of a row; None if it is not all there."""
    if cell.values is None:
        return None
    older = tree.columns[len(cell.values) :]
    if any(column.default is not None for column in older):
        return None
    found: dict[str, Value] = {column.name: None for column in older}
    for column, value in zip(tree.columns, cell.values, strict=False):
        if column.is_rowid:
            found[column.name] = cell.rowid
        elif column.kinds == REAL and isinstance(value, int):
            found[column.name] = float(value)  # stored as a whole number, which is shorter
        else:
            found[column.name] = value
    return tuple(found[name] for name in columns)
