"""Training tables as blocks of rows, laid out for the kernels that write a row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bloxdb.codecs.columns import COLUMNS, MEASURED, Kind, is_list, measure_of
from bloxdb.codecs.table import Table
from bloxdb.measures import Array, to_floats
from bloxdb.space.keys import KEY

HASH, INT, FLOAT, LIST = range(4)


class RowBlock(NamedTuple):
    """Some rows, laid out side by side.

    Attributes
    ----------
    hashes
        Model hashes, uint8 (n, 16).
    numbers
        Whole numbers, int64 (n, their columns).
    floats, fixed
        Measures, float64 or int32 in fixed point (n, all values a row); one of the two is None.
    """

    hashes: Array
    numbers: Array
    floats: Array | None
    fixed: Array | None


@dataclass(frozen=True)
class FastRows:
    """A table of hashes, whole numbers and measures, as the kernels write its rows.

    Attributes
    ----------
    table
        The table.
    layout
        For each column `HASH`, `INT`, `FLOAT` or `LIST`, how many values it has a row, and how many
        decimals; int64 (columns, 3).
    """

    table: Table
    layout: npt.NDArray[np.int64]

    @classmethod
    def of(cls, table: Table) -> FastRows | None:
        """The rows of a table; None if it has columns of other kinds."""
        layout = []
        for name in table.header.columns:
            kind = COLUMNS[name]
            if kind in (Kind.TEXT, Kind.ARCH):
                return None
            if kind in MEASURED:
                count = table.header.epochs or 1 if is_list(name) else 1
                decimals = measure_of(name).decimals
                layout.append((LIST if is_list(name) else FLOAT, count, decimals))
            else:
                layout.append((HASH if kind is Kind.HASH else INT, 1, 0))
        return cls(table, np.array(layout, dtype=np.int64))

    def blocks(self, size: int) -> Iterator[RowBlock]:
        """All rows, `size` at once; a thread lays out the next block meanwhile."""
        places = [slice(first, first + size) for first in range(0, len(self.table), size)]
        with ThreadPoolExecutor(1) as pool:
            ahead = [pool.submit(self._block, place) for place in places[:1]]
            for place in places[1:]:
                block = ahead.pop().result()
                ahead.append(pool.submit(self._block, place))
                yield block
            for last in ahead:
                yield last.result()

    @property
    def is_fixed(self) -> bool:
        """Whether all measures are in fixed point."""
        return all(self.table[name].dtype != np.float64 for name in self._names)

    def _block(self, place: slice) -> RowBlock:
        hashes = np.ascontiguousarray(self.table[KEY][place])
        numbers = self._beside(place, np.int64, [n for n in self._names if COLUMNS[n] is Kind.INT])
        if not self.is_fixed:
            return RowBlock(hashes, numbers, self._floats(place), None)
        fixed = self._beside(place, np.int32, [name for name in self._names if COLUMNS[name] in MEASURED])
        return RowBlock(hashes, numbers, None, fixed)

    def _floats(self, place: slice) -> Array:
        names = [name for name in self._names if COLUMNS[name] in MEASURED]
        floats = self._beside(place, np.float64, names)
        at = 0
        for name in names:
            width = int(np.prod(self.table[name].shape[1:]))
            if self.table[name].dtype != np.float64:
                fixed = floats[:, at : at + width]
                fixed[:] = to_floats(fixed, measure_of(name).scale)
            at += width
        return floats

    @property
    def _names(self) -> tuple[str, ...]:
        return self.table.header.columns

    def _beside(self, place: slice, dtype: type, names: list[str]) -> Array:
        arrays = [self.table[name][place] for name in names]
        rows = len(self.table[KEY][place])
        widths = [int(np.prod(array.shape[1:])) for array in arrays]
        beside: Array = np.empty((rows, sum(widths)), dtype=dtype)
        at = 0
        for array, width in zip(arrays, widths, strict=True):
            beside[:, at : at + width] = array.reshape(rows, width)
            at += width
        return beside
