"""`Dataset`: accuracies, losses, times, latencies and costs by architecture."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any

import numpy.typing as npt

from bloxdb import space
from bloxdb.codecs.header import VERSION, search_space
from bloxdb.dataset.database import DatabaseSource
from bloxdb.dataset.folder import read_folder
from bloxdb.dataset.source import CURVES, Source
from bloxdb.db.database import Database, current
from bloxdb.db.references import Seeds
from bloxdb.errors import QueryError
from bloxdb.measures import MEASURES
from bloxdb.space.keys import KEY, find_arch

_EXTENDED = {measure.name for measure in MEASURES if measure.file == "ext"}


def from_folder(
    folder: str | PathLike[str],
    *,
    extended: bool = False,
    seeds: Seeds = None,
    devices: str | Iterable[str] | None = None,
    include_static_info: bool = False,
    include_env_info: bool = False,
    validate_data: bool = True,
    preferred_ext: str | None = None,
) -> Dataset:
    """Load a release from a folder.

    Parameters
    ----------
    folder
        Where the files are, in any mixture of formats.
    extended
        Load the ext files, too: training accuracies and all losses.
    seeds, devices
        Which to load, one or several; all that the folder has if None.
    include_static_info, include_env_info
        Load FLOPs and parameters, and environments.
    validate_data
        Check that the files belong together.
    preferred_ext
        The format to take where a file is there in several; ``'blox'``, ``'pickle'``, ``'csv'`` in this order
        if None.

    Returns
    -------
    Dataset
        What was asked for, in memory.

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
    return Dataset(source)


