"""Every method against values computed straight from the rows of the golden release."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bloxdb
import bloxdb.compat as blox
from bloxdb import Database, codecs, space
from bloxdb.dataset import Dataset, from_folder

SMALL = "release-small"
EPOCHS = 200
CURVES = {
    "val_acc": ("val_top1", True, max),
    "train_acc": ("train_top1", True, max),
    "train_top5": ("train_top5", True, max),
    "val_top5": ("val_top5", True, max),
    "train_loss": ("train_loss", False, min),
    "val_loss": ("val_loss", False, min),
}
RESULTS = {"test_acc": "test_top1", "test_top5": "test_top5", "test_loss": "test_loss"}
NOT_THERE = [[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 1]]]


def rows_of(folder: Path, stem: str) -> dict[str, dict[str, Any]]:
    """A file's rows by hash, read by the pickle codec."""
    table = codecs.read(folder / f"{stem}.pickle")
    return {row[0]: dict(zip(table.header.columns, row, strict=True)) for row in table.rows()}


@pytest.fixture(scope="module")
def truth(golden: Path) -> dict[int, dict[str, dict[str, Any]]]:
    """By seed and hash, base and ext together."""
    folder = golden / SMALL
    found = {}
    for seed in (0, 1):
        base, ext = (rows_of(folder, f"blox-{part}-{seed}") for part in ("base", "ext"))
        found[seed] = {key: {**row, **ext[key]} for key, row in base.items()}
    return found


