"""`Dataset` in the original's shapes: lists where `bloxdb.Dataset` has dicts and single numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Any, Self

from bloxdb import space
from bloxdb.compat.graph_utils import key_of_graph
from bloxdb.compat.info import File, Files, read_parts
from bloxdb.compat.infos import BenchmarkingDataset, EnvInfoDataset, StaticInfoDataset
from bloxdb.compat.search_space import get_search_space
from bloxdb.dataset import DatabaseSource, Runs, Source
from bloxdb.dataset.folder import Devices, read_folder, source_of
from bloxdb.dataset.source import CURVES
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds
from bloxdb.errors import QueryError
from bloxdb.space.keys import KEY, find_arch

__all__ = [
    "BenchmarkingDataset",
    "Dataset",
    "EnvInfoDataset",
    "StaticInfoDataset",
    "from_database",
    "from_folder",
]


class Dataset(Runs):
    """Runs by architecture, under the original's names and in its shapes.

    An architecture is a vector, a model hash or an index; a method gives None where there is no run of it,
    and for a vector without a path. Without a seed, one of `seeds` is drawn from `rng`.

    Parameters
    ----------
    files
        The base files, and the ext files if training accuracies and losses are wanted; one or several.
    devices_files
        Files of latencies, one or several.
    static_info
        The file of FLOPs and parameters.
    env_info
        Files of environments, one or several.
    validate_data
        Check that the files belong together.

    Attributes
    ----------
    rng
        Draws seeds; put a ``random.Random`` of your own here to choose what it draws.
    bench_info, static_info, env_info
        Latencies, costs and environments as data sets of their own; None where they are not loaded.

    Raises
    ------
    BloxFormatError
        A file is damaged.
    QueryError
        A file is of another kind than its place asks for.
    ReleaseError
        A file is missing, or two do not belong together.
    """

    def __init__(
        self,
        files: Files,
        devices_files: Files | None = None,
        static_info: File | None = None,
        env_info: Files | None = None,
        validate_data: bool = True,
    ) -> None:
        parts = read_parts(files, "training")
        others = ((devices_files, "benchmarking"), (static_info, "static"), (env_info, "env"))
        for given, kind in others:
            parts += read_parts(given, kind) if given else []
        self._over(source_of(parts, validate_data))

    @classmethod
    def of(cls, source: Source) -> Self:
        """A data set over whatever answers the questions of a `bloxdb.dataset.Source`.

        Parameters
        ----------
        source
            Files in memory, or a database.

        Returns
        -------
        Dataset
            The same values in the original's shapes.
        """
        made = cls.__new__(cls)
        made._over(source)
        return made

    def _over(self, source: Source) -> None:
        super().__init__(source)
        self.bench_info = BenchmarkingDataset.of(source) if source.devices else None
        self.static_info = StaticInfoDataset.of(source) if source.has_info else None
        self.env_info = EnvInfoDataset.of(source) if source.has_env else None

    @property
    def search_space(self) -> list[Any]:
        """How many choices each number of a vector has, nested as a vector is."""
        return get_search_space()

    @property
    def devices(self) -> list[str] | None:
        """The devices whose latencies are loaded; None if latencies are not."""
        return None if self.bench_info is None else self.bench_info.devices

    def __iter__(self) -> Iterator[list[Any]]:
        """What ``d[hash]`` gives, of each architecture that has a run."""
        return (self._rows(index) for index in self._source.arch_ids().tolist())

    def __getitem__(self, arch: Any) -> list[Any]:
        """All rows of an architecture; `KeyError` where there is no run.

        ``[hash, runs, static, latencies, environments]``: of each a list of rows, a run or an environment a
        seed and a latency a device, and None for what is not loaded.
        """
        index = find_arch(arch)
        if index is None or not self._source.has(index):
            raise KeyError(arch)
        return self._rows(index)

    def train_time(self, arch: Any, epoch: int | None = None, seed: int | None = None) -> float | None:
        """Seconds of training: all of it, an int, or the share of the first epochs, a float.

        Parameters
        ----------
        arch, epoch, seed
            The architecture; the epoch (all of the run if None); the seed of the run (drawn if None).
        """
        last = self._epoch(epoch)
        whole = self._result("train_time_s", arch, seed)
        if whole is None or epoch is None:
            return whole
        return whole * (last / self.epochs)

    def latency(self, arch: Any, devices: Devices = None, return_dict: bool = False) -> Any:
        """The latency of an architecture on each of some devices.

        Parameters
        ----------
        arch
            The architecture.
        devices
            One name, several, or None for all that are loaded.
        return_dict
            Give a dict by name.

        Returns
        -------
        list or dict or None
            ``[[ms], [ms]]``, a row a device in the order of `devices`, or ``{device: {'latency': ms}}``; None
            where there is none. From `.csv` a latency is the text that stands there.

        Raises
        ------
        QueryError
            Latencies are not loaded, or not of such a device.
        """
        if self.bench_info is None:
            raise QueryError(
                "latencies are not loaded; name their files as devices_files, or load a folder that has them "
                "without devices=False"
            )
        return self.bench_info.latency(arch, devices, return_dict)

    def arch_vec(self, arch: Any) -> space.ArchVec | None:
        """The canonical vector of an architecture.

        Parameters
        ----------
        arch
            The architecture.

        Returns
        -------
        space.ArchVec or None
            Three cells; None for an architecture that is not there.

        Raises
        ------
        QueryError
            Costs and vectors are not loaded.
        """
        found = self._info(arch)
        return None if found is None else space.arch_vec(find_arch(arch) or 0)

    def full_info(
        self,
        arch: Any,
        seed: int | None = None,
        devices: Devices = None,
        include_static_info: bool | None = None,
        include_env_info: bool | None = None,
        return_dict: bool = True,
    ) -> dict[str, Any] | list[Any] | None:
        """All that is known of one run.

        Parameters
        ----------
        arch, seed
            The architecture, and the seed of the run (drawn if None).
        devices
            The devices whose latencies are wanted; all that are loaded if None, none if False.
        include_static_info, include_env_info
            Whether costs and environment are wanted; whatever is loaded if None.
        return_dict
            Give a dict, not a list.

        Returns
        -------
        dict, list or None
            A dict with the columns of the loaded files, ``'model_hash'``, ``'seed'``, a dict a device by its
            name, ``'info'`` and ``'env'``; or a list: the hash, the columns, the seed, then a list of values
            a device, of the costs and of the environment.
        """
        index = find_arch(arch)
        drawn = self._run_of(index, seed)
        names = self._devices(devices)
        static = self._whether(include_static_info, self.static_info is not None)
        env = self._whether(include_env_info, self.env_info is not None)
        run = None if index is None or drawn is None else self._run(index, drawn)
        if index is None or drawn is None or run is None:
            return None
        key = space.model_hash(index)
        rows: dict[str, tuple[tuple[str, ...], list[Any] | None]] = {}
        if self.bench_info is not None:
            found = dict(zip(self.bench_info.devices, self.bench_info.rows(index), strict=True))
            rows |= {name: (self.bench_info.names, found[name]) for name in names}
        if static and self.static_info is not None:
            rows["info"] = (self.static_info.names, self.static_info.rows(index)[0])
        if env and self.env_info is not None:
            rows["env"] = (self.env_info.names, self.env_info.rows(index)[self.seeds.index(drawn)])
        filled = {name: (keys, row or [None] * len(keys)) for name, (keys, row) in rows.items()}
        if not return_dict:
            return [key, *run, drawn, *(row for _, row in filled.values())]
        info: dict[str, Any] = dict(zip(self.columns[1:], run, strict=True))
        info |= {KEY: key, "seed": drawn}
        return info | {name: dict(zip(keys, row, strict=True)) for name, (keys, row) in filled.items()}

    def full_info_by_graph(self, graph: Any, *args: Any, **kwargs: Any) -> Any:
        """All that is known of one run of the architecture with a graph.

        Parameters
        ----------
        graph
            The graph, as `graph_utils.get_model_graph` makes it, or a model hash.
        *args, **kwargs
            What else `full_info` takes.

        Returns
        -------
        dict, list or None
            What `full_info` gives; None for a graph that no architecture has.
        """
        return self.full_info(key_of_graph(graph), *args, **kwargs)

    def _run(self, index: int, seed: int) -> list[Any] | None:
        """The columns of a run, curves as lists; None if there is no such run."""
        source = self._source
        row = [
            (source.curve if name in CURVES else source.result)(name, index, seed)
            for name in source.columns[1:]
        ]
        return None if all(value is None for value in row) else row

    def _rows(self, index: int) -> list[Any]:
        infos = (self.static_info, self.bench_info, self.env_info)
        runs = [self._run(index, seed) for seed in self.seeds]
        return [
            space.model_hash(index),
            runs,
            *(None if info is None else info.rows(index) for info in infos),
        ]


def from_folder(
    folder: str | PathLike[str],
    extended: bool = False,
    seeds: Seeds = None,
    devices: Devices = None,
    include_static_info: bool = False,
    include_env_info: bool = False,
    validate_data: bool = True,
    preferred_ext: str | Iterable[str] | None = None,
) -> Dataset:
    """Load a release from a folder, with the original's order of parameters.

    Parameters
    ----------
    folder
        The folder of the files, in any mixture of formats; ``~`` is the home folder.
    extended
        Load the ext files, too: training accuracies and all losses.
    seeds, devices
        The seeds and the devices to load, one or several; all that the folder has if None. False for
        `devices` leaves latencies out.
    include_static_info, include_env_info
        Load FLOPs and parameters, and environments.
    validate_data
        Check that the files belong together.
    preferred_ext
        The formats that may be read, the preferred one first, with a dot or without: one, or several. A
        format that is not among them is never read. ``'blox'``, ``'pickle'``, ``'csv'`` if None.

    Returns
    -------
    Dataset
        The runs, in memory, in the original's shapes.

    Raises
    ------
    BloxFormatError
        A file is damaged.
    ReleaseError
        A file is missing, or two do not belong together.
    QueryError
        There is no such seed, device or format; the error lists those that there are.
    """
    source = read_folder(
        folder,
        extended=extended,
        seeds=seeds,
        devices=devices,
        info=include_static_info,
        env=include_env_info,
        preferred_ext=preferred_ext,
        validate=validate_data,
    )
    return Dataset.of(source)


def from_database(db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None) -> Dataset:
    """The finished runs of a database in the original's shapes; nothing is loaded up front.

    Parameters
    ----------
    db
        The database; the current one if not given.
    recipe
        The name of the recipe; needed where there are several.
    seeds
        Only runs of this seed, or of these.

    Returns
    -------
    Dataset
        It asks the database at each call.

    Raises
    ------
    QueryError
        There is no such recipe or seed.
    """
    return Dataset.of(DatabaseSource(asked(db), recipe=recipe, seeds=seeds))
