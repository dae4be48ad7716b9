"""A file of epochs beside the database, from which SQLite copies them: made of arrays, not of Python values.

SQLite itself makes the file and its empty table; the table's pages are then written by a kernel.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from bloxdb.db._pages import Tree
from bloxdb.db.schema import Epoch
from bloxdb.errors import DatabaseError
from bloxdb.measures import MISSING, Array

STORED = [column.name for column in Epoch.__table__.columns if column.computed is None]
"""The columns of an epoch that are stored, in the order of the table."""

_ROOT = 2  # the page that SQLite gives the first table
_PAGE_COUNT = 28  # where the file's header has its size in pages
_ROWS = 1 << 20  # rows between two writes


class Staging:
    """A file with the table ``epochs``, of what is stored; a thread writes it.

    Parameters
    ----------
    path
        Where to make it.
    page_size
        Bytes of a page: a power of two, 512 … 32768.
    """

    def __init__(self, path: Path, page_size: int = 32768) -> None:
        self.path = path
        self.page_size = page_size
        try:
            self._make_empty()
            self._stream = path.open("r+b")
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        self._stream.seek(_ROOT * page_size)
        self._tree = Tree(page_size, _ROOT + 1, MISSING)
        self._thread = ThreadPoolExecutor(1)
        self._job: Future[None] | None = None
        self.rows = 0
        self.last_run = 0

    def __enter__(self) -> Staging:
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
        self._job = self._thread.submit(self._write, run_ids, epochs, columns)

    def finish(self) -> None:
        """Complete the file and close it."""
        self.wait()
        self._thread.shutdown()
        root = self._tree.root()
        try:
            self._stream.write(self._tree.take())
            pages = self._stream.tell() // self.page_size
            self._stream.seek((_ROOT - 1) * self.page_size)
            self._stream.write(root)
            self._stream.seek(_PAGE_COUNT)
            self._stream.write(pages.to_bytes(4, "big"))
            self._stream.close()
        except OSError as error:
            raise self._error(error) from error

    def _make_empty(self) -> None:
        columns = ", ".join(f"{name} INTEGER" for name in STORED[2:])
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"PRAGMA page_size = {self.page_size}")
            connection.execute(
                f"CREATE TABLE epochs (run_id INTEGER NOT NULL, epoch INTEGER NOT NULL, {columns}, "
                "PRIMARY KEY (run_id, epoch)) WITHOUT ROWID"
            )

    def wait(self) -> None:
        """Wait until what was added is written."""
        if self._job is not None:
            try:
                self._job.result()
            except OSError as error:
                raise self._error(error) from error

    def _error(self, error: Exception) -> DatabaseError:
        reason = error.strerror if isinstance(error, OSError) else error
        return DatabaseError(f"{self.path.parent.parent}: epochs cannot be written there: {reason}")

    def _write(self, run_ids: npt.NDArray[np.int64], epochs: int, columns: list[Array | None]) -> None:
        many = max(1, _ROWS // max(1, epochs))
        for first in range(0, len(run_ids), many):
            block = slice(first, first + many)
            self._tree.add(run_ids[block], epochs, [None if c is None else c[block] for c in columns])
            self._stream.write(self._tree.take())
