"""`Dataset`: accuracies, losses, times, latencies and costs by architecture."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb import space
from bloxdb.arguments import integer
from bloxdb.codecs.header import VERSION, search_space
from bloxdb.dataset.many import Many, listed_epochs
from bloxdb.dataset.source import CURVES, Source
from bloxdb.db.references import average_of
from bloxdb.errors import QueryError
from bloxdb.measures import MEASURES
from bloxdb.space.keys import KEY, find_arch

_EXTENDED = {measure.name for measure in MEASURES if measure.file == "ext"}


class Dataset:
    """Runs by architecture.

    An architecture is a vector (any that describes the network), a model hash, or an index;
    `bloxdb.space.keys` has a table of what each kind of key gives. A method returns None where there is no
    run of it, and where there is no such architecture; a malformed key is an error. Without a seed, one of
    `seeds` is drawn from `rng`.

    Parameters
    ----------
    source
        Where the values come from; `from_folder` and `from_database` make one.

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
        """The name of the data set that was trained on."""
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
            The epoch, from 1; the last if None.
        best
            The best of the first `epoch` values instead of the value at `epoch`.
        seed
            The seed of the run; drawn if None.

        Raises
        ------
        ValueError
            The vector is outside the search space, or there is no such epoch or seed.
        """
        return self._measure("val_top1", arch, epoch, best, seed)

    def train_acc(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Training top-1 in percent; its parameters are those of `val_acc`."""
        return self._measure("train_top1", arch, epoch, best, seed)

    def train_top5(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Training top-5 in percent; its parameters are those of `val_acc`."""
        return self._measure("train_top5", arch, epoch, best, seed)

    def val_top5(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Validation top-5 in percent; its parameters are those of `val_acc`."""
        return self._measure("val_top5", arch, epoch, best, seed)

    def train_loss(
        self, arch: Any, epoch: int | None = None, best: bool = False, seed: int | None = None
    ) -> float | None:
        """Training loss in nats, at an epoch unless `best`; its parameters are those of `val_acc`."""
        return self._measure("train_loss", arch, epoch, best, seed)

    def val_loss(
        self, arch: Any, epoch: int | None = None, best: bool = False, seed: int | None = None
    ) -> float | None:
        """Validation loss in nats, at an epoch unless `best`; its parameters are those of `val_acc`."""
        return self._measure("val_loss", arch, epoch, best, seed)

    def test_acc(self, arch: Any, seed: int | None = None) -> float | None:
        """Test top-1 in percent, with the weights of the best epoch.

        Parameters
        ----------
        arch, seed
            The architecture, and the seed of the run (drawn if None).
        """
        return self._result("test_top1", arch, seed)

    def test_top5(self, arch: Any, seed: int | None = None) -> float | None:
        """Test top-5 in percent; its parameters are those of `test_acc`."""
        return self._result("test_top5", arch, seed)

    def test_loss(self, arch: Any, seed: int | None = None) -> float | None:
        """Test loss in nats; its parameters are those of `test_acc`."""
        return self._result("test_loss", arch, seed)

    def train_time(self, arch: Any, epoch: int | None = None, seed: int | None = None) -> float | None:
        """Seconds of training up to an epoch: the whole time's share of epochs.

        Parameters
        ----------
        arch, epoch, seed
            The architecture; the epoch (the last if None); the seed of the run (drawn if None).
        """
        share = self._epoch(epoch) / self.epochs
        whole = self._result("train_time_s", arch, seed)
        return None if whole is None else whole * share

    def latency(
        self, arch: Any, devices: str | Sequence[str] | None = None, return_dict: bool = False
    ) -> Any:
        """The latency of an architecture on one device or several.

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
        float, list or dict
            The latency in milliseconds on the one device that is named; otherwise a list, or a dict by
            name.
        """
        names = self._devices(devices)
        index = find_arch(arch)
        found = [None if index is None else self._source.latency(name, index) for name in names]
        if return_dict:
            return dict(zip(names, found, strict=True))
        return found[0] if isinstance(devices, str) else found

    def flops(self, arch: Any) -> int | None:
        """Multiply-accumulates for one 3x32x32 image; None where there is no such architecture.

        Parameters
        ----------
        arch
            The architecture.
        """
        found = self._info(arch)
        return None if found is None else found[0]

    def params(self, arch: Any) -> int | None:
        """Trainable parameters; None where there is no such architecture.

        Parameters
        ----------
        arch
            The architecture.
        """
        found = self._info(arch)
        return None if found is None else found[1]

    def arch_vec(self, arch: Any) -> space.ArchVec | None:
        """The canonical vector of an architecture.

        Parameters
        ----------
        arch
            The architecture.

        Returns
        -------
        space.ArchVec or None
            Three cells; None where there is no such architecture.
        """
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
            The architecture, and the seed of the run (drawn if None).
        devices
            The devices whose latencies are wanted; all that are loaded if None.
        include_static_info, include_env_info
            Whether costs and environment are wanted; whatever is loaded if None.
        return_dict
            Give a dict, not a list.

        Returns
        -------
        dict, list or None
            A dict with the columns of the loaded files, ``'model_hash'``, ``'seed'``, a dict a device by
            its name, ``'info'`` and ``'env'``; or a list of the same values in this order.
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
        """All that is known of one run of the architecture with a hash.

        Parameters
        ----------
        model_hash
            The hash.
        *args, **kwargs
            What else `full_info` takes.

        Returns
        -------
        dict, list or None
            What `full_info` gives.
        """
        return self.full_info(model_hash, *args, **kwargs)

    def table(
        self,
        archs: Iterable[Any] | None = None,
        columns: Iterable[str] = ("val_top1", "test_top1"),
        epoch: int | Iterable[int] | None = None,
        seed: int | str | None = None,
        best: bool = False,
        first_epoch: bool = False,
    ) -> dict[str, npt.NDArray[Any]]:
        """Values of many architectures at once: much faster than one after the other.

        Parameters
        ----------
        archs
            The architectures; all that have a run if None.
        columns
            Names of columns, ``'flops'``, ``'params'`` and ``'latency:DEVICE'``; one with a value an epoch
            gives that at `epoch`.
        epoch
            The epoch, from 1, or several; the last if None.
        seed
            The seed of the runs; drawn if None, the same for all; ``'mean'`` or ``'median'`` for averages
            over the seeds that each architecture has.
        best
            The best of the epochs up to `epoch` instead of the value at it.
        first_epoch
            Whether epoch 1 counts also where it has the best epoch's validation instead of its own
            (`bloxdb.release.overwritten`); otherwise it is NaN there.

        Returns
        -------
        dict
            ``'arch_id'``, int64 (n,), and a float64 array a column: (n,), or (n, epochs) where several epochs
            are asked for; NaN where there is no value.

        Raises
        ------
        QueryError
            There is no such column, epoch or seed.
        """
        average = average_of(seed)
        seeds = self._seeds if average else [self._seed(seed)]  # type: ignore[arg-type]
        many = Many(self._source, self._ids(archs), seeds, average or "mean")
        epochs = listed_epochs(epoch, self.epochs)
        arrays = {name: many.column(name, epochs, best, first_epoch) for name in columns}
        return {"arch_id": many.ids, **arrays}

    def curve(self, arch: Any, measure: str, seed: int | None = None) -> npt.NDArray[np.float64] | None:
        """A measure at all epochs of one run.

        Parameters
        ----------
        arch
            The architecture.
        measure
            A column with a value an epoch, as ``'val_top1'``.
        seed
            The seed of the run; drawn if None.

        Returns
        -------
        numpy.ndarray or None
            Float64 (epochs,), NaN where a value was not measured; None where there is no run.

        Raises
        ------
        QueryError
            There is no such measure or seed.
        """
        if measure not in CURVES:
            raise QueryError(f"there is no measure {measure!r} of epochs; choose of: {', '.join(CURVES)}")
        self._check_extended(measure)
        drawn, index = self._seed(seed), find_arch(arch)
        found = None if index is None else self._source.curve(measure, index, drawn)
        return None if found is None else np.array(found, dtype=np.float64)

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
        if not self._seeds:
            raise QueryError("there are no finished runs to ask")
        if seed is None:
            return self._seeds[0] if len(self._seeds) == 1 else self.rng.choice(self._seeds)
        wanted = integer(seed, "a seed")
        if wanted not in self._seeds:
            raise QueryError(f"seed {wanted} is not loaded; choose of: {', '.join(map(str, self._seeds))}")
        return wanted

    def _epoch(self, epoch: int | None) -> int:
        if epoch is None:
            return self._source.epochs
        return integer(epoch, "an epoch", low=1, high=self._source.epochs)

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
