"""What every face of the runs has alike, whatever the shapes in which it gives them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from bloxdb import space
from bloxdb.arguments import integer
from bloxdb.codecs.header import VERSION
from bloxdb.counts import Counts
from bloxdb.dataset.folder import Devices, wanted_devices
from bloxdb.dataset.source import NO_COSTS, Source
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import MEASURES
from bloxdb.space.keys import find_arch

T = TypeVar("T")

_EXTENDED = {measure.name for measure in MEASURES if measure.file == "ext"}


class Runs:
    """Runs by architecture: what `bloxdb.Dataset` and `bloxdb.compat.Dataset` have in common.

    An architecture is a vector (any that describes the network), a model hash, or an index;
    `bloxdb.space.keys` has a table of what each kind of key gives. A method returns None where there is no
    run of it, and where there is no such architecture; a malformed key is an error. Without a seed, one of
    `seeds` is drawn from `rng`.

    What the original package has is called as there, so that its options may be given by place.

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

    def __init__(self, source: Source) -> None:
        if not hasattr(source, "seeds"):
            raise QueryError(
                f"a data set asks a Source, not {spelled(source)}; from_database and from_folder make one"
            )
        self._source = source
        self._seeds = list(source.seeds)
        self._is_extended = set(source.columns) >= _EXTENDED
        self.rng = random.Random(0)  # noqa: S311

    def __repr__(self) -> str:
        seeds = ", ".join(map(str, self._seeds))
        counts = Counts(architectures=len(self), epochs=self.epochs)
        return f"<Dataset {self.dataset}: {counts}, seeds {seeds}>"

    @property
    def version(self) -> int:
        """The version of the release format."""
        return VERSION

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

    def __len__(self) -> int:
        return len(self._source.arch_ids())

    def __contains__(self, arch: object) -> bool:
        index = find_arch(arch)
        return index is not None and self._source.has(index)

    def val_acc(
        self, arch: Any, epoch: int | None = None, best: bool = True, seed: int | None = None
    ) -> float | None:
        """Validation top-1 in percent: the best of the first epochs, or that at an epoch.

        `bloxdb.Dataset.table` gives those of many architectures at once.

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

    def _measure(self, name: str, arch: Any, epoch: int | None, best: bool, seed: int | None) -> float | None:
        index = find_arch(arch)
        last = self._epoch(epoch)
        self._check_extended(name)
        ask = self._source.best if best else self._source.at
        return self._drawn(lambda index, one: ask(name, index, one, last), index, seed)

    def _result(self, name: str, arch: Any, seed: int | None) -> float | None:
        index = find_arch(arch)
        self._check_extended(name)
        return self._drawn(lambda index, one: self._source.result(name, index, one), index, seed)

    def _drawn(self, ask: Callable[[int, int], T | None], index: int | None, seed: int | None) -> T | None:
        """What a question gives for a seed; if none is named, for one that is drawn of those that answer."""
        drawn = self._seed(seed)
        if index is None:
            return None
        value = ask(index, drawn)
        if value is not None or seed is not None or len(self._seeds) == 1:
            return value
        answers = [answer for one in self._seeds if (answer := ask(index, one)) is not None]
        return self.rng.choice(answers) if answers else None

    def _info(self, arch: Any) -> tuple[int, int] | None:
        if not self._source.has_info:
            raise QueryError(NO_COSTS)
        index = find_arch(arch)
        return None if index is None else self._costs(index)

    def _costs(self, index: int) -> tuple[int, int] | None:
        """FLOPs and parameters, as they are there."""
        return self._source.info(index)

    def _check_extended(self, name: str) -> None:
        if name in _EXTENDED and not self._is_extended:
            raise QueryError(f"{name} is in the ext files, which are not loaded; load with extended=True")

    def _run_of(self, index: int | None, seed: int | None) -> int | None:
        """The seed of a run of an architecture, drawn if none is named; None where there is no such run."""
        return self._drawn(lambda index, one: one if self._source.has(index, one) else None, index, seed)

    def _seed(self, seed: int | None) -> int:
        """The seed that is meant; if none is named, one is drawn."""
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

    def _devices(self, devices: Devices) -> list[str]:
        there = self._source.devices
        names = wanted_devices(devices)
        if names is None:
            return list(there)
        for name in names:
            if name not in there:
                known = ", ".join(there) or "none"
                raise QueryError(f"latencies of {spelled(name)} are not loaded; choose of: {known}")
        return names

    def _whether(self, wanted: bool | None, there: bool) -> bool:
        """Whether costs or environments are given: as wanted, or, if None, where they are loaded."""
        if wanted and not there:
            raise QueryError("what is to be included was not loaded; see from_folder")
        return there if wanted is None else wanted
