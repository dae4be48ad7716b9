"""Epochs as pages that a kernel makes of arrays, not of Python values; a file of them beside the database.

SQLite itself makes the file and its empty table, and copies the rows from it into the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from bloxdb.db._pages import Tree
from bloxdb.db.schema import Epoch
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING, Array

STORED = [column.name for column in Epoch.__table__.columns if column.computed is None]
"""The columns of an epoch that are stored, in the order of the table."""

PAGE_SIZES = tuple(1 << bits for bits in range(9, 16))
"""Bytes that a page may have."""

ROOT = 2
"""The page that SQLite gives the first table of a file."""

FIRST = ROOT + 1
"""The first page behind it."""

_PAGE_COUNT = 28  # where the file's header has its size in pages
_ROWS = 1 << 20  # rows between two writes
_PAUSE = 0.1  # seconds between two looks at how far it is


@contextmanager
def told(where: Path) -> Iterator[None]:
    """A `DatabaseError` where the disk refuses, or has something else than was written."""
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DatabaseError(f"{where}: epochs cannot be written there: {reason}") from error


class EpochPages:
    """Rows of epochs to pages of a b-tree, by a thread; where the pages go is for those that inherit to say.

    Parameters
    ----------
    stream
        Where they are written, one after the other; it is closed at the end.
    where
        What a message calls that place.
    page_size
        Bytes of a page, one of `PAGE_SIZES`.

    Attributes
    ----------
    rows
        How many there are.
    last_run
        The id of the last.
    """

    def __init__(self, stream: BinaryIO, where: Path, page_size: int) -> None:
        self._stream = stream
        self._where = where
        self.page_size = page_size
        self.rows = 0
        self.last_run = 0
        self._tree = Tree(page_size, FIRST, MISSING)
        self._thread = ThreadPoolExecutor(1)
        self._job: Future[None] | None = None
        self._written = 0  # rows, by the thread
        self._told_of = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        self._stream.close()

    def add(self, run_ids: npt.NDArray[np.int64], measures: dict[str, Array]) -> None:
        """Add the epochs 1, 2, … of runs, whose ids rise and are above all before; returns before it is done.

        Parameters
        ----------
        run_ids
            Shape (runs,).
        measures
            Values by stored column, each (runs, epochs), int32 or int64; one at the least.

        Raises
        ------
        ValueError
            The ids do not rise, or the arrays are of other shapes or types.
        """
        self.wait()
        shapes = {values.shape for values in measures.values()}
        types = {values.dtype for values in measures.values()}
        runs, epochs = shapes.pop()
        if shapes or runs != len(run_ids) or not types <= {np.dtype(np.int32), np.dtype(np.int64)}:
            raise ValueError("measures of epochs are int32 or int64 arrays (runs, epochs)")
        if np.any(np.diff(run_ids, prepend=self.last_run) <= 0):
            raise ValueError("the ids of runs must rise, and be above those before")
        self.rows += runs * epochs
        self.last_run = int(run_ids[-1])
        columns = [np.ascontiguousarray(measures[name]) if name in measures else None for name in STORED[2:]]
        self._make_room(run_ids, epochs, columns)
        self._job = self._thread.submit(self._write, run_ids, epochs, columns)

    def wait(self, tell: Callable[[int], object] | None = None) -> None:
        """Wait until what was added is written; `tell` is called with the rows that are, now and then."""
        while self._job is not None:
            done, written = self._job.done(), self._written
            if tell is not None:
                tell(written - self._told_of)
                self._told_of = written
            if done:
                job, self._job = self._job, None
                with self._told():
                    job.result()
            else:
                futures.wait([self._job], _PAUSE)

    def _make_room(self, run_ids: npt.NDArray[np.int64], epochs: int, columns: list[Array | None]) -> None:
        """Say where the pages of rows go that are added next; `Staging` has its file for itself."""

    def _write(self, run_ids: npt.NDArray[np.int64], epochs: int, columns: list[Array | None]) -> None:
        many = max(1, _ROWS // max(1, epochs))
        for first in range(0, len(run_ids), many):
            block = slice(first, first + many)
            self._tree.add(run_ids[block], epochs, [None if c is None else c[block] for c in columns])
            self._put(self._tree.take())
            self._written += len(run_ids[block]) * epochs

    def _put(self, data: bytes) -> None:
        """Write all of it; without a buffer, one call may write a part."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._stream.write(rest) :]

    def _told(self) -> AbstractContextManager[None]:
        return told(self._where)


class Staging(EpochPages):
    """A file with the table ``epochs``, of what is stored.

    Parameters
    ----------
    path
        Where to make it.
    page_size
        Bytes of a page, one of `PAGE_SIZES`.
    """

    def __init__(self, path: Path, page_size: int = 32768) -> None:
        with told(path.parent.parent):
            _make_empty(path, page_size)
            stream = path.open("r+b")
            stream.seek(ROOT * page_size)
        super().__init__(stream, path.parent.parent, page_size)
        self.path = path

    def finish(self) -> None:
        """Complete the file and close it."""
        self.wait()
        self._thread.shutdown()
        root = self._tree.root()
        with self._told():
            self._put(self._tree.take())
            pages = self._stream.tell() // self.page_size
            self._stream.seek((ROOT - 1) * self.page_size)
            self._stream.write(root)
            self._stream.seek(_PAGE_COUNT)
            self._stream.write(pages.to_bytes(4, "big"))
            self._stream.close()


def _make_empty(path: Path, page_size: int) -> None:
    columns = ", ".join(f"{name} INTEGER" for name in STORED[2:])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute(
            f"CREATE TABLE epochs (run_id INTEGER NOT NULL, epoch INTEGER NOT NULL, {columns}, "
            "PRIMARY KEY (run_id, epoch)) WITHOUT ROWID"
        )
