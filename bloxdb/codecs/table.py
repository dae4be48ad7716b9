"""The narrow waist between files and the database: a header and NumPy columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import MASKED, hides
from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, is_list, measure_of
from bloxdb.codecs.header import Header
from bloxdb.codecs.values import check_values, column_of
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError
from bloxdb.measures import Array, compact, to_floats
from bloxdb.space.cells import FIELDS, NUM_ARCHS, STAGES, nested
from bloxdb.space.keys import DIGEST_SIZE, KEY, Ids, indices_of_digests


class Table:
    """One release file in memory.

    Parameters
    ----------
    header
        What the file says of itself; `header.columns` gives the order of the columns.
    columns
        An array a column, ``n`` rows each, ``E = header.epochs``:

        ===========  ==========================================================================
        hash         uint8 (n, 16), as the hex digits spell them
        arch         uint8 (n, 3, 5): op1, op2, prev, input, skip of each cell
        int          int64 (n,)
        text         object (n,) of str
        accuracy     (n,) or (n, E): int32 thousandths of a percent, or float64 percent
        float        (n,) or (n, E): int32 millionths, or float64 as it is
        ===========  ==========================================================================

        Float64 measures are turned into int32 where that is exact. NaN means 'not measured'.

    Raises
    ------
    BloxFormatError
        A column is missing, has the wrong shape or type, or holds what no such column can; or one
        architecture has two rows.
    """

    def __init__(self, header: Header, columns: Mapping[str, Array]) -> None:
        if set(columns) != set(header.columns):
            raise BloxFormatError("the columns are not those that the header names")
        self.header = header
        self.columns: dict[str, Array] = {}
        for name in header.columns:
            array = columns[name]
            if COLUMNS[name] in MEASURED:
                array = compact(array, measure_of(name).scale)
            self._check(name, array)
            self.columns[name] = array
        self._check_keys()

    @classmethod
    def from_rows(cls, header: Header, rows: Iterable[Sequence[Any]]) -> Table:
        """Build a table from rows such as `rows` gives.

        Parameters
        ----------
        header
            What the table is.
        rows
            The values of each row, in the order of the header's columns.

        Raises
        ------
        BloxFormatError
            A value is not what its column holds; the error names row and column.
        """
        listed = list(rows)
        for i, row in enumerate(listed):
            if not isinstance(row, list | tuple) or len(row) != len(header.columns):
                raise BloxFormatError(
                    f"a row must be a list of {counted(len(header.columns), 'value')}", row=i
                )
        columns = {
            name: column_of(name, [row[c] for row in listed], header.epochs or 0)
            for c, name in enumerate(header.columns)
        }
        return cls(header, columns)

    def __len__(self) -> int:
        return len(self.columns[KEY])

    def __repr__(self) -> str:
        return f"<Table {self.header.stem}: {counted(len(self), 'row')} of {', '.join(self.header.columns)}>"

    def __getitem__(self, name: str) -> Array:
        """The stored array of a column; measures may be fixed point, see `values`."""
        return self.columns[name]

    def values(self, name: str) -> Array:
        """A column in its natural units: percent and losses as float64.

        Parameters
        ----------
        name
            The name of the column.

        Returns
        -------
        numpy.ndarray
            The values of all rows, (n,) or (n, epochs).
        """
        array = self.columns[name]
        if COLUMNS[name] in MEASURED and array.dtype != np.float64:
            return to_floats(array, measure_of(name).scale)
        return array

    def rows(self) -> list[list[Any]]:
        """Exactly the rows that the original reader gives: str, int, float and lists."""
        columns = [self._python_column(name) for name in self.header.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def hashes(self) -> list[str]:
        """The `model_hash` of each row as 32 hex digits."""
        text = np.ascontiguousarray(self.columns[KEY]).tobytes().hex()
        return [text[i : i + 32] for i in range(0, len(text), 32)]

    def arch_ids(self, source: str = "") -> Ids:
        """The architecture index of each row.

        Parameters
        ----------
        source
            The file's name, for the error.

        Returns
        -------
        numpy.ndarray
            Architecture indices, int64 (n,).

        Raises
        ------
        BloxFormatError
            A hash is not that of an architecture.
        """
        ids = indices_of_digests(self.columns[KEY])
        for row in np.flatnonzero(ids < 0)[:1].tolist():
            raise BloxFormatError(
                f"{self.hashes()[row]} is not the hash of an architecture of Blox",
                source=source,
                row=row,
                column=KEY,
            )
        return ids

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        """A table of some of the rows, in the order given.

        Parameters
        ----------
        rows
            Positions of rows, integers (n,).

        Returns
        -------
        Table
            A table of n rows.
        """
        return Table(self.header, {name: array[rows] for name, array in self.columns.items()})

    def sorted(self) -> Table:
        """The same table in the order of its hashes."""
        return self.take(np.argsort(_keys(self.columns[KEY]), kind="stable"))

    def difference(self, other: Table) -> str | None:
        """The first place where two tables differ, as a sentence; None if they are equal.

        Headers, row order and every value count; two NaN are equal.

        Parameters
        ----------
        other
            The table to compare with.

        Returns
        -------
        str or None
            A sentence on the first difference; None if there is none.
        """
        if self.header != other.header:
            return f"headers differ: {self.header} and {other.header}"
        if len(self) != len(other):
            return f"{counted(len(self), 'row')} and {counted(len(other), 'row')}"
        for name in self.header.columns:
            a, b = self.columns[name], other.columns[name]
            if a.dtype != b.dtype:
                a, b = self.values(name), other.values(name)
            same = a == b
            if a.dtype == np.float64:
                same |= np.isnan(a) & np.isnan(b)
            if not np.all(same):
                row = int(np.flatnonzero(~same.reshape(len(self), -1).all(axis=1))[0])
                key = self.hashes()[row]
                one, two = (np.asarray(t.values(name)[row]) for t in (self, other))
                at = np.flatnonzero(np.atleast_1d(one != two))[0]
                return (
                    f"row {row} ({key}), column {name}: "
                    f"{np.atleast_1d(one).ravel()[at]} and {np.atleast_1d(two).ravel()[at]}"
                )
        return None

    def _python_column(self, name: str) -> list[Any]:
        if COLUMNS[name] is Kind.HASH:
            return self.hashes()
        if COLUMNS[name] is Kind.ARCH:
            cells = self.columns[name].tolist()
            return [[nested(cell) for cell in vec] for vec in cells]
        listed: list[Any] = self.values(name).tolist()
        return listed

    def _check(self, name: str, array: Array) -> None:
        kind = COLUMNS[name]
        if hides(array):
            raise BloxFormatError(f"the column {MASKED}", column=name)
        tail: tuple[int, ...] = ()
        if kind is Kind.HASH:
            tail = (DIGEST_SIZE,)
        elif kind is Kind.ARCH:
            tail = (STAGES, len(FIELDS))
        elif is_list(name):
            tail = (self.header.epochs or 0,)
        dtypes: dict[Kind, tuple[Any, ...]] = {
            Kind.HASH: (np.uint8,),
            Kind.ARCH: (np.uint8,),
            Kind.INT: (np.int64,),
            Kind.TEXT: (np.object_,),
        }
        if array.dtype not in dtypes.get(kind, (np.int32, np.float64)) or array.shape[1:] != tail:
            each = " x ".join(map(str, tail)) or "1"
            raise BloxFormatError(
                f"a column of shape {array.shape} and type {array.dtype} does not hold {each} values of kind "
                f"{kind.value} in each row",
                column=name,
            )
        check_values(name, array)

    def _check_keys(self) -> None:
        sizes = {name: len(array) for name, array in self.columns.items()}
        if len(set(sizes.values())) > 1:
            raise BloxFormatError(f"the columns have different lengths: {sizes}")
        if len(self) > NUM_ARCHS:
            raise BloxFormatError(
                f"{len(self)} rows are more than the {NUM_ARCHS} architectures that there are"
            )
        keys = np.sort(_keys(self.columns[KEY]))
        if np.any(keys[1:] == keys[:-1]):
            twice = keys[1:][keys[1:] == keys[:-1]][0].ljust(16, b"\0").hex()
            raise BloxFormatError(
                f"architecture {twice} has two rows; keep one of them",
                row=[i for i, key in enumerate(self.hashes()) if key == twice][1],
                column=KEY,
            )


def _keys(hashes: Array) -> Array:
    """Hashes as one sortable item each; NumPy drops an item's last zero bytes when it shows it."""
    return np.ascontiguousarray(hashes).view("S16").ravel()