def from_database(db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None) -> Dataset:
    """The finished runs of a database under the original package's API; nothing is loaded up front.

    Parameters
    ----------
    db
        The database; the current one if not given.
    recipe
        Whose runs; needed where there are several recipes.
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
    return Dataset(DatabaseSource(db or current(), recipe, seeds))


class Dataset:
    """Runs by architecture.

    An architecture is a vector (any that describes the network), a model hash, or an index;
    `bloxdb.space.keys` has a table of what each kind of key gives. A method returns None where there is no
    run of it, and where there is no such architecture; a malformed key is an error. Without a seed, one of
    `seeds` is drawn from `rng`.

    Attributes
    ----------
    rng
        Draws seeds; put a ``random.Random`` of your own here to choose what it draws.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seeds = list(source.seeds)
        self._is_extended = set(source.columns) >= _EXTENDED
        self.rng = random.Random(0)  # noqa: S311

    def __repr__(self) -> str:
        seeds = ", ".join(map(str, self._seeds))
        return f"<Dataset {self.dataset}: {len(self)} architectures, {self.epochs} epochs, seeds {seeds}>"

    @property
    def version(self) -> int:
        """The version of the release format."""
        return VERSION

    @property
    def search_space(self) -> dict[str, Any]:
        """Shape, nodes, stages and operations, as the headers of release files have them."""
        return search_space()

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
        """The columns of the training files, `model_hash` first."""
        return list(self._source.columns)

    @property
    def epochs(self) -> int:
        """Epochs of each run."""
        return self._source.epochs

    @property
    def dataset(self) -> str:
        """What was trained on."""
        return self._source.dataset

    @property
    def is_extended(self) -> bool:
        """Whether training accuracies and losses are there."""
        return self._is_extended

    @property
    def seeds(self) -> list[int]:
        """The seeds that are loaded."""
        return list(self._seeds)

    @property
    def devices(self) -> list[str]:
        """The devices whose latencies are loaded."""
        return list(self._source.devices)

    def __len__(self) -> int:
        return len(self._source.arch_ids())

    def __iter__(self) -> Iterator[str]:
        """The model hashes of all architectures that have a run."""
        return (space.model_hash(index) for index in self._source.arch_ids().tolist())

    def __contains__(self, arch: object) -> bool:
        index = find_arch(arch)
        return index is not None and self._source.has(index)

    def __getitem__(self, arch: Any) -> dict[str, Any]:
        """`full_info`; `KeyError` where there is no run."""
        found = self.full_info(arch)
        if found is None:
            raise KeyError(arch)
        return found  # type: ignore[return-value]

    def val_acc(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Validation top-1 in percent: the best of the first epochs, or that at an epoch.

        Parameters
        ----------
        arch
            The architecture.
        epoch
            From 1; the last if None.
        best
            The best of the first `epoch` values instead of the value at `epoch`.
        seed
            Whose run; drawn if None.

        Raises
        ------
        ValueError
            The vector is outside the search space, or there is no such epoch or seed.
        """
        return self._measure("val_top1", arch, epoch, best, seed)

    def train_acc(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Training top-1 in percent, as `val_acc`."""
        return self._measure("train_top1", arch, epoch, best, seed)

    def train_top5(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Training top-5 in percent, as `val_acc`."""
        return self._measure("train_top5", arch, epoch, best, seed)

    def val_top5(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Validation top-5 in percent, as `val_acc`."""
        return self._measure("val_top5", arch, epoch, best, seed)

    def train_loss(
        self, arch: Any, epoch: int | None = None, best: bool = False, seed: int | None = None
    ) -> float | None:
        """Training loss at an epoch, or the lowest of the first epochs."""
        return self._measure("train_loss", arch, epoch, best, seed)

    def val_loss(
        self, arch: Any, epoch: int | None = None, best: bool = False, seed: int | None = None
    ) -> float | None:
        """Validation loss, as `train_loss`."""
        return self._measure("val_loss", arch, epoch, best, seed)

    def test_acc(self, arch: Any, seed: int | None = None) -> float | None:
        """Test top-1 in percent, with the weights of the best epoch."""
        return self._result("test_top1", arch, seed)

    def test_top5(self, arch: Any, seed: int | None = None) -> float | None:
        """Test top-5 in percent."""
        return self._result("test_top5", arch, seed)

    def test_loss(self, arch: Any, seed: int | None = None) -> float | None:
        """Test loss."""
        return self._result("test_loss", arch, seed)

    def train_time(self, arch: Any, epoch: int | None = None, seed: int | None = None) -> float | None:
        """Seconds of training up to an epoch: the whole time's share of epochs."""
        share = self._epoch(epoch) / self.epochs
        whole = self._result("train_time_s", arch, seed)
        return None if whole is None else whole * share

    def latency(
        self, arch: Any, devices: str | Sequence[str] | None = None, return_dict: bool = False
    ) -> Any:
        """Milliseconds on one device (its name is given), or on several as a list or a dict by name.

        Parameters
        ----------
        arch
            The architecture.
        devices
            One name, several, or None for all that are loaded.
        return_dict
            Give a dict by name.
        """
        names = self._devices(devices)
        index = find_arch(arch)
        found = [None if index is None else self._source.latency(name, index) for name in names]
        if return_dict:
            return dict(zip(names, found, strict=True))
        return found[0] if isinstance(devices, str) else found

    def flops(self, arch: Any) -> int | None:
        """Multiply-accumulates for one 3x32x32 image."""
        found = self._info(arch)
        return None if found is None else found[0]

    def params(self, arch: Any) -> int | None:
        """Trainable parameters."""
        found = self._info(arch)
        return None if found is None else found[1]

    def arch_vec(self, arch: Any) -> space.ArchVec | None:
        """The canonical vector; None for a hash that is none."""
        index = find_arch(arch)
        return None if index is None else space.arch_vec(index)

    def full_info(
        self,
        arch: Any,
        seed: int | None = None,
        devices: str | Sequence[str] | None = None,
        include_static_info: bool | None = None,
        include_env_info: bool | None = None,
        return_dict: bool = True,
    ) -> dict[str, Any] | list[Any] | None:
        """All that is known of one run.

        Parameters
        ----------
        arch, seed
            The run.
        devices
            Whose latencies; all that are loaded if None.
        include_static_info, include_env_info
            Whether costs and environment; as they are loaded if None.
        return_dict
            A dict with the columns of the loaded files, ``'model_hash'``, ``'seed'``, a dict a device by its
            name, ``'info'`` and ``'env'``. Otherwise a list of the same values in this order.
        """
        drawn = self._seed(seed)
        names = self._devices(devices)
        index = find_arch(arch)
        if index is None or self._source.result("test_top1", index, drawn) is None:
            return None
        source = self._source
        info: dict[str, Any] = {KEY: space.model_hash(index)}
        for name in source.columns[1:]:
            ask = source.curve if name in CURVES else source.result
            info[name] = ask(name, index, drawn)
        info["seed"] = drawn
        for name in names:
            info[name] = {"latency": source.latency(name, index)}
        if _included(include_static_info, source.has_info):
            flops, params = source.info(index) or (None, None)
            info["info"] = {"params": params, "flops": flops, "arch_vec": space.arch_vec(index)}
        if _included(include_env_info, source.has_env):
            info["env"] = source.env(index, drawn)
        return info if return_dict else list(info.values())

    def full_info_by_graph(self, model_hash: str, *args: Any, **kwargs: Any) -> Any:
        """`full_info` of the architecture with this hash."""
        return self.full_info(model_hash, *args, **kwargs)

    def table(
        self,
        archs: Iterable[Any] | None = None,
        columns: Iterable[str] = ("val_top1", "test_top1"),
        epoch: int | None = None,
        seed: int | None = None,
    ) -> dict[str, npt.NDArray[Any]]:
        """Values of many architectures at once.

        Parameters
        ----------
        archs
            Which; all that have a run if None.
        columns
            Names of columns; one with a value an epoch gives that at `epoch`.
        epoch
            From 1; the last if None.
        seed
            Whose runs; drawn if None, the same for all.

        Returns
        -------
        dict
            ``'arch_id'``, int64 (n,), and a float64 array (n,) a column, NaN where there is no value.
        """
        drawn, last = self._seed(seed), self._epoch(epoch)
        ids = self._ids(archs)
        found: dict[str, npt.NDArray[Any]] = {"arch_id": ids}
        for name in columns:
            if name not in self._source.columns[1:]:
                raise QueryError(f"there is no column {name!r}; choose of: {', '.join(self.columns[1:])}")
            found[name] = self._source.many(name, ids, drawn, last)
        return found

    def _ids(self, archs: Iterable[Any] | None) -> space.Ids:
        return self._source.arch_ids() if archs is None else space.arch_indices(archs)

    def _measure(self, name: str, arch: Any, epoch: int | None, best: bool, seed: int | None) -> float | None:
        drawn = self._seed(seed)
        last = self._epoch(epoch)
        self._check_extended(name)
        index = find_arch(arch)
        if index is None:
            return None
        return (self._source.best if best else self._source.at)(name, index, drawn, last)

    def _result(self, name: str, arch: Any, seed: int | None) -> float | None:
        drawn = self._seed(seed)
        self._check_extended(name)
        index = find_arch(arch)
        return None if index is None else self._source.result(name, index, drawn)

    def _info(self, arch: Any) -> tuple[int, int] | None:
        if not self._source.has_info:
            raise QueryError("FLOPs and parameters are not loaded; load with include_static_info=True")
        index = find_arch(arch)
        return None if index is None else self._source.info(index)

    def _check_extended(self, name: str) -> None:
        if name in _EXTENDED and not self._is_extended:
            raise QueryError(f"{name} is in the ext files, which are not loaded; load with extended=True")

    def _seed(self, seed: int | None) -> int:
        if seed is None:
            return self._seeds[0] if len(self._seeds) == 1 else self.rng.choice(self._seeds)
        if seed not in self._seeds:
            raise QueryError(f"seed {seed!r} is not loaded; choose of: {', '.join(map(str, self._seeds))}")
        return operator.index(seed)  # a driver does not know NumPy's integers

    def _epoch(self, epoch: int | None) -> int:
        if epoch is None:
            return self._source.epochs
        if not 1 <= epoch <= self._source.epochs:
            raise QueryError(f"epochs are in 1 … {self.epochs}, not {epoch!r}")
        return operator.index(epoch)

    def _devices(self, devices: str | Sequence[str] | None) -> list[str]:
        there = self._source.devices
        if devices is None:
            return list(there)
        names = [devices] if isinstance(devices, str) else list(devices)
        for name in names:
            if name not in there:
                known = ", ".join(there) or "none"
                raise QueryError(f"latencies of {name!r} are not loaded; choose of: {known}")
        return names


def _included(wanted: bool | None, there: bool) -> bool:
    if wanted and not there:
        raise QueryError("what is to be included was not loaded; see from_folder")
    return there if wanted is None else wanted