@pytest.fixture(scope="module")
def small_db(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Iterator[Database]:
    """A database with release-small."""
    path = Path(shutil.copy(empty_file, tmp_path_factory.mktemp("small") / "small.db"))
    with bloxdb.open(path) as db:
        bloxdb.import_release(golden / SMALL, db)
        yield db


@pytest.fixture(scope="module", params=["folder", "database"])
def dataset(request: pytest.FixtureRequest, golden: Path, small_db: Database) -> Dataset:
    """The same release from its files and from a database."""
    if request.param == "database":
        return bloxdb.from_database(small_db)
    return from_folder(golden / SMALL, extended=True, include_static_info=True, include_env_info=True)


@pytest.mark.parametrize("method", list(CURVES))
def test_measures_of_epochs(dataset: Dataset, truth: dict[int, Any], method: str) -> None:
    name, best_by_default, best_of = CURVES[method]
    ask = getattr(dataset, method)
    for seed, rows in truth.items():
        for key, row in list(rows.items())[:12]:
            values = row[name]
            for epoch in (1, 2, 57, EPOCHS, None):
                last = EPOCHS if epoch is None else epoch
                assert ask(key, epoch=epoch, best=True, seed=seed) == best_of(values[:last])
                assert ask(key, epoch=epoch, best=False, seed=seed) == values[last - 1]
            default = best_of(values) if best_by_default else values[-1]
            assert ask(key, seed=seed) == default


@pytest.mark.parametrize("method", list(RESULTS))
def test_results(dataset: Dataset, truth: dict[int, Any], method: str) -> None:
    for seed, rows in truth.items():
        for key, row in rows.items():
            assert getattr(dataset, method)(key, seed=seed) == row[RESULTS[method]]


def test_training_time_is_linear_in_epochs(dataset: Dataset, truth: dict[int, Any]) -> None:
    for key, row in truth[1].items():
        assert dataset.train_time(key, seed=1) == row["train_time_s"]
        assert dataset.train_time(key, epoch=50, seed=1) == pytest.approx(row["train_time_s"] / 4)


def test_costs_vectors_latencies_and_environments(dataset: Dataset, golden: Path) -> None:
    info, env = rows_of(golden / SMALL, "blox-info"), rows_of(golden / SMALL, "blox-env-0")
    latencies = {name: rows_of(golden / SMALL, f"blox-bench-{name}") for name in dataset.devices}
    assert list(latencies) == ["desktop-cpu", "jetson-nano"]
    for key, row in info.items():
        assert (dataset.flops(key), dataset.params(key), dataset.arch_vec(key)) == (
            row["flops"],
            row["params"],
            row["arch_vec"],
        )
        expected = {name: rows[key]["latency"] for name, rows in latencies.items()}
        assert dataset.latency(key, return_dict=True) == expected
        assert dataset.latency(key) == list(expected.values())
        assert dataset.latency(key, "jetson-nano") == expected["jetson-nano"]
        assert dataset.latency(key, ["jetson-nano"]) == [expected["jetson-nano"]]
        full = dataset.full_info(key, seed=0)
        assert isinstance(full, dict)
        assert {"model_hash": key, **full["env"]} == env[key]
        assert {"model_hash": key, **full["info"]} == row


def test_full_info_has_all_columns(dataset: Dataset, truth: dict[int, Any]) -> None:
    for seed, rows in truth.items():
        for key, row in list(rows.items())[:9]:
            full = dataset.full_info(key, seed=seed)
            assert isinstance(full, dict)
            assert {name: full[name] for name in row} == row
            assert set(full) - set(row) == {"seed", "desktop-cpu", "jetson-nano", "info", "env"}
            assert full["seed"] == seed
            assert dataset.full_info_by_graph(key, seed=seed) == full
            assert dataset.full_info(key, seed=seed, return_dict=False) == list(full.values())
            less = dataset.full_info(
                key, seed=seed, devices=["desktop-cpu"], include_static_info=False, include_env_info=False
            )
            assert set(less) == {*row, "seed", "desktop-cpu"}  # type: ignore[arg-type]


def test_all_spellings_of_an_architecture_find_it(dataset: Dataset, truth: dict[int, Any]) -> None:
    key = next(iter(truth[0]))
    vec = dataset.arch_vec(key)
    assert vec is not None
    expected = truth[0][key]["test_top1"]
    flat = [number for cell in vec for part in cell for number in part]
    spellings = [vec, flat, np.array(flat), space.vec_text(vec), key, key.upper(), space.arch_index(vec)]
    swapped = [[[cell[1][0]], [cell[0][0], 0, 1, 1]] if cell[1][1:] == [0, 1, 1] else cell for cell in vec]
    for arch in [*spellings, swapped, tuple(map(tuple, vec))]:
        assert dataset.test_acc(arch, seed=0) == expected
        assert arch in dataset


def test_an_architecture_without_a_run_gives_none(dataset: Dataset, truth: dict[int, Any]) -> None:
    assert bloxdb.model_hash(NOT_THERE) not in truth[0]
    assert NOT_THERE not in dataset
    assert "0" * 32 not in dataset
    for method in (*CURVES, *RESULTS, "train_time", "full_info"):
        assert getattr(dataset, method)(NOT_THERE) is None, method
        assert getattr(dataset, method)("0" * 32) is None, method
    assert dataset.latency(NOT_THERE, "desktop-cpu") is None
    with pytest.raises(KeyError):
        dataset[bloxdb.model_hash(NOT_THERE)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.val_acc([[[3], [0, 1, 0, 0]]] * 3), r"op1 of cell 1 of 3 must be in 0 … 2, not 3"),
        (lambda d: d.test_acc("not a vector"), "not an architecture vector"),
        (lambda d: d.test_acc(True), "is a list like"),
        (lambda d: d.test_acc(0, seed=7), "seed 7 is not loaded; choose of: 0, 1"),
        (lambda d: d.val_acc(0, epoch=0), "epochs are in 1 … 200, not 0"),
        (lambda d: d.val_acc(0, epoch=201), "not 201"),
        (lambda d: d.latency(0, "phone"), "'phone' are not loaded; choose of: desktop-cpu, jetson-nano"),
        (lambda d: d.table(columns=["top1"]), "there is no column 'top1'"),
    ],
)
def test_what_is_wrong_is_a_value_error_with_the_choices(dataset: Dataset, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(dataset)


def test_it_counts_and_iterates_its_architectures(dataset: Dataset, truth: dict[int, Any]) -> None:
    assert len(dataset) == len(truth[0]) == 60
    assert set(dataset) == set(truth[0])
    key = next(iter(dataset))
    assert dataset[key]["model_hash"] == key


def test_its_properties_are_those_of_the_headers(dataset: Dataset) -> None:
    assert (dataset.version, dataset.epochs, dataset.dataset) == (1, 200, "cifar100")
    assert (dataset.ops, dataset.nodes, dataset.stages) == (["conv", "mbconv", "bconv"], 2, 3)
    assert dataset.search_space["shape"] == [[[3], [3, 2, 2, 2]]] * 3
    assert (dataset.seeds, dataset.is_extended) == ([0, 1], True)
    assert set(dataset.columns) == {*codecs.columns.BASE, *codecs.columns.EXT}


def test_without_a_seed_one_is_drawn_from_a_generator_of_its_own(
    dataset: Dataset, truth: dict[int, Any]
) -> None:
    key = next(iter(truth[0]))
    before = random.getstate()
    dataset.rng = random.Random(5)
    drawn = [dataset.test_acc(key) for _ in range(30)]
    dataset.rng = random.Random(5)
    assert [dataset.test_acc(key) for _ in range(30)] == drawn
    assert set(drawn) == {truth[seed][key]["test_top1"] for seed in (0, 1)}
    assert random.getstate() == before


def test_tables_have_the_same_values(dataset: Dataset, truth: dict[int, Any]) -> None:
    columns = ["val_top1", "val_loss", "test_top1", "train_time_s"]
    table = dataset.table(columns=columns, epoch=33, seed=1)
    assert len(table["arch_id"]) == 60
    for place, index in enumerate(table["arch_id"].tolist()):
        row = truth[1][bloxdb.model_hash(space.arch_vec(index))]
        assert table["val_top1"][place] == row["val_top1"][32]
        assert table["val_loss"][place] == row["val_loss"][32]
        assert table["test_top1"][place] == row["test_top1"]
        assert table["train_time_s"][place] == row["train_time_s"]
    some = dataset.table([NOT_THERE, int(table["arch_id"][3])], ["test_top1"], seed=1)
    assert np.isnan(some["test_top1"][0])
    assert some["test_top1"][1] == table["test_top1"][3]


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
    with pytest.raises(ValueError, match="has no device 'phone'; choose of: desktop-cpu"):
        from_folder(golden / SMALL, devices=["phone"])
    with pytest.raises(ValueError, match="choose one of: blox, pickle, csv"):
        from_folder(golden / SMALL, preferred_ext="zip")
    for name in ("blox-base-0.pickle", "blox-bench-desktop-cpu.csv", "blox-info.blox"):
        shutil.copy(golden / SMALL / name, tmp_path)
    mixed = from_folder(tmp_path, include_static_info=True)
    assert (mixed.seeds, mixed.devices, len(mixed)) == ([0], ["desktop-cpu"], 60)
    with pytest.raises(bloxdb.ReleaseError, match="has no blox-ext-0; it has"):
        from_folder(tmp_path, extended=True)


@pytest.mark.parametrize("preferred", ["blox", "pickle", "csv"])
def test_the_preferred_format_is_the_one_that_is_read(golden: Path, tmp_path: Path, preferred: str) -> None:
    for path in (golden / SMALL).glob("blox-base-0.*"):
        shutil.copy(path, tmp_path)
    for name in codecs.FORMATS:
        if name != preferred:
            (tmp_path / f"blox-base-0.{name}").write_bytes(b"damaged")
    assert len(from_folder(tmp_path, preferred_ext=preferred)) == 60


def test_files_that_do_not_belong_together_are_refused(golden: Path, tmp_path: Path) -> None:
    for name in ("blox-base-0.blox", "blox-ext-0.blox"):
        shutil.copy(golden / SMALL / name, tmp_path)
    base = codecs.read(tmp_path / "blox-base-0.blox")
    codecs.write(base.take(np.arange(30)), tmp_path / "blox-base-0.blox")
    with pytest.raises(bloxdb.ReleaseError, match="which blox-base-0 lacks"):
        from_folder(tmp_path, extended=True)
    assert len(from_folder(tmp_path, extended=True, validate_data=False)) == 30


def test_a_database_with_several_recipes_needs_the_name(small_db: Database) -> None:
    with pytest.raises(ValueError, match="there is no recipe 'x'; choose one of: cifar100-200"):
        bloxdb.from_database(small_db, recipe="x")
    with pytest.raises(ValueError, match="no run of recipe cifar100-200 with seed 9; choose of: 0, 1"):
        bloxdb.from_database(small_db, seeds=[9])
    assert bloxdb.from_database(small_db, recipe="cifar100-200", seeds=1).seeds == [1]


def test_single_files(golden: Path) -> None:
    folder = golden / SMALL
    info = blox.StaticInfoDataset(folder / "blox-info.csv")
    env = blox.EnvInfoDataset(folder / "blox-env-1.blox")
    bench = blox.BenchmarkingDataset(folder / "blox-bench-desktop-cpu.pickle")
    assert (len(info), len(env), len(bench)) == (60, 60, 60)
    assert (env.seed, bench.device) == (1, "desktop-cpu")
    for key, row in rows_of(folder, "blox-info").items():
        assert {"model_hash": key, **info[key]} == row
        assert key in bench
    for key, row in rows_of(folder, "blox-env-1").items():
        assert {"model_hash": key, **env[key]} == row
    for key, row in rows_of(folder, "blox-bench-desktop-cpu").items():
        assert (
            bench[key] == bench.latency(space.arch_vec(space.all_model_hashes().index(key))) == row["latency"]
        )
    assert info.flops(NOT_THERE) is None
    assert NOT_THERE not in env
    for made in (info, env, bench):
        with pytest.raises(KeyError):
            made[NOT_THERE]
    with pytest.raises(ValueError, match="a file of kind 'env', not 'static'"):
        blox.StaticInfoDataset(folder / "blox-env-1.blox")


def test_the_search_space_under_the_original_names() -> None:
    names = blox.search_space
    assert names.get_search_space()["ops"] == ["conv", "mbconv", "bconv"]
    assert names.get_model_hash([0, 0, 1, 0, 0] * 3) == bloxdb.model_hash([0, 0, 1, 0, 0] * 3)
    assert names.get_model_hash([[[0], [0, 0, 0, 0]]] * 3) is None
    assert sum(1 for _ in names.get_all_architectures()) == 63**3
    unique = list(names.get_unique_architectures())
    assert len(unique) == space.NUM_ARCHS
    assert unique[4711] == space.arch_vec(4711)
    drawn = names.get_random_architectures(50, seed=3)
    assert drawn == names.get_random_architectures(50, seed=3)
    assert len({space.arch_index(vec) for vec in drawn}) == 50
    assert names.arch_vec_to_names([[[0], [1, 1, 0, 0]]] * 3) == [[["conv"], ["mbconv", 1, 0, 0]]] * 3


def test_a_file_is_read_to_header_and_rows(golden: Path) -> None:
    header, rows = blox.io.read_dataset_file(golden / SMALL / "blox-base-1.blox")
    assert (header["seed"], header["epochs"], header["columns"][0]) == (1, 200, "model_hash")
    assert header["search_space"]["nodes"] == 2
    assert rows == codecs.read(golden / SMALL / "blox-base-1.csv").rows()


SCRIPT = """
import sys
import bloxdb.compat as blox

dataset = blox.from_folder(sys.argv[1], extended=True, include_static_info=True)
print(len(dataset), dataset.dataset, dataset.epochs, dataset.ops)
arch = [[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]]
for model_hash in list(dataset)[:3]:
    info = dataset.full_info(model_hash, seed=0)
    arch = info["info"]["arch_vec"]
    assert blox.search_space.get_model_hash(arch) == model_hash
    print(dataset.test_acc(arch, seed=0), dataset.val_acc(arch, epoch=10, seed=0), dataset.flops(arch))
    assert dataset.latency(arch, devices="desktop-cpu") == info["desktop-cpu"]["latency"]
"""


def test_a_script_in_the_style_of_the_original_runs_with_another_import(golden: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(golden / SMALL)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "60 cifar100 200 ['conv', 'mbconv', 'bconv']"
    assert len(lines) == 4
