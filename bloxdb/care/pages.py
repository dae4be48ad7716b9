"""The pages of an SQLite file as they lie on the disk, and the rows that each has, without SQLite.

What is here follows https://www.sqlite.org/fileformat2.html, and takes nothing that is not exactly so.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from bloxdb.db.access import descriptor_of, has_content
from bloxdb.db.fileformat import HEADER, LOCK_BYTE, page_size_of
from bloxdb.db.names import beside

TABLE_LEAF, TABLE_INNER = 0x0D, 0x05
INDEX_LEAF, INDEX_INNER = 0x0A, 0x02
INNER = {TABLE_LEAF: TABLE_INNER, INDEX_LEAF: INDEX_INNER}
"""The type of the inner pages of a tree, by that of its leaves."""

_UTF_8 = 1
_MOST_PAGES = 1 << 24  # up to here the first byte of an overflow page, or of a list of free ones, is 0
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of whole numbers, by their type
_FLOAT, _ZERO, _ONE = 7, 8, 9
_BLOBS, _TEXTS = 12, 13  # from here on, even and odd

Value = int | float | str | bytes | None


class Cell(NamedTuple):
    """A row as a page has it.

    Attributes
    ----------
    rowid
        Its number in a table that has rowids; None in an index, and in a table without.
    values
        Those of its record; None if a part of it is on other pages.
    width
        How many there are.
    """

    rowid: int | None
    values: tuple[Value, ...] | None
    width: int


class PageError(Exception):
    """A page is not what a page of rows is."""


class Pages:
    """The pages of a file that SQLite has open, while nobody writes it.

    Parameters
    ----------
    source
        The connection, within a transaction.

    Attributes
    ----------
    count
        How many are there.
    why_unsure
        Why it cannot be told which pages are free, in words; an empty text if it can.
    free
        The pages that SQLite would use next: what they have was deleted.
    """

    def __init__(self, source: sqlite3.Connection) -> None:
        path = Path(source.execute("PRAGMA database_list").fetchone()[2])
        self._descriptor = descriptor_of(path)
        header = self._read(0, HEADER)
        size = page_size_of(header)
        self._size = size or 512
        self._usable = self._size - header[20] if size else self._size
        self.count = path.stat().st_size // self._size
        self._due = max(self.count, int.from_bytes(header[28:32], "big"))
        self.free: set[int] = set()
        self.why_unsure = self._why_unsure(path, header) or self._read_free(header)

    def _why_unsure(self, path: Path, header: bytes) -> str:
        if self._descriptor is None or len(header) < HEADER:
            return "the file's own pages cannot be read"
        if has_content(beside(path, "-wal")):
            return "the newest pages are in its WAL"
        if any(header[52:56]) or int.from_bytes(header[56:60], "big") != _UTF_8 or self._due >= _MOST_PAGES:
            return "it is no file as bloxdb makes it"
        return ""

    def _read_free(self, header: bytes) -> str:
        """Read the list of free pages; why it cannot be read, if so."""
        trunk, due = struct.unpack(">II", header[32:40])
        lost = "the list of pages whose rows were deleted is damaged, or was cut off"
        while trunk:
            page = self.page(trunk)
            if page is None or trunk in self.free:
                return lost
            self.free.add(trunk)
            following, n = struct.unpack(">II", page[:8])
            if n > self._usable // 4 - 2:
                return lost
            leaves = struct.unpack(f">{n}I", page[8 : 8 + 4 * n])
            if not all(1 < leaf <= self._due for leaf in leaves):
                return lost
            if len(self.free.union(leaves)) != len(self.free) + n:
                return lost
            self.free.update(leaves)
            trunk = following
        return "" if len(self.free) == due else lost

    def _read(self, at: int, size: int) -> bytes:
        return b"" if self._descriptor is None else os.pread(self._descriptor, size, at)

    def page(self, number: int) -> bytes | None:
        """The bytes of a page; None if it is not there."""
        if not 1 <= number <= self.count:
            return None
        return self._read((number - 1) * self._size, self._size)

    def type_of(self, number: int) -> int:
        """What a page begins with, which says what it is if it is a page of a tree; 0 if it is not there."""
        at = HEADER if number == 1 else (number - 1) * self._size
        found = self._read(at, 1) if 1 <= number <= self.count else b""
        return found[0] if found else 0

    def of_type(self, *types: int) -> Iterator[int]:
        """The numbers of all pages that begin so, without those that SQLite never uses."""
        for number in range(2, self.count + 1):
            if self.type_of(number) in types and number != LOCK_BYTE // self._size + 1:
                yield number

    def children(self, number: int) -> list[tuple[int, Cell | None]]:
        """The pages that an inner page leads to, each with the row that ends it; the last one has none.

        Parameters
        ----------
        number
            The page.

        Returns
        -------
        list of tuple
            The number of each page, and its last row, of which a table has the number alone.

        Raises
        ------
        PageError
            The page cannot be so.
        """
        page, start = self._content(number)
        if not page:
            raise PageError
        found: list[tuple[int, Cell | None]] = []
        for at in self._pointers(page, start, 12):
            if page[start] == TABLE_INNER:
                cell = Cell(_signed(_varint(page, at + 4)[0]), None, 0)
            else:
                cell, _ = self._cell(page, at, page[start])
            found.append((int.from_bytes(page[at : at + 4], "big"), cell))
        return [*found, (int.from_bytes(page[start + 8 : start + 12], "big"), None)]

    def _content(self, number: int) -> tuple[bytes, int]:
        page = (self.page(number) or b"")[: self._usable]
        return page, HEADER if number == 1 else 0

    def _pointers(self, page: bytes, start: int, head: int) -> tuple[int, ...]:
        (count,) = struct.unpack(">H", page[start + 3 : start + 5])
        end = start + head + 2 * count
        if end > len(page):
            raise PageError
        found = struct.unpack(f">{count}H", page[start + head : end])
        if not all(end <= at <= len(page) - 4 for at in found):
            raise PageError
        return found

    def cells(self, number: int) -> list[Cell]:
        """The rows of a page of a tree, in their order: of a leaf, or of an inner page of an index.

        Parameters
        ----------
        number
            The page; not the first one.

        Returns
        -------
        list of Cell
            All of them, and one at the least.

        Raises
        ------
        PageError
            Some part of the page cannot be so.
        """
        found = self._placed(number)
        spans = sorted((at, end) for at, _, end in found)
        if any(end > begin for (_, end), (begin, _) in pairwise(spans)):
            raise PageError
        return [cell for _, cell, _ in found]

    def ends(self, number: int) -> tuple[Cell, Cell]:
        """The first and the last row of such a page; `PageError` if one cannot be so, or there are none."""
        (_, first, _), *_, (_, last, _) = self._placed(number, only_ends=True)
        return first, last

    def _placed(self, number: int, *, only_ends: bool = False) -> list[tuple[int, Cell, int]]:
        """Rows, and where each begins and ends."""
        page, start = self._content(number)
        kind = page[start] if page else 0
        if kind not in (TABLE_LEAF, INDEX_LEAF, INDEX_INNER):
            raise PageError
        pointers = self._pointers(page, start, 12 if kind == INDEX_INNER else 8)
        if not pointers:
            raise PageError
        if only_ends:
            pointers = pointers[0], pointers[-1]
        return [(at, *self._cell(page, at, kind)) for at in pointers]

    def _cell(self, page: bytes, at: int, kind: int) -> tuple[Cell, int]:
        if kind == INDEX_INNER:
            at += 4
        size, at = _varint(page, at)
        rowid = None
        if kind == TABLE_LEAF:
            number, at = _varint(page, at)
            rowid = _signed(number)
        most = self._usable - 35 if kind == TABLE_LEAF else (self._usable - 12) * 64 // 255 - 23
        if size > most:
            least = (self._usable - 12) * 32 // 255 - 23
            here = least + (size - least) % (self._usable - 4)
            here = here if here <= most else least
            return Cell(rowid, None, len(_types(page[at : at + here])[0])), at + here + 4
        if at + size > len(page):
            raise PageError
        values = record(page[at : at + size])
        return Cell(rowid, values, len(values)), at + size


def blank(path: Path, numbers: Iterable[int]) -> None:
    """Make pages of a file that nobody has open such that SQLite reads nothing there.

    Parameters
    ----------
    path
        The file.
    numbers
        The pages.
    """
    with path.open("r+b") as stream:
        size = page_size_of(stream.read(HEADER)) or 512
        for number in numbers:
            stream.seek((number - 1) * size)
            stream.write(b"\xff" * size)


def record(data: bytes) -> tuple[Value, ...]:
    """The values of a record.

    Parameters
    ----------
    data
        The whole record.

    Raises
    ------
    PageError
        It is none.
    """
    types, at = _types(data)
    values = []
    for kind in types:
        size = _size_of(kind)
        if at + size > len(data):
            raise PageError
        values.append(_value(kind, data[at : at + size]))
        at += size
    if at != len(data):
        raise PageError
    return tuple(values)


def _types(data: bytes) -> tuple[list[int], int]:
    """What a record says of its values, and where they begin."""
    head, at = _varint(data, 0)
    types = []
    while at < min(head, len(data)):
        kind, at = _varint(data, at)
        types.append(kind)
    if at != head:
        raise PageError
    return types, at


def _size_of(kind: int) -> int:
    if kind in _INTEGERS:
        return _INTEGERS[kind]
    if kind == _FLOAT:
        return 8
    if kind in (10, 11):
        raise PageError
    return (kind - _BLOBS) // 2 if kind >= _BLOBS else 0


def _value(kind: int, data: bytes) -> Value:
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True)
    if kind == _FLOAT:
        (number,) = struct.unpack(">d", data)
        return float(number)
    if kind < _BLOBS:
        return {_ZERO: 0, _ONE: 1}.get(kind)
    if kind % 2 == _BLOBS % 2:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _signed(number: int) -> int:
    return number - ((number >> 63) << 64)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for i in range(9):
        if at + i >= len(data):
            raise PageError
        byte = data[at + i]
        if i == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value, at + i + 1
