"""The numbers that figures show: of runs, or of architectures where averages are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloxdb.averages import Averages
from bloxdb.db.references import Seeds, average_of
from bloxdb.db.schema import Run
from bloxdb.errors import QueryError
from bloxdb.selection import Selection
from bloxdb.space.cells import NUM_BLOCKS, STAGES, block_of_stage
from bloxdb.space.keys import Ids

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Measures of runs, or of architectures.

    Attributes
    ----------
    rows
        What one of them is: ``'run'`` or ``'architecture'``.
    arch_ids
        The architecture of each, int64 (n,).
    values
        By measure, float64 (n,), without NaN.
    """

    rows: str
    arch_ids: Ids
    values: dict[str, Floats]

    def blocks(self) -> npt.NDArray[np.int64]:
        """The block of each stage, int64 (n, 3)."""
        return np.stack([block_of_stage(self.arch_ids, stage) for stage in range(STAGES)], axis=1)

    def uniform(self) -> npt.NDArray[np.bool_]:
        """Whether the same block is in each stage, bool (n,)."""
        every = sum(NUM_BLOCKS**stage for stage in range(STAGES))
        same: npt.NDArray[np.bool_] = self.arch_ids % every == 0
        return same


def points(chosen: Selection, seeds: Seeds, *names: str) -> Points:
    """What has all of some measures.

    Parameters
    ----------
    chosen
        The runs.
    seeds
        What the caller said; the name of an average gives one point an architecture.
    *names
        The measures.

    Raises
    ------
    QueryError
        There is no such measure or device, or nothing has all of them.
    """
    how = average_of(seeds)
    for name in names:
        chosen.column(name)
    if how:
        found = Averages(chosen, how, *names, shown=())
        arch_ids, table = found.arch_ids, np.array([found.values[name] for name in names])
    else:
        ids, *values = chosen.array(Run.arch_id, *(chosen.column(name) for name in names))
        arch_ids, table = ids.astype(np.int64), np.array(values)
    known = ~np.isnan(table).any(axis=0)
    if not known.any():
        raise QueryError(f"{chosen.db.name} has no finished run with {' and '.join(names)} to draw")
    kept = dict(zip(names, table[:, known], strict=True))
    return Points("architecture" if how else "run", arch_ids[known], kept)
