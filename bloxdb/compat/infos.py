"""Costs, latencies and environments by architecture, in the original's shapes.

A row of a file is a list of its columns without the hash. ``d[hash]`` is ``[hash, rows]``, a row a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from bloxdb import codecs, space
from bloxdb.arguments import integer
from bloxdb.dataset import FolderSource, Source
from bloxdb.dataset.folder import Devices, Part, by_stem, wanted_devices
from bloxdb.errors import QueryError, ReleaseError
from bloxdb.measures import ENVIRONMENT, LATENCY
from bloxdb.space.keys import KEY, Ids, find_arch

File = str | PathLike[str]
"""A release file, in any format."""

Files = File | Iterable[File]
"""One file or several."""


def read_parts(files: Files, kind: str) -> list[Part]:
    """The tables of files that must all be of one kind; `QueryError` for another."""
    try:
        listed = [Path(file) for file in ([files] if isinstance(files, str | PathLike) else files)]
    except TypeError as error:
        raise QueryError(f"files of kind {kind!r} are named by a path, or several, not {files!r}") from error
    if not listed:
        raise QueryError(f"there is no file of kind {kind!r} to read; name one, or several")
    parts = []
    for place in (file.expanduser() for file in listed):
        if not place.is_file():
            raise ReleaseError(f"there is no file {place}")
        table = codecs.read(place)
        if table.header.dataset_type != kind:
            raise QueryError(f"{place} is a file of kind {table.header.dataset_type!r}, not {kind!r}")
        parts.append(Part(table, str(place)))
    return parts


class Info(ABC):
    """Rows by architecture, one a file.

    Parameters
    ----------
    files
        The files, in any format.
    """

    kind = ""

    def __init__(self, files: Files) -> None:
        parts = read_parts(files, self.kind)
        source = FolderSource("", 0, [], [], [KEY], {})
        for part in by_stem(parts).values():
            self._add(source, part)
        self._over(source)

    @classmethod
    def of(cls, source: Source) -> Self:
        """The same over a source that has such rows: those of its files, or of a database's runs.

        Parameters
        ----------
        source
            Files in memory, or a database.

        Returns
        -------
        Info
            It asks the source at each call.
        """
        made = cls.__new__(cls)
        made._over(source)
        return made

    def _over(self, source: Source) -> None:
        self._source = source
        self._loaded: Ids | None = None
        if isinstance(source, FolderSource):
            each = [self._ids_of(part) for part in self._parts(source)]
            self._loaded = each[0] if len(each) == 1 else np.unique(np.concatenate(each))

    @staticmethod
    def _ids_of(part: Part) -> Ids:
        """The architectures that have a row in a file, in its order."""
        return part.ids

    def _ids(self) -> list[int]:
        if self._loaded is not None:
            ids: list[int] = self._loaded.tolist()
            return ids
        return [index for index in self._source.arch_ids().tolist() if self._has(index)]

    @staticmethod
    @abstractmethod
    def _add(source: FolderSource, part: Part) -> None:
        """Put a file where the source has it."""

    @staticmethod
    @abstractmethod
    def _parts(source: FolderSource) -> list[Part]:
        """The files that `_add` put there."""

    @abstractmethod
    def rows(self, index: int) -> list[list[Any] | None]:
        """The rows of an architecture, one a file, None where a file lacks it.

        Parameters
        ----------
        index
            The index of the architecture.

        Returns
        -------
        list
            A list of values a file.
        """

    def __len__(self) -> int:
        return len(self._ids())

    def __bool__(self) -> bool:
        """That it is loaded; an empty one is, too, and a database need not be counted to say so."""
        return True

    def __iter__(self) -> Iterator[list[Any]]:
        """``[hash, rows]`` of each architecture."""
        return ([space.model_hash(index), self.rows(index)] for index in self._ids())

    def __contains__(self, arch: object) -> bool:
        index = find_arch(arch)
        return index is not None and self._has(index)

    def __getitem__(self, arch: Any) -> list[Any]:
        """``[hash, rows]``; `KeyError` for an architecture that is not there."""
        index = find_arch(arch)
        if index is None or not self._has(index):
            raise KeyError(arch)
        return [space.model_hash(index), self.rows(index)]

    def _has(self, index: int) -> bool:
        return any(row is not None for row in self.rows(index))


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
                raise QueryError(f"latencies of {name!r} are not loaded; choose of: {', '.join(there)}")
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
            raise QueryError(f"seed {seed!r} is not loaded; choose of: {', '.join(map(str, seeds))}")
        index = find_arch(arch)
        if index is None:
            return None
        found = (
            self._source.env(index, one) for one in (seeds if seed is None else [integer(seed, "a seed")])
        )
        return next((env for env in found if env is not None), None)
