"""What a `Dataset` gets its values from: files in memory or a database, asked the same questions."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bloxdb.codecs.columns import BASE, COLUMNS, EXT, Kind

Ids = npt.NDArray[np.int64]

RESULTS = (*(name for name in (*BASE, *EXT) if name.startswith("test_")), "train_time_s")
"""Columns with one value a run."""

CURVES = tuple(name for name in (*BASE, *EXT) if name not in RESULTS and name != "model_hash")
"""Columns with one value an epoch."""


def is_lower_better(name: str) -> bool:
    """Whether the best value of a measure is the lowest."""
    return COLUMNS[name] is Kind.FLOAT


class Source(Protocol):
    """Values by architecture index and seed; None where there is none.

    Attributes
    ----------
    dataset, epochs
        What was trained on, and for how long.
    seeds, devices
        What there is, in order.
    columns
        Of the training files, `model_hash` first.
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
        """One of `CURVES`, of all epochs."""
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
