"""What data sets of costs, of latencies and of environments have in common.

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
from bloxdb.codecs.header import VERSION
from bloxdb.compat.search_space import get_search_space
from bloxdb.dataset import FolderSource, Source
from bloxdb.dataset.folder import Part, by_stem
from bloxdb.errors import QueryError, ReleaseError, spelled
from bloxdb.files import expanded
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
        raise QueryError(
            f"files of kind {spelled(kind)} are named by a path, or several, not {spelled(files)}"
        ) from error
    if not listed:
        raise QueryError(f"there is no file of kind {spelled(kind)} to read; name one, or several")
    parts = []
    for place in map(expanded, listed):
        if place.is_dir():
            raise ReleaseError(f"{place} is a folder; from_folder reads it, and here its files are named")
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
    names: tuple[str, ...] = ()

    def __init__(self, files: Files) -> None:
        parts = read_parts(files, self.kind)
        source = FolderSource("", 0, [], [], [KEY], {})
        for part in by_stem(parts).values():
            self._add(source, part)
        self._over(source)

    @classmethod
    def of(cls, source: Source) -> Self:
        """A data set over a source that has such rows: those of its files, or of a database's runs.

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

    @property
    def version(self) -> int:
        """The version of the release format."""
        return VERSION

    @property
    def search_space(self) -> list[Any]:
        """How many choices each number of a vector has, nested as a vector is."""
        return get_search_space()

    @property
    def ops(self) -> list[str]:
        """Names of the operations, by their index in vectors."""
        return list(space.OPS)

    @property
    def nodes(self) -> int:
        """Operations in a cell."""
        return space.NODES

    @property
    def stages(self) -> int:
        """Cells in a network."""
        return space.STAGES

    @property
    def columns(self) -> list[str]:
        """The columns of the files, `model_hash` first."""
        return [KEY, *self.names]

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
