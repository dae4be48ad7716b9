"""What a `Dataset` gets its values from: files in memory or a database, asked the same questions."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bloxdb.measures import EPOCH, MEASURES, RUN
from bloxdb.space.keys import Ids

CURVES = tuple(EPOCH)
"""Columns with one value an epoch."""

RESULTS = tuple(name for name in RUN if name not in EPOCH)
"""Columns with one value a run."""

COLUMNS = tuple(dict.fromkeys(measure.name for measure in MEASURES if measure.name in (*CURVES, *RESULTS)))
"""All of them, in the order of base and ext files."""


class Source(Protocol):
    """Values by architecture index and seed; None where there is none.

    Whatever answers these questions can be a `Dataset`: a missing architecture, run or value is None (NaN in
    an array) and never an error; what a source has not loaded is not in `columns`, `seeds` or `devices`, and
    is not asked for.

    Attributes
    ----------
    dataset, epochs
        What was trained on, and for how many epochs.
    seeds, devices
        What there is, in order.
    columns
        The columns that there are, `model_hash` first.
    """

    dataset: str
    epochs: int
    seeds: list[int]
    devices: list[str]
    columns: list[str]

    @property
    def has_info(self) -> bool:
        """Whether there are costs."""
        ...

    @property
    def has_env(self) -> bool:
        """Whether there are environments."""
        ...

    def has(self, arch_id: int) -> bool:
        """Whether the architecture has a run of any seed."""
        ...

    def arch_ids(self) -> Ids:
        """The architectures that have a run of any seed, in order."""
        ...

    def result(self, name: str, arch_id: int, seed: int) -> float | int | None:
        """One of `RESULTS`."""
        ...

    def at(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """One of `CURVES`, at an epoch."""
        ...

    def best(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """The best of one of `CURVES` in the first epochs."""
        ...

    def curve(self, name: str, arch_id: int, seed: int) -> list[float] | None:
        """One of `CURVES`, of all epochs, NaN where one was not measured; None if none was."""
        ...

    def latency(self, device: str, arch_id: int) -> float | None:
        """Milliseconds."""
        ...

    def info(self, arch_id: int) -> tuple[int, int] | None:
        """FLOPs and parameters."""
        ...

    def env(self, arch_id: int, seed: int) -> dict[str, str] | None:
        """The environment of a run."""
        ...

    def many(self, name: str, arch_ids: Ids, seed: int, epoch: int) -> npt.NDArray[np.float64]:
        """A result, or a measure at an epoch, of many architectures; NaN where there is none."""
        ...
