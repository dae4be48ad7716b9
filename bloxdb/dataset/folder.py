"""Release files in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb import codecs, space, warn
from bloxdb.arguments import names
from bloxdb.codecs import Table
from bloxdb.codecs.columns import BASE, measure_of
from bloxdb.dataset.cover import check_cover, mask
from bloxdb.db.references import Seeds, listed_seeds
from bloxdb.errors import QueryError, ReleaseError, spelled
from bloxdb.files import as_name, expanded, from_name
from bloxdb.measures import COSTS, ENVIRONMENT, EPOCH, LATENCY, Measure, to_floats
from bloxdb.overwritten import first_epoch_is_best
from bloxdb.release.folder import check_agreement, check_packings, left_out, release_files, steady
from bloxdb.release.names import check_name
from bloxdb.space.keys import Ids

Devices = str | Iterable[str] | bool | None
"""Devices that a caller wants: one, several, False for none, None (or True) for all that there are."""


class Part:
    """One table, and where each architecture is in it.

    Attributes
    ----------
    table, source
        The table, and what errors call it.
    ids
        The architecture of each row.
    rows, row
        The row of each architecture, -1 where it has none: an array, and a list, which gives one faster.
    """

    def __init__(self, table: Table, source: str) -> None:
        self.table = _with_one_zero(table)
        self.source = source
        self.ids = table.arch_ids(source)
        self.rows = np.full(space.NUM_ARCHS, -1, dtype=np.int64)
        self.rows[self.ids] = np.arange(len(table))
        self.row: list[int] = self.rows.tolist()
        self._singles: dict[str, list[Any]] = {}
        self._bests: dict[str, list[Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle has the table only; where each architecture is in it is found anew."""
        return Part, (self.table, "")

    def single(self, name: str) -> list[Any]:
        """The values of a column with one a row, None for NaN."""
        if name not in self._singles:
            self._singles[name] = _listed(self.table.values(name))
        return self._singles[name]

    def best(self, name: str) -> list[Any]:
        """The best of all epochs, of each row."""
        if name not in self._bests:
            self._bests[name] = _listed(_best(self.table[name], EPOCH[name], axis=1))
        return self._bests[name]


def _with_one_zero(table: Table) -> Table:
    """A table without -0.0, which a database has not, so that both give the same number."""
    negative = {
        name: array + 0.0
        for name, array in table.columns.items()
        if array.dtype == np.float64 and np.any(np.signbit(array) & (array == 0))
    }
    return Table(table.header, table.columns | negative) if negative else table


def _listed(values: npt.NDArray[Any]) -> list[Any]:
    listed: list[Any] = values.tolist()
    if values.dtype == np.float64 and np.isnan(values).any():
        return [None if value != value else value for value in listed]
    return listed


def _best(stored: npt.NDArray[Any], measure: Measure, axis: int | None = None) -> Any:
    """The best of a measure as stored, in its natural unit; NaN where none was measured."""
    high = measure.higher_is_better
    if stored.dtype != np.float64:
        return to_floats(stored.max(axis=axis) if high else stored.min(axis=axis), measure.scale)
    return np.fmax.reduce(stored, axis=axis) if high else np.fmin.reduce(stored, axis=axis)


