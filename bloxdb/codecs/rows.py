"""Training tables as blocks of rows, laid out for the kernels that write a row at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloxdb.codecs.columns import COLUMNS, SCALES, Kind, is_list
from bloxdb.codecs.fixed import Array
from bloxdb.codecs.table import Table

HASH, INT, FLOAT, LIST = range(4)


@dataclass(frozen=True)
class Rows:
    """A table of hashes, whole numbers and measures.

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
    def of(cls, table: Table) -> Rows | None:
        """The rows of a table; None if it has columns of other kinds."""
        layout = []
        for name in table.header.columns:
            kind = COLUMNS[name]
            if kind in (Kind.TEXT, Kind.ARCH):
                return None
            if kind in SCALES:
                count = table.header.epochs or 1 if is_list(name) else 1
                decimals = len(str(SCALES[kind])) - 1
                layout.append((LIST if is_list(name) else FLOAT, count, decimals))
            else:
                layout.append((HASH if kind is Kind.HASH else INT, 1, 0))
        return cls(table, np.array(layout, dtype=np.int64))

    def hashes(self, block: slice) -> Array:
        """Model hashes of some rows, uint8 (n, 16)."""
        return np.ascontiguousarray(self.table["model_hash"][block])

    def numbers(self, block: slice) -> Array:
        """Whole numbers of some rows side by side, int64."""
        return self._beside(block, np.int64, [n for n in self._names if COLUMNS[n] is Kind.INT])

    def fixed(self, block: slice) -> Array:
        """Measures of some rows side by side, in fixed point, int32."""
        return self._beside(block, np.int32, [n for n in self._names if COLUMNS[n] in SCALES])

    def floats(self, block: slice) -> Array:
        """Measures of some rows side by side, float64."""
        names = [name for name in self._names if COLUMNS[name] in SCALES]
        floats = self._beside(block, np.float64, names)
        at = 0
        for name in names:
            width = int(np.prod(self.table[name].shape[1:]))
            if self.table[name].dtype != np.float64:
                floats[:, at : at + width] /= SCALES[COLUMNS[name]]
            at += width
        return floats

    @property
    def is_fixed(self) -> bool:
        """Whether all measures are in fixed point."""
        return all(self.table[name].dtype != np.float64 for name in self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return self.table.header.columns

    def _beside(self, block: slice, dtype: type, names: list[str]) -> Array:
        arrays = [self.table[name][block] for name in names]
        rows = len(self.table["model_hash"][block])
        widths = [int(np.prod(array.shape[1:])) for array in arrays]
        beside: Array = np.empty((rows, sum(widths)), dtype=dtype)
        at = 0
        for array, width in zip(arrays, widths, strict=True):
            beside[:, at : at + width] = array.reshape(rows, width)
            at += width
        return beside
