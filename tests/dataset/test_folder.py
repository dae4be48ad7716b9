"""Which files of a folder a data set loads, and which it refuses."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bloxdb
from bloxdb import codecs, compat
from bloxdb.codecs import Table
from bloxdb.dataset import from_folder
from tests.dataset.helpers import SMALL
from tests.helpers import SEEDS


def test_without_the_extension_its_queries_are_refused(golden: Path) -> None:
    data = from_folder(golden / SMALL)
    assert not data.is_extended
    assert data.val_acc(next(iter(data))) is not None
    for method in ("train_acc", "train_top5", "val_top5", "train_loss", "val_loss", "test_top5", "test_loss"):
        with pytest.raises(ValueError, match="load with extended=True"):
            getattr(data, method)(0)
    with pytest.raises(ValueError, match="include_static_info=True"):
        data.flops(0)
    with pytest.raises(ValueError, match="was not loaded"):
        data.full_info(next(iter(data)), include_env_info=True)


def test_seeds_devices_and_formats_can_be_chosen(golden: Path, tmp_path: Path) -> None:
    data = from_folder(golden / SMALL, seeds=[1], devices=["jetson-nano"], preferred_ext="csv")
    assert (data.seeds, data.devices) == ([1], ["jetson-nano"])
    with pytest.raises(ValueError, match="has no seed 3; choose of: 0, 1"):
        from_folder(golden / SMALL, seeds=[3])
    with pytest.raises(ValueError, match="seeds names no seed; give one, several, or None for all"):
        from_folder(golden / SMALL, seeds=[])
    for wrong in (5, [["desktop-cpu"]]):
        with pytest.raises(ValueError, match="devices are a name, or several, or False for none"):
            from_folder(golden / SMALL, devices=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no device 'phone'; choose of: desktop-cpu"):
        from_folder(golden / SMALL, devices=["phone"])
    with pytest.raises(ValueError, match="no format 'zip'; choose of: blox, pickle, csv"):
        from_folder(golden / SMALL, preferred_ext="zip")
    for name in ("blox-base-0.pickle", "blox-bench-desktop-cpu.csv", "blox-info.blox"):
        shutil.copy(golden / SMALL / name, tmp_path)
    mixed = from_folder(tmp_path, include_static_info=True)
    assert (mixed.seeds, mixed.devices, len(mixed)) == ([0], ["desktop-cpu"], 60)
    with pytest.raises(
        bloxdb.ReleaseError, match="has no blox-ext-0 in .blox, .pickle, .csv; of these it has: blox-base-0"
    ):
        from_folder(tmp_path, extended=True)


@pytest.mark.parametrize("preferred", ["blox", "pickle", "csv"])
def test_the_preferred_format_is_the_one_that_is_read(golden: Path, tmp_path: Path, preferred: str) -> None:
    for path in (golden / SMALL).glob("blox-base-0.*"):
        shutil.copy(path, tmp_path)
    for name in codecs.FORMATS:
        if name != preferred:
            (tmp_path / f"blox-base-0.{name}").write_bytes(b"damaged")
    others = [name for name in codecs.FORMATS if name != preferred]
    for spelling in (preferred, f".{preferred}", [preferred], (f".{preferred}", *others), [preferred] * 2):
        assert len(from_folder(tmp_path, preferred_ext=spelling)) == 60
    for first in others:
        with pytest.raises(bloxdb.BloxFormatError):
            from_folder(tmp_path, preferred_ext=[first, preferred])


@pytest.mark.parametrize("there", codecs.FORMATS)
def test_a_format_that_is_not_asked_for_is_never_read(golden: Path, tmp_path: Path, there: str) -> None:
    for stem in ("blox-base-0", "blox-base-1", "blox-bench-desktop-cpu", "blox-info"):
        shutil.copy(golden / SMALL / f"{stem}.{there}", tmp_path)
    (other,) = {"blox", "csv"} - {there} if there != "pickle" else {"blox"}
    with pytest.raises(bloxdb.ReleaseError, match=f"has no base file in .{other}, so no run"):
        from_folder(tmp_path, preferred_ext=other)
    shutil.copy(golden / SMALL / f"blox-base-1.{other}", tmp_path)
    data = from_folder(tmp_path, preferred_ext=[other])
    assert (data.seeds, data.devices) == ([1], [])
    with pytest.raises(ValueError, match="has no seed 0; choose of: 1"):
        from_folder(tmp_path, seeds=0, preferred_ext=[other])
    with pytest.raises(
        bloxdb.ReleaseError, match=f"has no blox-info in .{other}; of these it has: blox-base-1"
    ):
        from_folder(tmp_path, include_static_info=True, preferred_ext=other)


@pytest.mark.parametrize(
    "wrong", [[], (), "", ".", "zip", "blox.csv", "..csv", ["blox", "zip"], [None], [1], 5, True]
)
def test_formats_that_are_none_are_refused_with_the_choices(golden: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="of: blox, pickle, csv"):
        from_folder(golden / SMALL, preferred_ext=wrong)


def test_devices_can_be_left_out(golden: Path) -> None:
    for nothing in (False, []):
        without = from_folder(golden / SMALL, devices=nothing)
        key = next(iter(without))
        assert (without.devices, without.latency(key)) == ([], [])
        assert not {"desktop-cpu", "jetson-nano"} & set(without.full_info(key) or {})
    for everything in (None, True, ("desktop-cpu", "jetson-nano")):
        data = from_folder(golden / SMALL, devices=everything)
        assert data.devices == ["desktop-cpu", "jetson-nano"]
        assert not {"desktop-cpu", "jetson-nano"} & set(data.full_info(key, devices=False) or {})


def test_files_that_do_not_belong_together_are_refused(golden: Path, tmp_path: Path) -> None:
    for name in ("blox-base-0.blox", "blox-ext-0.blox"):
        shutil.copy(golden / SMALL / name, tmp_path)
    base = codecs.read(tmp_path / "blox-base-0.blox")
    codecs.write(base.take(np.arange(30)), tmp_path / "blox-base-0.blox")
    with pytest.raises(bloxdb.ReleaseError, match="which blox-base-0 lacks"):
        from_folder(tmp_path, extended=True)
    assert len(from_folder(tmp_path, extended=True, validate_data=False)) == 30


@pytest.mark.parametrize("spelling", SEEDS.values(), ids=SEEDS)
def test_seeds_of_a_folder_can_be_written_in_many_ways(golden: Path, spelling: Callable[[int], Any]) -> None:
    data = from_folder(golden / SMALL, seeds=spelling(1))
    assert (data.seeds, len(data)) == ([1], 60)
    key = next(iter(data))
    assert data.test_acc(key) == from_folder(golden / SMALL).test_acc(key, seed=1)


def test_a_folder_without_a_base_file_is_refused(golden: Path, tmp_path: Path) -> None:
    shutil.copy(golden / SMALL / "blox-info.blox", tmp_path)
    with pytest.raises(bloxdb.ReleaseError, match="has no base file in .blox, .pickle, .csv, so no run"):
        from_folder(tmp_path)
    with pytest.raises(bloxdb.QueryError, match="has no seed 0; choose of: none"):
        from_folder(tmp_path, seeds=0)


@pytest.mark.parametrize("kind", ["ext", "env"])
def test_files_that_extend_one_base_are_held_against_it_alone(
    golden: Path, tmp_path: Path, kind: str
) -> None:
    for seed in (0, 1):
        for part in ("base", kind):
            table = codecs.read(golden / SMALL / f"blox-{part}-{seed}.blox").sorted()
            rows = np.arange(30) if (part, seed) == ("base", 1) else np.arange(len(table))
            codecs.write(table.take(rows), tmp_path / f"blox-{part}-{seed}.blox")
    options = {"ext": {"extended": True}, "env": {"include_env_info": True}}[kind]
    assert len(from_folder(tmp_path, seeds=0, **options)) == 60
    with (
        pytest.warns(UserWarning, match="blox-base-1 lacks 30 of 60 architectures that another seed has"),
        pytest.raises(
            bloxdb.ReleaseError, match=f"blox-{kind}-1 has architecture .*, which blox-base-1 lacks"
        ),
    ):
        from_folder(tmp_path, **options)


def test_a_pickle_has_the_values_and_little_else(golden: Path) -> None:
    data = from_folder(golden / SMALL, extended=True, include_static_info=True, include_env_info=True)
    key = next(iter(data))
    data.val_acc(key, seed=0)
    sent = pickle.dumps(data)
    assert len(sent) < 1_000_000
    again = pickle.loads(sent)
    assert again.full_info(key, seed=1) == data.full_info(key, seed=1)
    assert [again.rng.random() for _ in range(3)] == [data.rng.random() for _ in range(3)]


def test_every_warning_points_at_the_line_of_the_caller(golden: Path, tmp_path: Path) -> None:
    shutil.copy(golden / SMALL / "blox-base-0.csv", tmp_path)
    table = codecs.read(golden / SMALL / "blox-base-1.csv")
    codecs.write(Table.from_rows(table.header, table.rows()[:20]), tmp_path / "blox-base-1.csv")
    (tmp_path / "blox-env-0.blox.part").write_bytes(b"")
    files = [tmp_path / "blox-base-0.csv", tmp_path / "blox-base-1.csv"]
    for entry, warned in (
        (lambda: from_folder(tmp_path), 2),
        (lambda: compat.dataset.from_folder(str(tmp_path)), 2),
        (lambda: compat.Dataset(files, validate_data=True), 1),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            entry()
        assert [one.filename for one in told] == [__file__] * warned


@pytest.mark.parametrize("kind", ["bench", "base"])
def test_a_file_without_rows_has_no_values(kind: str, golden: Path, tmp_path: Path) -> None:
    shutil.copy(golden / SMALL / "blox-base-0.csv", tmp_path)
    stem = {"bench": "blox-bench-desktop-cpu", "base": "blox-base-0"}[kind]
    header = codecs.read_header(golden / SMALL / f"{stem}.csv")
    codecs.write(Table.from_rows(header, []), tmp_path / f"{stem}.csv")
    found = from_folder(tmp_path)
    column = {"bench": "latency:desktop-cpu", "base": "val_top1"}[kind]
    for options in ({}, {"epoch": 3, "best": True}, {"epoch": 3, "best": False}):
        if kind != "base" and options:
            continue
        rows = found.table([1, 2], [column], **options)[column]
        assert rows.shape == (2,)
        assert np.isnan(rows).all()


def changed(path: Path, target: Path, column: str, change: Callable[[Any], Any]) -> None:
    """A release file with other values in a column."""
    table = codecs.read(path)
    codecs.write(Table(table.header, {**table.columns, column: change(table.values(column).copy())}), target)


def with_negative_zeros(values: Any) -> Any:
    values = values.astype(float)
    values.reshape(len(values), -1)[:, -1] = -0.0
    return values


NEGATIVE = [
    *(("blox-base-0", name) for name in ("val_top1", "test_top1")),
    *(("blox-ext-0", name) for name in ("train_loss", "val_loss", "test_loss", "train_top5")),
    ("blox-bench-desktop-cpu", "latency"),
]


@pytest.mark.parametrize("format", ["csv", "pickle"])
@pytest.mark.parametrize(("stem", "column"), NEGATIVE)
def test_zero_is_one_number_over_a_folder_and_over_a_database(
    stem: str, column: str, format: str, golden: Path, tmp_path: Path, empty_db: bloxdb.Database
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    for name in ("blox-base-0", "blox-ext-0", "blox-bench-desktop-cpu"):
        shutil.copy(golden / SMALL / f"{name}.{format}", release)
    path = release / f"{stem}.{format}"
    changed(path, path, column, with_negative_zeros)
    read = codecs.read(path).values(column).reshape(60, -1)[:, -1]
    assert np.all(read == 0)
    assert np.all(np.signbit(read)), "a file keeps it"
    bloxdb.import_release(release, empty_db)
    asked = "latency:desktop-cpu" if column == "latency" else column
    answers = []
    for data in (from_folder(release, extended=True), bloxdb.from_database(empty_db)):
        values = data.table(columns=[asked])[asked]
        one = data.full_info(next(iter(data)), include_static_info=False, include_env_info=False)
        answers.append((values.tolist(), np.signbit(values).any(), repr(one)))
    assert answers[0] == answers[1]
    assert not answers[0][1]
    back = tmp_path / "back"
    bloxdb.export_release(back, empty_db, format=format)
    assert codecs.read(path).sorted().difference(codecs.read(back / path.name).sorted()) is None


def test_costs_of_what_has_no_run_are_computed(
    golden: Path, tiny_db: bloxdb.Database, tmp_path: Path
) -> None:
    bloxdb.export_release(tmp_path / "out", tiny_db)
    folder, database = from_folder(tmp_path / "out", include_static_info=True), bloxdb.from_database(tiny_db)
    there = set(database.table()["arch_id"].tolist())
    archs = [*sorted(there)[:3], *(arch for arch in (0, 405, 91_124) if arch not in there)]
    assert len(archs) > 3
    for arch in archs:
        assert (folder.flops(arch), folder.params(arch)) == (database.flops(arch), database.params(arch))
    costs = ["flops", "params"]
    tables = [data.table(archs, costs) for data in (folder, database)]
    assert all(np.array_equal(tables[0][name], tables[1][name]) for name in costs)
    original = compat.from_folder(tmp_path / "out", include_static_info=True)
    assert original.flops(archs[-1]) is None
    assert original.flops(archs[0]) == folder.flops(archs[0])


def test_costs_that_a_release_says_are_not_computed(golden: Path, tmp_path: Path) -> None:
    shutil.copy(golden / SMALL / "blox-base-0.csv", tmp_path)
    changed(golden / SMALL / "blox-info.csv", tmp_path / "blox-info.csv", "flops", lambda values: values + 1)
    data = from_folder(tmp_path, include_static_info=True)
    for arch in list(data)[:3]:
        index = bloxdb.arch_index(arch)
        assert data.flops(arch) == bloxdb.space.arch_cost(index).flops + 1
        assert data.full_info(arch)["info"]["flops"] == data.flops(arch)
    assert data.table(columns=["flops"])["flops"][0] % 1 == 0