@dataclass
class FolderSource:
    """Tables of release files.

    Attributes
    ----------
    dataset, epochs
        What was trained on, and for how many epochs.
    seeds, devices, columns
        What is loaded, in order.
    training
        The table that has a column, by seed and column.
    envs, latencies
        Tables by seed, and by device.
    costs
        The table of FLOPs and parameters.
    """

    dataset: str
    epochs: int
    seeds: list[int]
    devices: list[str]
    columns: list[str]
    training: dict[int, dict[str, Part]]
    envs: dict[int, Part] = field(default_factory=dict)
    latencies: dict[str, Part] = field(default_factory=dict)
    costs: Part | None = None

    @property
    def has_info(self) -> bool:
        """Whether there are costs."""
        return self.costs is not None

    @property
    def has_env(self) -> bool:
        """Whether there are environments."""
        return bool(self.envs)

    @cached_property
    def first_epoch_is_best(self) -> bool:
        """Whether epoch 1 has the best epoch's validation instead of its own."""
        for parts in self.training.values():
            measures = {name: parts[name].table.columns[name] for name in EPOCH if name in parts}
            if len({id(parts[name]) for name in measures}) > 1:  # base and ext may be in different order
                rows = parts[BASE[1]].ids
                measures = {
                    name: parts[name].table.columns[name][parts[name].rows[rows]] for name in measures
                }
            if first_epoch_is_best(measures):
                return True
        return False

    def has(self, arch_id: int, seed: int | None = None) -> bool:
        """Whether the architecture has a run of a seed, or of any."""
        seeds = self.seeds if seed is None else [seed]
        return any(self.training[one][BASE[1]].row[arch_id] >= 0 for one in seeds)

    def arch_ids(self, seed: int | None = None) -> Ids:
        """The architectures that have a run of a seed, or of any, in order."""
        if seed is not None:
            return np.flatnonzero(mask(self.training[seed][BASE[1]].ids))
        return self._arch_ids

    @cached_property
    def _arch_ids(self) -> Ids:
        all_ids = np.concatenate([parts[BASE[1]].ids for parts in self.training.values()])
        return np.flatnonzero(mask(all_ids))

    def result(self, name: str, arch_id: int, seed: int) -> float | int | None:
        """One value of a run."""
        part = self.training[seed][name]
        row = part.row[arch_id]
        if row < 0:
            return None
        found: float | int | None = part.single(name)[row]
        return found

    def at(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """A measure at an epoch."""
        part = self.training[seed][name]
        row = part.row[arch_id]
        if row < 0:
            return None
        stored = part.table.columns[name]
        value = stored.item(row, epoch - 1)
        if stored.dtype != np.float64:
            return EPOCH[name].natural(value)
        return None if value != value else float(value)

    def best(self, name: str, arch_id: int, seed: int, epoch: int) -> float | None:
        """The best of a measure in the first epochs."""
        part = self.training[seed][name]
        row = part.row[arch_id]
        if row < 0:
            return None
        if epoch == self.epochs:
            found: float | None = part.best(name)[row]
            return found
        value = float(_best(part.table.columns[name][row, :epoch], EPOCH[name]))
        return None if value != value else value

    def curve(self, name: str, arch_id: int, seed: int) -> list[float | None] | None:
        """A measure of all epochs."""
        part = self.training[seed][name]
        row = part.row[arch_id]
        if row < 0:
            return None
        stored = part.table.columns[name][row]
        if stored.dtype == np.float64 and np.isnan(stored).all():
            return None
        return _listed(stored if stored.dtype == np.float64 else to_floats(stored, EPOCH[name].scale))

    def latency(self, device: str, arch_id: int) -> float | None:
        """The latency on a device, in milliseconds."""
        part = self.latencies[device]
        row = part.row[arch_id]
        return None if row < 0 else part.single(LATENCY.name)[row]

    def info(self, arch_id: int) -> tuple[int, int] | None:
        """Multiply-accumulates for one image, and trainable parameters."""
        row = -1 if self.costs is None else self.costs.row[arch_id]
        if row < 0 or self.costs is None:
            return None
        return self.costs.single("flops")[row], self.costs.single("params")[row]

    def env(self, arch_id: int, seed: int) -> dict[str, str] | None:
        """The environment of a run."""
        part = self.envs.get(seed)
        row = -1 if part is None else part.row[arch_id]
        if row < 0 or part is None:
            return None
        return {name: part.table.columns[name][row] for name in ENVIRONMENT}

    def many(
        self, names: Sequence[str], arch_ids: Ids, seed: int, epoch: int
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Results, measures at an epoch, costs and latencies of many architectures; NaN for none."""
        return {name: self._many(name, arch_ids, seed, epoch) for name in names}

    def _many(self, name: str, arch_ids: Ids, seed: int, epoch: int) -> npt.NDArray[np.float64]:
        if name.partition(":")[0] == LATENCY.name:
            part, name = self.latencies[name.partition(":")[2]], LATENCY.name
        elif name in COSTS and self.costs is not None:
            part = self.costs
        else:
            part = self.training[seed][name]
        if not len(part.table):
            return np.full(len(arch_ids), np.nan)
        rows, stored = part.rows[arch_ids], part.table.columns[name]
        values = stored[rows, epoch - 1] if stored.ndim == 2 else stored[rows]
        if stored.dtype == np.int32:
            values = to_floats(values, measure_of(name).scale)
        return np.where(rows < 0, np.nan, values)

    def many_best(
        self, name: str, arch_ids: Ids, seed: int, first: int, last: int
    ) -> npt.NDArray[np.float64]:
        """The best of a measure in some epochs, of many architectures; NaN where there is none."""
        part = self.training[seed][name]
        if not len(part.table):
            return np.full(len(arch_ids), np.nan)
        rows, stored = part.rows[arch_ids], part.table.columns[name]
        best = _best(stored[rows, first - 1 : last], EPOCH[name], axis=1)
        return np.where(rows < 0, np.nan, best)


def read_folder(
    folder: str | PathLike[str],
    *,
    extended: bool,
    seeds: Seeds,
    devices: Devices,
    info: bool,
    env: bool,
    preferred_ext: str | Iterable[str] | None,
    validate: bool,
) -> FolderSource:
    """The tables of a folder that are asked for; `bloxdb.from_folder` says what each parameter means."""
    with steady([folder]) as check:
        files = _Files(expanded(folder), _preferred(preferred_ext))
        for sentence in files.left_out:
            warn.caller(f"{files.folder}: {sentence}")
        parts = _chosen_parts(files, extended, seeds, devices, info, env)
        check()
    return source_of(parts, validate)


def _chosen_parts(
    files: _Files, extended: bool, seeds: Seeds, devices: Devices, info: bool, env: bool
) -> list[Part]:
    """The tables that are asked for."""
    chosen_seeds = files.chosen("base-", listed_seeds(seeds), int)
    chosen_devices = files.chosen("bench-", wanted_devices(devices), from_name)
    stems = [f"blox-base-{seed}" for seed in chosen_seeds]
    stems += [f"blox-ext-{seed}" for seed in chosen_seeds if extended]
    stems += [f"blox-env-{seed}" for seed in chosen_seeds if env]
    stems += [f"blox-bench-{as_name(device)}" for device in chosen_devices]
    stems += ["blox-info"] if info else []
    return list(files.read(stems).values())


def wanted_devices(devices: Devices) -> list[str] | None:
    """The names that are wanted, each once: none for False, all that there are (None) for None and True."""
    if devices is None:
        return None
    if isinstance(devices, bool | np.bool_):
        return None if devices else []
    return names(devices, "devices", also=", or False for none")


def _preferred(extensions: str | Iterable[str] | None) -> list[str]:
    """The formats that may be read, the preferred one first."""
    if extensions is None:
        return list(codecs.FORMATS)
    known = ", ".join(codecs.FORMATS)
    given = names(extensions, "formats in preferred_ext", also=f", of: {known}")
    if not given:
        raise QueryError(f"preferred_ext names no format, so that no file could be read; choose of: {known}")
    for one in given:
        if one.removeprefix(".") not in codecs.FORMATS:
            raise QueryError(f"there is no format {spelled(one)}; choose of: {known}")
    return list(dict.fromkeys(one.removeprefix(".") for one in given))


def by_stem(tables: Iterable[Part]) -> dict[str, Part]:
    """The tables of release files, each by the name that it should have; no two may be the same."""
    parts: dict[str, Part] = {}
    for part in tables:
        stem = part.table.header.stem
        if stem in parts:
            raise ReleaseError(f"{parts[stem].source} and {part.source} are both {stem}; name one of them")
        parts[stem] = part
    return parts


def source_of(tables: Iterable[Part], validate: bool) -> FolderSource:
    """The tables of release files, sorted by what each is; `ReleaseError` if they do not belong together."""
    parts = by_stem(tables)
    heads = {stem: part.table.header for stem, part in parts.items()}
    seeds = [head.seed or 0 for head in heads.values() if head.part == "base"]
    if not seeds:
        raise ReleaseError("there is no base file, so no run")
    if validate:
        check_agreement({Path(part.source): part.table.header for part in parts.values()})
        check_cover({stem: part.ids for stem, part in parts.items()}, seeds)
    training: dict[int, dict[str, Part]] = {}
    columns = list(heads[f"blox-base-{seeds[0]}"].columns)
    extended = any(head.part == "ext" for head in heads.values())
    for seed in seeds:
        base = parts[f"blox-base-{seed}"]
        training[seed] = dict.fromkeys(base.table.header.columns, base)
        if extended:
            if f"blox-ext-{seed}" not in parts:
                raise ReleaseError(f"there is an ext file, but none of seed {seed}")
            ext = parts[f"blox-ext-{seed}"]
            names = [name for name in ext.table.header.columns if name not in training[seed]]
            training[seed] |= dict.fromkeys(names, ext)
            columns += [name for name in names if name not in columns]
    first = heads[f"blox-base-{seeds[0]}"]
    return FolderSource(
        dataset=first.dataset or "",
        epochs=first.epochs or 0,
        seeds=seeds,
        devices=[head.device or "" for head in heads.values() if head.dataset_type == "benchmarking"],
        columns=columns,
        training=training,
        envs={head.seed or 0: parts[stem] for stem, head in heads.items() if head.dataset_type == "env"},
        latencies={head.device or "": parts[stem] for stem, head in heads.items() if head.device},
        costs=parts.get("blox-info"),
    )


class _Files:
    """The files of a folder, of each the preferred format that it is there in."""

    def __init__(self, folder: Path, formats: Sequence[str]) -> None:
        self.folder = folder
        self.left_out = left_out([folder], results=False)
        self._endings = ", ".join(f".{name}" for name in formats)
        self._paths: dict[str, Path] = {}
        for stem, there in release_files(folder).items():
            taken = next((there[name] for name in formats if name in there), None)
            if taken is not None:  # a format that is not asked for is never read
                self._paths[stem] = taken

    def path(self, stem: str) -> Path:
        """The file of a stem; `ReleaseError` if there is none."""
        if stem not in self._paths:
            there = ", ".join(self._paths) or "none"
            raise ReleaseError(
                f"{self.folder} has no {stem} in {self._endings}; of these it has: {there}{self._others()}"
            )
        return self._paths[stem]

    def chosen(self, kind: str, wanted: Iterable[Any] | None, convert: Any) -> list[Any]:
        """Seeds or devices that are wanted, or all that there are, in order."""
        prefix = f"blox-{kind}"
        there = sorted(convert(stem[len(prefix) :]) for stem in self._paths if stem.startswith(prefix))
        chosen = there if wanted is None else list(dict.fromkeys(wanted))
        what = "seed" if kind == "base-" else "device"
        for one in chosen:
            if one not in there:
                known = ", ".join(map(str, there)) or "none"
                raise QueryError(
                    f"{self.folder} has no {what} {spelled(one)}; choose of: {known}{self._others()}"
                )
        if what == "seed" and not there:
            raise ReleaseError(
                f"{self.folder} has no base file in {self._endings}, so no run{self._others()}"
            )
        return chosen

    def _others(self) -> str:
        return "".join(f"; {sentence}" for sentence in self.left_out)

    def read(self, stems: Sequence[str]) -> dict[str, Part]:
        """The tables, two files at once: while a stream is inflated, another file's rows are unpacked."""
        paths = {stem: self.path(stem) for stem in stems}
        with ThreadPoolExecutor(2) as pool:
            parts = {stem: pool.submit(_read_part, path) for stem, path in paths.items()}
            try:
                return {stem: part.result() for stem, part in parts.items()}
            except BaseException:
                pool.shutdown(cancel_futures=True)  # one damaged file is enough to be told
                raise


def _read_part(path: Path) -> Part:
    table = codecs.read(check_packings(path))
    check_name(path, table.header)
    return Part(table, str(path))
