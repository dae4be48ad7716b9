"""Files of a release, opened as the original does: a whole folder, or a single file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any

from bloxdb import codecs, dataset, space
from bloxdb.dataset.folder import Part
from bloxdb.db.references import Seeds
from bloxdb.errors import QueryError
from bloxdb.measures import ENVIRONMENT, LATENCY
from bloxdb.space.keys import find_arch


class _File:
    """One file, by architecture.

    Parameters
    ----------
    path
        The file, in any format.

    Raises
    ------
    bloxdb.BloxFormatError
        It is damaged.
    bloxdb.QueryError
        It is of another kind.
    """

    kind = ""

    def __init__(self, path: str | PathLike[str]) -> None:
        table = codecs.read(path)
        if table.header.dataset_type != self.kind:
            raise QueryError(f"{path} is a file of kind {table.header.dataset_type!r}, not {self.kind!r}")
        self._part = Part(table, str(path))

    def __len__(self) -> int:
        return len(self._part.table)

    def __iter__(self) -> Iterator[str]:
        """The model hashes, in the order of the file."""
        return iter(self._part.table.hashes())

    def __contains__(self, arch: object) -> bool:
        return self._row(arch) >= 0

    def _row(self, arch: Any) -> int:
        index = find_arch(arch)
        return -1 if index is None else self._part.row[index]

    def _single(self, name: str, arch: Any) -> Any:
        row = self._row(arch)
        return None if row < 0 else self._part.single(name)[row]


class StaticInfoDataset(_File):
    """FLOPs and parameters: `blox-info`.

    Parameters
    ----------
    path
        The file, in any format.

    Raises
    ------
    BloxFormatError
        The file is damaged.
    QueryError
        The file is of another kind.
    """

    kind = "static"

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
        found: int | None = self._single("flops", arch)
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
        found: int | None = self._single("params", arch)
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
        row = self._row(arch)
        return None if row < 0 else space.arch_vec(int(self._part.ids[row]))

    def __getitem__(self, arch: Any) -> dict[str, Any]:
        """Costs and vector; `KeyError` for an architecture that is not there."""
        if arch not in self:
            raise KeyError(arch)
        return {"params": self.params(arch), "flops": self.flops(arch), "arch_vec": self.arch_vec(arch)}


class EnvInfoDataset(_File):
    """Environments of the runs of a seed: `blox-env-SEED`.

    Parameters
    ----------
    path
        The file, in any format.

    Raises
    ------
    BloxFormatError
        The file is damaged.
    QueryError
        The file is of another kind.
    """

    kind = "env"

    @property
    def seed(self) -> int:
        """The seed of the runs."""
        return self._part.table.header.seed or 0

    def env(self, arch: Any) -> dict[str, str] | None:
        """The environment of a run.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.

        Returns
        -------
        dict or None
            Texts by the names of the 12 fields; None for an architecture that is not there.
        """
        row = self._row(arch)
        return None if row < 0 else {name: self._part.table[name][row] for name in ENVIRONMENT}

    def __getitem__(self, arch: Any) -> dict[str, str]:
        """`env`; `KeyError` for an architecture that is not there."""
        found = self.env(arch)
        if found is None:
            raise KeyError(arch)
        return found


class BenchmarkingDataset(_File):
    """Latencies on one device: `blox-bench-DEVICE`.

    Parameters
    ----------
    path
        The file, in any format.

    Raises
    ------
    BloxFormatError
        The file is damaged.
    QueryError
        The file is of another kind.
    """

    kind = "benchmarking"

    @property
    def device(self) -> str:
        """The name of the device."""
        return self._part.table.header.device or ""

    def latency(self, arch: Any) -> float | None:
        """The latency of an architecture.

        Parameters
        ----------
        arch
            A vector, a model hash or an index.

        Returns
        -------
        float or None
            The latency in milliseconds; None for an architecture that is not there.
        """
        found: float | None = self._single(LATENCY.name, arch)
        return found

    def __getitem__(self, arch: Any) -> float:
        """`latency`; `KeyError` for an architecture that is not there."""
        found = self.latency(arch)
        if found is None:
            raise KeyError(arch)
        return found


def from_folder(
    folder: str | PathLike[str],
    extended: bool = False,
    seeds: Seeds = None,
    devices: str | Iterable[str] | None = None,
    include_static_info: bool = False,
    include_env_info: bool = False,
    validate_data: bool = True,
    preferred_ext: str | None = None,
) -> dataset.Dataset:
    """Load a release from a folder: `bloxdb.from_folder`, with the original's order of parameters.

    Parameters
    ----------
    folder
        The folder of the files, in any mixture of formats.
    extended
        Load the ext files, too: training accuracies and all losses.
    seeds, devices
        The seeds and the devices to load, one or several; all that the folder has if None.
    include_static_info, include_env_info
        Load FLOPs and parameters, and environments.
    validate_data
        Check that the files belong together.
    preferred_ext
        The format to take where a file is there in several; ``'blox'``, ``'pickle'``, ``'csv'`` in this
        order if None.

    Returns
    -------
    Dataset
        The runs, in memory.
    """
    return dataset.from_folder(
        folder,
        extended=extended,
        seeds=seeds,
        devices=devices,
        include_static_info=include_static_info,
        include_env_info=include_env_info,
        validate_data=validate_data,
        preferred_ext=preferred_ext,
    )
