"""Costs, latencies and environments by architecture, in the original's shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bloxdb import space
from bloxdb.arguments import integer
from bloxdb.compat.info import Info
from bloxdb.dataset import FolderSource
from bloxdb.dataset.folder import Devices, Part, wanted_devices
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import ENVIRONMENT, LATENCY
from bloxdb.space.keys import Ids, find_arch


class StaticInfoDataset(Info):
    """FLOPs and parameters: `blox-info`.

    Parameters
    ----------
    files
        The file, in any format.

    Raises
    ------
    BloxFormatError
        The file is damaged.
    QueryError
        The file is of another kind.
    """

    kind = "static"
    names = ("params", "flops", "arch_vec")

    @staticmethod
    def _add(source: FolderSource, part: Part) -> None:
        source.costs = part

    @staticmethod
    def _parts(source: FolderSource) -> list[Part]:
        return [source.costs] if source.costs else []

    def rows(self, index: int) -> list[list[Any] | None]:
        """Parameters, FLOPs and vector.

        Parameters
        ----------
        index
            The index of the architecture.

        Returns
        -------
        list
            One row, or None where there is none.
        """
        found = self._source.info(index)
        return [None if found is None else [found[1], found[0], space.arch_vec(index)]]

    def flops(self, arch: Any) -> int | None:
        """The FLOPs of an architecture.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.

        Returns
        -------
        int or None
            Multiply-accumulates for one 3x32x32 image; None for an architecture that is not there.
        """
        found: int | None = self._value(arch, 1)
        return found

    def params(self, arch: Any) -> int | None:
        """The size of an architecture.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.

        Returns
        -------
        int or None
            Trainable parameters; None for an architecture that is not there.
        """
        found: int | None = self._value(arch, 0)
        return found

    def arch_vec(self, arch: Any) -> space.ArchVec | None:
        """The canonical vector of an architecture.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.

        Returns
        -------
        space.ArchVec or None
            Three cells; None for an architecture that is not there.
        """
        found: space.ArchVec | None = self._value(arch, 2)
        return found

    def _value(self, arch: Any, place: int) -> Any:
        index = find_arch(arch)
        row = None if index is None else self.rows(index)[0]
        return None if row is None else row[place]


class BenchmarkingDataset(Info):
    """Latencies on one device or several: `blox-bench-DEVICE`.

    Parameters
    ----------
    files
        One file or several, in any format.

    Raises
    ------
    BloxFormatError
        A file is damaged.
    QueryError
        A file is of another kind.
    ReleaseError
        There is no such file, or two are of one device.
    """

    kind = "benchmarking"
    names = (LATENCY.name,)

    @staticmethod
    def _add(source: FolderSource, part: Part) -> None:
        name = part.table.header.device or ""
        source.devices.append(name)
        source.latencies[name] = part

    @staticmethod
    def _parts(source: FolderSource) -> list[Part]:
        return list(source.latencies.values())

    @staticmethod
    def _ids_of(part: Part) -> Ids:
        return part.ids[~np.isnan(part.table.values(LATENCY.name))]  # NaN was not measured

    @property
    def devices(self) -> list[str]:
        """The names of the devices, in the order of the files."""
        return list(self._source.devices)

    def rows(self, index: int) -> list[list[Any] | None]:
        """The latency on each device.

        Parameters
        ----------
        index
            The index of the architecture.

        Returns
        -------
        list
            A row of one value a device, None where there is none.
        """
        return [self._row(name, index) for name in self._source.devices]

    def latency(self, arch: Any, devices: Devices = None, return_dict: bool = False) -> Any:
        """The latency of an architecture on each of some devices.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.
        devices
            One name, several, or None for all.
        return_dict
            Give a dict by name.

        Returns
        -------
        list or dict or None
            ``[[ms], [ms]]``, a row a device in the order of `devices`, or ``{device: {'latency': ms}}``; None
            for an architecture that is not there. From `.csv` a latency is the text that stands there.

        Raises
        ------
        QueryError
            There is no such device; the error lists those that there are.
        """
        names = self.chosen(devices)
        index = find_arch(arch)
        found = [None if index is None else self._row(name, index) for name in names]
        if not any(found):
            return None
        if return_dict:
            return {name: {"latency": (row or [None])[0]} for name, row in zip(names, found, strict=True)}
        return [row or [None] for row in found]

    def chosen(self, devices: Devices) -> list[str]:
        """The devices that are meant.

        Parameters
        ----------
        devices
            One name, several, None for all, or False for none.

        Returns
        -------
        list of str
            Names, in the order in which they were given.

        Raises
        ------
        QueryError
            There is no such device; the error lists those that there are.
        """
        there = self._source.devices
        names = wanted_devices(devices)
        for name in names or ():
            if name not in there:
                raise QueryError(
                    f"latencies of {spelled(name)} are not loaded; choose of: {', '.join(there)}"
                )
        return list(there) if names is None else names

    def _row(self, name: str, index: int) -> list[Any] | None:
        found = self._source.latency(name, index)
        if found is None:
            return None
        return [repr(found) if self._is_text(name) else found]

    def _is_text(self, name: str) -> bool:
        """Whether the device is of a `.csv` file, whose latencies the original leaves as texts."""
        part = self._source.latencies.get(name) if isinstance(self._source, FolderSource) else None
        return part is not None and ".csv" in Path(part.source).suffixes


class EnvInfoDataset(Info):
    """Environments of the runs of one seed or several: `blox-env-SEED`.

    Parameters
    ----------
    files
        One file or several, in any format.

    Raises
    ------
    BloxFormatError
        A file is damaged.
    QueryError
        A file is of another kind.
    ReleaseError
        There is no such file, or two are of one seed.
    """

    kind = "env"
    names = ENVIRONMENT

    @staticmethod
    def _add(source: FolderSource, part: Part) -> None:
        seed = part.table.header.seed or 0
        source.seeds.append(seed)
        source.envs[seed] = part

    @staticmethod
    def _parts(source: FolderSource) -> list[Part]:
        return list(source.envs.values())

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs, in the order of the files."""
        return list(self._source.seeds)

    def rows(self, index: int) -> list[list[Any] | None]:
        """The environment of each seed's run.

        Parameters
        ----------
        index
            The index of the architecture.

        Returns
        -------
        list
            A row of 12 texts a seed, None where there is none.
        """
        found = [self._source.env(index, seed) for seed in self._source.seeds]
        return [None if env is None else [env[name] for name in ENVIRONMENT] for env in found]

    def env(self, arch: Any, seed: int | None = None) -> dict[str, str] | None:
        """The environment of a run.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.
        seed
            The seed of the run; the first that has one if None.

        Returns
        -------
        dict or None
            Texts by the names of the 12 fields; None for an architecture that is not there.

        Raises
        ------
        QueryError
            There is no such seed.
        """
        seeds = self._source.seeds
        if seed is not None and integer(seed, "a seed") not in seeds:
            raise QueryError(f"seed {spelled(seed)} is not loaded; choose of: {', '.join(map(str, seeds))}")
        index = find_arch(arch)
        if index is None:
            return None
        found = (
            self._source.env(index, one) for one in (seeds if seed is None else [integer(seed, "a seed")])
        )
        return next((env for env in found if env is not None), None)
