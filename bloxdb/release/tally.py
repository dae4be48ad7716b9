"""How much release files tell, however many of them speak of the same run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bloxdb.codecs import Header
from bloxdb.counts import Counts
from bloxdb.space.cells import NUM_ARCHS
from bloxdb.space.keys import Ids


class Tally:
    """Counts what files tell: a run is one, whether its base file, its ext file or both speak of it."""

    def __init__(self) -> None:
        self._told = _nobody()
        self._runs: dict[int, npt.NDArray[np.bool_]] = {}
        self._epochs = 0
        self._latencies = 0

    def add(self, header: Header, ids: Ids) -> None:
        """Count a file of these architectures."""
        if header.dataset_type == "training":
            self.runs(header.seed or 0, header.epochs or 0, ids)
        elif header.dataset_type == "benchmarking":
            self.latencies(ids)
        else:
            self._told[ids] = True

    def runs(self, seed: int, epochs: int, ids: Ids) -> None:
        """Count the runs of a seed, of so many epochs each."""
        self._runs.setdefault(seed, _nobody())[ids] = True
        self._epochs = epochs

    def latencies(self, ids: Ids | list[int]) -> None:
        """Count the latencies on a device."""
        self._told[ids] = True
        self._latencies += len(ids)

    def counts(self) -> Counts:
        """What was told; architectures are those that have runs, where there are any."""
        runs = sum(int(mask.sum()) for mask in self._runs.values())
        trained = np.any([*self._runs.values(), _nobody()], axis=0)
        archs = int((trained if runs else self._told).sum())
        return Counts(archs, runs, runs * self._epochs, self._latencies)


def _nobody() -> npt.NDArray[np.bool_]:
    return np.zeros(NUM_ARCHS, dtype=bool)


def counts_of(header: Header, rows: int) -> Counts:
    """What one file of so many rows tells."""
    if header.dataset_type == "training":
        return Counts(runs=rows, epochs=rows * (header.epochs or 0))
    if header.dataset_type == "env":
        return Counts(runs=rows)
    return Counts(latencies=rows) if header.dataset_type == "benchmarking" else Counts(architectures=rows)
