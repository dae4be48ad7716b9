"""Parquet files as they are read: some rows at a time, and never more than their files can honestly hold.

A few bytes of a Parquet file can stand for billions of equal rows. What a file claims is held against what
there can be before it is read, and what is read is bounded a batch at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.types import TypeEngine

from bloxdb.arrow_checks import FileColumn, type_problem
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError, ReleaseError, one_line
from bloxdb.extras import library
from bloxdb.files import check_file
from bloxdb.space.cells import NUM_ARCHS

ROWS = 256
"""Rows of a table with texts that are read at once."""

GROUP = 1 << 19
"""Rows of epochs that are read at once: half a million take some 150 MB on their way into a database."""

_ROWS_A_BYTE = 0.5  # a run has a date, accuracies and a loss: 9 bytes at the least, however they are packed
_EPOCHS_A_BYTE = 8  # of epochs an accuracy alone may be measured, which after many hardly changes
_FREE = 16 << 20
_AS_DICTIONARY = {
    "PLAIN",
    "RLE",
    "RLE_DICTIONARY",
    "PLAIN_DICTIONARY",
    "BIT_PACKED",
}  # what Arrow reads as one
_PREFIXES, _FEW = "DELTA_BYTE_ARRAY", 32  # of it each text may be as long as a page, whatever it takes there
_UNFOLDED = 256  # bytes for each byte of a file: numbers that count up are 50 for one, texts that repeat more


def libraries() -> tuple[Any, ...]:
    """pyarrow and its part for Parquet."""
    return tuple(library(name, "frames", "a Parquet file") for name in ("pyarrow", "pyarrow.parquet"))


class ParquetTable:
    """A file of a table, whose columns were checked.

    Parameters
    ----------
    path
        The file.
    kinds
        The columns that may be read, and their types in the database.
    needed
        The columns that must be there.

    Raises
    ------
    ReleaseError
        The file is missing or damaged, or lacks a column, or has one twice.
    """

    def __init__(self, path: Path, kinds: Mapping[str, TypeEngine[Any]], needed: Iterable[str]) -> None:
        arrow, parquet = libraries()
        self.path = path
        check_file(path, ReleaseError)
        self._errors = (arrow.ArrowException, OSError, ValueError)
        try:
            opened = parquet.ParquetFile(path, page_checksum_verification=True)
            encodings = _encodings(opened.metadata)
            texts = [field.name for field in opened.schema_arrow if _is_text(arrow, field.type)]
            texts = [name for name in texts if encodings.get(name, set()) <= _AS_DICTIONARY]
            if texts:  # one that repeats is kept once, until it is known how often
                opened = parquet.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts)
            self._at_once = _FEW if any(_PREFIXES in found for found in encodings.values()) else ROWS
            self._size = path.stat().st_size
        except FileNotFoundError as error:
            raise ReleaseError(f"there is no {path}") from error
        except self._errors as error:
            raise self._damaged(error) from error
        self._opened = opened
        there = Counter(self._opened.schema_arrow.names)
        for name in needed:
            if name not in there:
                raise ReleaseError(f"{path} lacks the column {name}")
        for name, count in there.items():
            if count > 1:
                raise ReleaseError(f"{path} has the column {name!r:.100} more than once; which one counts?")
        self.names = [name for name in kinds if name in there]
        self._kinds = kinds

    @property
    def rows(self) -> int:
        """How many rows its groups claim together."""
        metadata = self._opened.metadata
        return sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))

    def check_claims(self, most: float, why: str, *, is_of_epochs: bool = False) -> None:
        """Hold what the file claims against what there can be, before anything of it is read.

        Parameters
        ----------
        most
            How many rows there can be by what other files say.
        why
            What says so, as ``'the recipes of its runs'``.
        is_of_epochs
            Whether rows are epochs, which are shorter than others.

        Raises
        ------
        BloxFormatError
            There are more rows, or more than so many bytes can hold; the pages unfold to too
            much; or a column is of another type.
        """
        metadata = self._opened.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        source, claimed = str(self.path), self.rows
        said = f"the file says that it has {counted(claimed, 'row')}"
        if claimed != metadata.num_rows or any(group.num_rows < 0 for group in groups):
            raise BloxFormatError("its row groups do not have as many rows as it says", source=source)
        if claimed > most:
            raise BloxFormatError(f"{said}, and by {why} there can be {most:,.0f} at the most", source=source)
        fits = NUM_ARCHS + self._size * (_EPOCHS_A_BYTE if is_of_epochs else _ROWS_A_BYTE)
        if claimed > fits:
            what = f"{said}, and in {counted(self._size, 'byte')} there can be {fits:,.0f} at the most"
            raise BloxFormatError(f"{what}: most of them must be the same", source=source)
        chunks = (group.column(at) for group in groups for at in range(group.num_columns))
        sizes = [one.total_uncompressed_size for one in chunks if one.path_in_schema in self.names]
        self._check_size(sum(sizes), "its pages unfold")
        if claimed:
            schema = self._opened.schema_arrow
            for name in self.names:
                if problem := type_problem(schema.field(name).type, self._kinds[name]):
                    raise FileColumn(self.path, name).error(problem)

    def batches(self) -> Iterator[tuple[int, Any]]:
        """All rows, some at a time, and the number of the first; their texts are bounded, too.

        Raises
        ------
        ReleaseError
            A page is damaged.
        BloxFormatError
            Texts unfold to more than the file can honestly hold.
        """
        arrow, _ = libraries()
        first, size = 0, 0
        for table in self._read(range(self._opened.num_row_groups), self._at_once):
            size += sum(_unfolded(column) for column in table.columns)
            self._check_size(size, "its rows unfold")
            columns = {name: _without_dictionary(table[name]) for name in table.column_names}
            yield first, arrow.table(columns)
            first += len(table)

    def groups(self) -> Iterator[tuple[int, Any]]:
        """Rows of whole runs, and the number of the first: a group of rows, or of a large one some of it.

        A large group is in the order of its runs, as `export_parquet` writes it.

        Raises
        ------
        ReleaseError
            A page is damaged.
        """
        arrow, _ = libraries()
        first = 0
        for group in range(self._opened.num_row_groups):
            rest = None  # of the last run, which may go on
            left = self._opened.metadata.row_group(group).num_rows
            for read in self._read([group], GROUP):
                left -= len(read)
                table = read if rest is None else arrow.concat_tables([rest, read])
                whole = len(table) if left <= 0 else _last_run(table)
                if whole:
                    yield first, table.slice(0, whole)
                first += whole
                rest = table.slice(whole)
                if len(rest) > GROUP:
                    raise BloxFormatError("a run has more epochs than there can be", source=str(self.path))
            if left:
                raise self._damaged(ValueError("a group of rows is cut off"))

    def _read(self, groups: Iterable[int], rows: int) -> Iterator[Any]:
        """Tables of so many rows at the most."""
        arrow, _ = libraries()
        found = self._opened.iter_batches(batch_size=rows, row_groups=list(groups), columns=self.names)
        while True:
            try:
                batch = next(found, None)
                if batch is None:
                    return
                table = arrow.Table.from_batches([batch])
            except self._errors as error:
                raise self._damaged(error) from error
            yield table

    def _check_size(self, size: int, what: str) -> None:
        most = _FREE + _UNFOLDED * self._size
        if size > most:
            raise BloxFormatError(
                f"{what} to more than {most / 1e6:,.0f} MB, which no honest file of "
                f"{counted(self._size, 'byte')} does",
                source=str(self.path),
            )

    def _damaged(self, error: Exception) -> ReleaseError:
        """The error for a file that Arrow cannot read."""
        return ReleaseError(
            f"{self.path} is damaged: {one_line(error, 200)}; export it again, or get it again"
        )


def _encodings(metadata: Any) -> dict[str, set[str]]:
    """How the pages of each column are said to be written; Arrow tells where they are otherwise."""
    found: dict[str, set[str]] = {}
    for group in range(metadata.num_row_groups):
        for at in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(at)
            found.setdefault(chunk.path_in_schema, set()).update(chunk.encodings)
    return found


def _is_text(arrow: Any, kind: Any) -> bool:
    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _unfolded(column: Any) -> int:
    """How many bytes a column has where each row has its own text."""
    arrow, compute = (import_module(name) for name in ("pyarrow", "pyarrow.compute"))
    size = 0
    for chunk in column.chunks:
        texts = getattr(chunk, "dictionary", chunk)
        lengths = None
        if _is_text(arrow, texts.type):
            lengths = compute.binary_length(texts).cast("int64")
            lengths = lengths if texts is chunk else compute.take(lengths, chunk.indices)
        size += len(chunk) * 8 if lengths is None else compute.sum(lengths).as_py() or 0
    return size


def _without_dictionary(column: Any) -> Any:
    kind = column.type
    return column.cast(kind.value_type) if hasattr(kind, "value_type") else column


def _last_run(table: Any) -> int:
    """Where the rows of the last run begin."""
    runs = table["run_id"].to_numpy(zero_copy_only=False)
    others = np.flatnonzero(runs != runs[-1])
    return int(others[-1]) + 1 if len(others) else 0
