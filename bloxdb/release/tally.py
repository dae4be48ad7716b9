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
        self._runs: dict[tuple[str, int], npt.NDArray[np.int32]] = {}  # epochs, -1 where there is no run
        self._latencies = 0

    def add(self, header: Header, ids: Ids, recipe: str | None = None) -> None:
        """Count a file of these architectures; of the recipe that it says itself if none is named."""
        if header.dataset_type == "training":
            name = recipe or f"{header.dataset}-{header.epochs}"
            self.runs(name, header.seed or 0, header.epochs or 0, ids)
        elif header.dataset_type == "benchmarking":
            self.latencies(ids)
        else:
            self._told[ids] = True

    def runs(self, recipe: str, seed: int, epochs: int, ids: Ids) -> None:
        """Count the runs of a recipe and seed that have so many epochs."""
        known = self._runs.setdefault((recipe, seed), np.full(NUM_ARCHS, -1, dtype=np.int32))
        known[ids] = np.maximum(known[ids], epochs)

    def latencies(self, ids: Ids | list[int]) -> None:
        """Count the latencies on a device."""
        self._told[ids] = True
        self._latencies += len(ids)

    def counts(self) -> Counts:
        """What was told; architectures are those that have runs, where there are any."""
        masks = [epochs >= 0 for epochs in self._runs.values()]
        runs = sum(int(mask.sum()) for mask in masks)
        epochs = sum(int(known[mask].sum()) for known, mask in zip(self._runs.values(), masks, strict=True))
        archs = int((np.any(masks, axis=0) if runs else self._told).sum())
        return Counts(archs, runs, epochs, self._latencies)


def _nobody() -> npt.NDArray[np.bool_]:
    return np.zeros(NUM_ARCHS, dtype=bool)


def counts_of(header: Header, rows: int) -> Counts:
    """What one file of so many rows tells."""
    if header.dataset_type == "training":
        return Counts(runs=rows, epochs=rows * (header.epochs or 0))
    if header.dataset_type == "env":
        return Counts(runs=rows)
    return Counts(latencies=rows) if header.dataset_type == "benchmarking" else Counts(architectures=rows)
