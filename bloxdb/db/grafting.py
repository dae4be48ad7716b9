"""Epochs into a database that is being made, as pages of its own table.

SQLite would copy 18 million rows from one file to another in three seconds. A new database has no name yet
and is thrown away after an error, so that its file can be written to beside SQLite: as many pages as the rows
need are taken for them at its end, a thread fills them while SQLite goes on behind them, and at last the
table's root leads to them. Then all of it is looked at: by a walk through the tree that shares nothing with
what made it, by SQLite's own count, and by some runs that SQLite reads.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import c_int64
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from bloxdb.counts import counted
from bloxdb.db._tally import tally
from bloxdb.db.fileformat import HEADER, LOCK_BYTE
from bloxdb.db.schema import Epoch
from bloxdb.db.sqlite import is_untouched
from bloxdb.db.staging import PAGE_SIZES, STORED, EpochPages
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING, Array
from bloxdb.writing import meant

_RESERVED, _VACUUM = 20, 52  # where it has bytes that a page leaves free, and whether pages are listed
_CHANGES, _PAGE_COUNT, _COUNTED_AT = 24, 28, 92  # changes, pages, and changes when pages were counted
_SAMPLE = 16  # runs of those that are added together
_MEASURES = STORED[2:]


class Graft(EpochPages):
    """Rows of the empty table of epochs of a database that is being made; made by `graft`.

    Each time that room is made for rows, what the transaction did before is committed, and another one begun.

    Parameters
    ----------
    connection
        In a transaction on the database, and the only one that writes to it.
    stream
        Its file, which is closed at the end.
    page_size
        Bytes of its pages.
    """

    def __init__(self, connection: Connection, stream: BinaryIO, page_size: int) -> None:
        super().__init__(stream, _place(connection), page_size)
        self._connection = connection
        self._own = 1  # pages: the root
        self._runs, self._run_ids = 0, 0
        self._values, self._sums = ([0] * len(_MEASURES) for _ in range(2))
        self._sample: list[tuple[Array, list[Array | None], int]] = []

    def finish(self, tell: Callable[[int], object] | None = None) -> None:
        """Let the table lead to the rows, see that they are what was added, and close the file.

        Parameters
        ----------
        tell
            Called with the rows that are written, now and then.

        Raises
        ------
        DatabaseError
            The disk refuses, or they are not what was added; the database is to be thrown away.
        """
        self.wait(tell)
        self._thread.shutdown()
        query = "SELECT rootpage FROM main.sqlite_master WHERE name = 'epochs'"
        root = self._connection.exec_driver_sql(query).scalar_one()
        with _committed(self._connection), self._told():
            self._tree.go_on_at(self._pages() + 1)
            page, others = self._tree.root(), self._tree.take()
            self._grow(len(others) // self.page_size)
            self._put(others)
            self._stream.seek((root - 1) * self.page_size)
            self._put(page)
            walked = tally(self._stream.fileno(), self.page_size, root, len(_MEASURES))
            self._stream.close()  # while this process has no lock on the file: it would end
        self._check(walked)

    def _make_room(self, run_ids: npt.NDArray[np.int64], epochs: int, columns: list[Array | None]) -> None:
        with _committed(self._connection), self._told():
            self._tree.go_on_at(self._pages() + 1)
            self._grow(self._tree.pages(run_ids, epochs, columns))

    def _write(self, run_ids: npt.NDArray[np.int64], epochs: int, columns: list[Array | None]) -> None:
        chosen = np.unique(np.linspace(0, len(run_ids) - 1, _SAMPLE).astype(np.int64))
        some = [None if values is None else values[chosen] for values in columns]
        self._sample.append((run_ids[chosen], some, epochs))
        if epochs:
            self._runs += len(run_ids)
            self._run_ids += int(run_ids.sum())
        for column, values in enumerate(columns):
            if values is not None:
                missing = 0 if values.dtype == np.int32 else int(np.count_nonzero(values == MISSING))
                self._values[column] += values.size - missing
                self._sums[column] += int(values.sum(dtype=np.int64)) - missing * MISSING
        super()._write(run_ids, epochs, columns)

    def _pages(self) -> int:
        """How many pages the file has."""
        self._stream.seek(0)
        head = self._stream.read(HEADER)
        (pages,) = struct.unpack_from(">I", head, _PAGE_COUNT)
        if head[_CHANGES : _CHANGES + 4] != head[_COUNTED_AT : _COUNTED_AT + 4]:
            raise ValueError("its header does not say how many pages it has")
        return int(pages)

    def _grow(self, more: int) -> None:
        """Give the file more pages, which are those that are put next.

        SQLite sees by the number of changes that what it remembers of the file is not so any more.
        """
        pages = self._pages()
        self._own += more - (pages <= LOCK_BYTE // self.page_size < pages + more)
        self._stream.seek(_CHANGES)
        (changes,) = struct.unpack(">I", self._stream.read(4))
        self._stream.truncate((pages + more) * self.page_size)
        for place, number in (
            (_COUNTED_AT, changes + 1),
            (_PAGE_COUNT, pages + more),
            (_CHANGES, changes + 1),
        ):
            self._stream.seek(place)
            self._put(struct.pack(">I", number))
        self._stream.seek(pages * self.page_size)

    def _check(self, walked: dict[str, int | list[int]]) -> None:
        """Whether the file has what was added, and SQLite reads it."""
        added = {
            "pages": self._own,
            "runs": self._runs,
            "run_ids": _wrapped(self._run_ids),
            "rows": self.rows,
            "values": self._values,
            "sums": [_wrapped(value) for value in self._sums],
        }
        for name, due in added.items():
            if walked[name] != due:
                self._fail(f"{name} are {walked[name]} and not {due}")
        there = self._connection.exec_driver_sql("SELECT count(*) FROM main.epochs").scalar_one()
        if there != self.rows:
            self._fail(f"SQLite counts {counted(there, 'row')} and not {self.rows}")
        query = f"SELECT epoch, {', '.join(_MEASURES)} FROM main.epochs WHERE run_id = ? ORDER BY epoch"  # noqa: S608
        for run_ids, columns, epochs in self._sample:
            for row, run_id in enumerate(run_ids.tolist()):
                values = [[MISSING] * epochs if c is None else c[row].tolist() for c in columns]
                rows = zip(range(1, epochs + 1), *values, strict=True)
                due = [tuple(None if value == MISSING else value for value in each) for each in rows]
                if [tuple(found) for found in self._connection.exec_driver_sql(query, (run_id,))] != due:
                    self._fail(f"SQLite reads other epochs of run {run_id}")

    def _fail(self, why: str) -> None:
        raise DatabaseError(
            f"{self._where}: what was written is not what was read from the files: {why}; nothing is kept. "
            "Try again; if it comes again, test this machine's disk and memory"
        )


def graft(connection: Connection) -> Graft | None:
    """What writes epochs as pages of a database; None where they have to be copied.

    Somebody else may know its file, its table may have rows or not be as we make it, or its pages be others.

    Parameters
    ----------
    connection
        In a transaction on the database, of which what it did is committed.

    Raises
    ------
    DatabaseError
        The file cannot be opened.
    """
    driver: Any = connection.connection.driver_connection
    if not getattr(driver, "is_new", False) or not is_untouched(connection, Epoch.__table__):  # type: ignore[arg-type]
        return None
    page_size: int = connection.exec_driver_sql("PRAGMA main.page_size").scalar_one()
    if page_size not in PAGE_SIZES:
        return None
    with _committed(connection):
        try:
            stream: Any = driver.path.open("r+b", buffering=0)
        except OSError as error:
            raise DatabaseError(
                f"{_place(connection)}: epochs cannot be written there: {error.strerror}"
            ) from error
        head = stream.read(HEADER)
        is_plain = not head[_RESERVED] and not any(head[_VACUUM : _VACUUM + 4])
        if not is_plain:
            stream.close()
    return Graft(connection, stream, page_size) if is_plain else None


def _place(connection: Connection) -> Path:
    """Where the database is to be, whose file is still in a folder that nobody sees."""
    driver: Any = connection.connection.driver_connection
    return meant(driver.path)


def _wrapped(value: int) -> int:
    """A sum modulo 2**64, as int64 has it."""
    return c_int64(value).value


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    """A moment without a transaction, in which the file may be written to by others than SQLite.

    After an error there is none either; whoever began the one before finds that out and has nothing to undo.
    """
    connection.exec_driver_sql("COMMIT")
    yield
    connection.exec_driver_sql("BEGIN EXCLUSIVE")
