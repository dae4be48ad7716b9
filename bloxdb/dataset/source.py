"""What a `Dataset` gets its values from: files in memory or a database, asked the same questions."""

from __future__ import annotations

from collections.abc import Sequence
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


ANY_SEED = 0
"""The seed that is named in questions about costs and latencies, which have none."""

NO_COSTS = (
    "FLOPs and parameters are not loaded; load a folder with include_static_info=True, or name their file as "
    "static_info"
)
"""What is said to who asks for them then."""


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

    @property
    def first_epoch_is_best(self) -> bool:
        """Whether epoch 1 has the best epoch's validation instead of its own."""
        ...

    def has(self, arch_id: int, seed: int | None = None) -> bool:
        """Whether the architecture has a run of a seed, or of any.

        Parameters
        ----------
        arch_id
            The index of the architecture.
        seed
            The seed; any if None.

        Returns
        -------
        bool
            False if it has none.
        """
        ...

    def arch_ids(self, seed: int | None = None) -> Ids:
        """The architectures that have a run of a seed, or of any, in order.

        Parameters
        ----------
        seed
            The seed; any if None.

        Returns
        -------
        numpy.ndarray
            Architecture indices, int64.
        """
        ...

    def result(self, name: str, arch_id: int, seed: int) -> float | int | None:
        """A value of a run.

        Parameters
        ----------
        name
            One of `RESULTS`.
        arch_id
            The index of the architecture.
        seed
            The seed of the run.

        Returns
        -------
        float or int or None
            The value in its unit: percent, nats or seconds.
        """
        ...

    def at(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """A measure at an epoch.

        Parameters
        ----------
        name
            One of `CURVES`.
        arch_id
            The index of the architecture.
        seed
            The seed of the run.
        epoch
            The epoch, from 1.

        Returns
        -------
        float or None
            The value in percent or nats.
        """
        ...

    def best(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """The best of a measure in the first epochs.

        Parameters
        ----------
        name
            One of `CURVES`.
        arch_id
            The index of the architecture.
        seed
            The seed of the run.
        epoch
            The last of these epochs, from 1.

        Returns
        -------
        float or None
            The value in percent or nats.
        """
        ...

    def curve(self, name: str, arch_id: int, seed: int) -> list[float | None] | None:
        """A measure at all epochs.

        Parameters
        ----------
        name
            One of `CURVES`.
        arch_id
            The index of the architecture.
        seed
            The seed of the run.

        Returns
        -------
        list or None
            A value an epoch, in percent or nats, None where one was not measured; None if none was.
        """
        ...

    def latency(self, device: str, arch_id: int) -> float | None:
        """The latency of an architecture on a device.

        Parameters
        ----------
        device
            The name of the device.
        arch_id
            The index of the architecture.

        Returns
        -------
        float or None
            The latency in milliseconds.
        """
        ...

    def info(self, arch_id: int) -> tuple[int, int] | None:
        """The costs of an architecture.

        Parameters
        ----------
        arch_id
            The index of the architecture.

        Returns
        -------
        tuple or None
            Multiply-accumulates for one 3x32x32 image, and trainable parameters.
        """
        ...

    def env(self, arch_id: int, seed: int) -> dict[str, str] | None:
        """The environment of a run.

        Parameters
        ----------
        arch_id
            The index of the architecture.
        seed
            The seed of the run.

        Returns
        -------
        dict or None
            Texts by the names of `bloxdb.measures.ENVIRONMENT`.
        """
        ...

    def many_best(
        self, name: str, arch_ids: Ids, seed: int, first: int, last: int
    ) -> npt.NDArray[np.float64]:
        """The best of a measure in some epochs, of many architectures.

        Parameters
        ----------
        name
            One of `CURVES`.
        arch_ids
            Architecture indices, int64 (n,).
        seed
            The seed of the runs.
        first, last
            The first and the last of these epochs, from 1.

        Returns
        -------
        numpy.ndarray
            Values in the unit of the measure, float64 (n,), NaN where there is none.
        """
        ...

    def many(
        self, names: Sequence[str], arch_ids: Ids, seed: int, epoch: int
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Columns of many architectures.

        Parameters
        ----------
        names
            Some of `RESULTS` and `CURVES`, costs, and ``'latency:DEVICE'``.
        arch_ids
            Architecture indices, int64 (n,).
        seed
            The seed of the runs.
        epoch
            The epoch, from 1, of those of `CURVES`.

        Returns
        -------
        dict
            By name, values in the unit of the column, float64 (n,), NaN where there is none.
        """
        ...
