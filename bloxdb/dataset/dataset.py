"""`Dataset`: accuracies, losses, times, latencies and costs by architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb import space
from bloxdb.arguments import listed_epochs
from bloxdb.arguments import names as listed_names
from bloxdb.codecs.header import search_space
from bloxdb.dataset.base import Runs
from bloxdb.dataset.folder import Devices
from bloxdb.dataset.many import Many
from bloxdb.dataset.source import CURVES
from bloxdb.db.references import average_of
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import first_of_curve
from bloxdb.space.keys import KEY, Ids, find_arch


class Dataset(Runs):
    """Runs by architecture.

    An architecture is a vector (any that describes the network), a model hash, or an index;
    `bloxdb.space.keys` has a table of what each kind of key gives. A method returns None where there is no
    run of it, and where there is no such architecture; a malformed key is an error. Without a seed, one of
    `seeds` is drawn from `rng`.

    What the original package has is called as there, so that its options may be given by place.

    Values of many architectures come from `table`, a whole curve from `curve`, and from a database also as
    frames (`bloxdb.to_arrow` and its kin); methods that are asked in a loop take ten times as long and more.

    Parameters
    ----------
    source
        Where the values come from; `from_folder` and `from_database` make one.

    Attributes
    ----------
    rng
        Draws seeds; put a ``random.Random`` of your own here to choose what it draws. Every data set begins
        at the same place, and so does every copy in another process: name seeds there, or give each its own.
    """

    @property
    def search_space(self) -> dict[str, Any]:
        """Shape, nodes, stages and operations, as the headers of release files have them."""
        return search_space()

    @property
    def devices(self) -> list[str]:
        """The devices whose latencies are loaded."""
        return list(self._source.devices)

    def __iter__(self) -> Iterator[str]:
        """The model hashes of all architectures that have a run."""
        return (space.model_hash(index) for index in self._source.arch_ids().tolist())

    def __getitem__(self, arch: Any) -> dict[str, Any]:
        """`full_info`; `KeyError` where there is no run."""
        found = self.full_info(arch)
        if found is None:
            raise KeyError(arch)
        return found  # type: ignore[return-value]

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

    def latency(self, arch: Any, devices: Devices = None, return_dict: bool = False) -> Any:
        """The latency of an architecture on one device or several.

        Parameters
        ----------
        arch
            The architecture.
        devices
            One name, several, None for all that are loaded, or False for none.
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
            A dict with the columns of the loaded files, ``'model_hash'``, ``'seed'``, a dict a device by
            its name, ``'info'`` and ``'env'``; or a list of the same values in this order.
        """
        index = find_arch(arch)
        drawn = self._run_of(index, seed)
        names = self._devices(devices)
        if index is None or drawn is None:
            return None
        source = self._source
        info: dict[str, Any] = {KEY: space.model_hash(index)}
        for name in source.columns[1:]:
            ask = source.curve if name in CURVES else source.result
            info[name] = ask(name, index, drawn)
        info["seed"] = drawn
        for name in names:
            info[name] = {"latency": source.latency(name, index)}
        if self._whether(include_static_info, source.has_info):
            flops, params = self._costs(index)
            info["info"] = {"params": params, "flops": flops, "arch_vec": space.arch_vec(index)}
        if self._whether(include_env_info, source.has_env):
            info["env"] = source.env(index, drawn)
        return info if return_dict else list(info.values())

    def _costs(self, index: int) -> tuple[int, int]:
        """What the release says, and what bloxdb computes where it says nothing."""
        return self._source.info(index) or space.arch_cost(index)

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
        *,
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
            The seed of the runs. If None, one is drawn for all, and for those that have no run of it one of
            theirs; ``'mean'`` or ``'median'`` for averages over the seeds that each architecture has.
        best
            The best of the epochs up to `epoch` instead of the value at it.
        first_epoch
            Whether epoch 1 counts also where it has the best epoch's validation instead of its own
            (`bloxdb.overwritten`); otherwise it is NaN there.

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
        ids, epochs = self._ids(archs), listed_epochs(epoch, self.epochs)
        wanted = listed_names(columns, "columns")
        if average:
            runs = [(self._seeds, np.arange(len(ids)))]
        else:
            runs = [([one], places) for one, places in self._runs_of(ids, seed)]  # type: ignore[arg-type]
        found: dict[str, npt.NDArray[Any]] = {"arch_id": ids}
        for seeds, places in runs:
            many = Many(self._source, ids[places], seeds, average or "mean")
            for name, values in many.columns(wanted, epochs, best, first_epoch).items():
                if len(runs) == 1:
                    found[name] = values
                else:
                    whole = found.setdefault(name, np.empty((len(ids), *values.shape[1:])))
                    whole[places] = values
        return found

    def _runs_of(self, ids: Ids, seed: int | None) -> list[tuple[int, npt.NDArray[np.intp]]]:
        """Seeds, and the places of the architectures whose runs of them are meant."""
        drawn = self._seed(seed)
        places = np.arange(len(ids))
        if seed is not None or len(self._seeds) == 1:
            return [(drawn, places)]
        has_run = np.isin(ids, self._source.arch_ids(drawn))
        found, left = [(drawn, places[has_run])], places[~has_run]
        others = [one for one in self._seeds if one != drawn]
        while len(left) and others:
            one = others.pop(self.rng.randrange(len(others)))
            has_run = np.isin(ids[left], self._source.arch_ids(one))
            found.append((one, left[has_run]))
            left = left[~has_run]
        first, of_first = found[0]
        # what has no run at all is NaN by any seed
        found[0] = first, np.sort(np.concatenate([of_first, left]))
        return [(one, there) for one, there in found if len(there)] or found[:1]

    def curve(
        self, arch: Any, measure: str, *, seed: int | None = None, first_epoch: bool = False
    ) -> npt.NDArray[np.float64] | None:
        """A measure at all epochs of one run.

        Parameters
        ----------
        arch
            The architecture.
        measure
            A column with a value an epoch, as ``'val_top1'``.
        seed
            The seed of the run; drawn if None.
        first_epoch
            Whether epoch 1 counts also where it has the best epoch's validation instead of its own
            (`bloxdb.overwritten`); otherwise it is NaN there.

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
            raise QueryError(
                f"there is no measure {spelled(measure)} of epochs; choose of: {', '.join(CURVES)}"
            )
        self._check_extended(measure)
        source = self._source
        found = self._drawn(lambda index, one: source.curve(measure, index, one), find_arch(arch), seed)
        if found is None:
            return None
        values = np.array(found, dtype=np.float64)
        first = first_of_curve(measure, source.first_epoch_is_best, wanted=first_epoch)
        values[: first - 1] = np.nan
        return values

    def _ids(self, archs: Iterable[Any] | None) -> space.Ids:
        return self._source.arch_ids() if archs is None else space.arch_indices(archs)
