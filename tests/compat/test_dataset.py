"""`compat.Dataset`: the original's shapes over folders, files and databases."""

from __future__ import annotations

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
from bloxdb import codecs
from bloxdb.db import Database
from bloxdb.errors import BloxFormatError, InvalidArchError, QueryError, ReleaseError
from tests.compat.test_infos import NO_PATH
from tests.dataset.helpers import NOT_THERE, SMALL, rows_of

WHOLE = {"extended": True, "include_static_info": True, "include_env_info": True}


@pytest.fixture(scope="module")
def filled(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with bloxdb.create(tmp_path_factory.mktemp("compat") / "small.db", current=False) as db:
        bloxdb.import_release(golden / SMALL, db)
        yield db


@pytest.fixture(params=["folder", "database"])
def dataset(request: pytest.FixtureRequest, golden: Path, filled: Database) -> blox.Dataset:
    if request.param == "folder":
        return blox.from_folder(golden / SMALL, **WHOLE)
    return blox.from_database(filled)


def test_iteration_gives_what_a_hash_gives(dataset: blox.Dataset, golden: Path) -> None:
    base, bench = rows_of(golden / SMALL, "blox-base-1"), rows_of(golden / SMALL, "blox-bench-desktop-cpu")
    rows = list(dataset)
    assert len(rows) == len(dataset) == 60
    for row in rows:
        key, runs, static, latencies, environments = row
        assert row == dataset[key]
        assert len(runs) == len(environments) == 2
        assert runs[1][0] == base[key]["val_top1"]
        assert latencies[0] == [bench[key]["latency"]]
        assert static == [[dataset.params(key), dataset.flops(key), dataset.arch_vec(key)]]


def test_files_and_a_database_give_the_same(golden: Path, filled: Database) -> None:
    folder, database = blox.from_folder(golden / SMALL, **WHOLE), blox.from_database(filled)
    key = next(iter(folder))[0]
    for options in ({}, {"return_dict": False}, {"devices": False}, {"include_env_info": False}):
        for seed in (0, 1):
            assert folder.full_info(key, seed, **options) == database.full_info(key, seed, **options)
    assert list(folder) == list(database)
    assert folder.columns == database.columns
    assert folder.devices == database.devices


def test_a_vector_without_a_path_is_none_everywhere(dataset: blox.Dataset) -> None:
    graph = blox.graph_utils.get_model_graph(NO_PATH)[0]
    asked = [dataset.val_acc, dataset.train_loss, dataset.test_acc, dataset.train_time, dataset.latency]
    asked += [dataset.flops, dataset.params, dataset.arch_vec, dataset.full_info]
    assert [method(NO_PATH) for method in asked] == [None] * len(asked)
    assert [method(NOT_THERE) for method in asked[:5]] == [None] * 5
    for arch in (NO_PATH, NOT_THERE):
        assert arch not in dataset
        with pytest.raises(KeyError):
            dataset[arch]
    assert dataset.full_info_by_graph(graph) is None
    with pytest.raises(InvalidArchError, match="cell 1 of 3 must look like"):
        dataset.latency([[0, 0, 1, 0, 0]] * 3)
    with pytest.raises(InvalidArchError):
        _ = [[[9], [0, 1, 0, 0]]] * 3 in dataset


def test_what_is_loaded_is_a_data_set_of_its_own(dataset: blox.Dataset) -> None:
    for info, part in ((dataset.static_info, 2), (dataset.bench_info, 3), (dataset.env_info, 4)):
        assert info
        assert len(info) == 60
        assert dict(iter(info)) == {row[0]: row[part] for row in dataset}


def test_train_time_is_an_int_without_an_epoch(dataset: blox.Dataset) -> None:
    key = next(iter(dataset))[0]
    whole = dataset.train_time(key, seed=0)
    assert type(whole) is int
    half = dataset.train_time(key, epoch=np.int64(100), seed=np.int8(0))  # type: ignore[arg-type]
    assert type(half) is float
    assert half == pytest.approx(whole / 2)


def test_what_is_not_loaded_is_told(golden: Path) -> None:
    plain = blox.from_folder(golden / SMALL, devices=False)
    assert [plain.devices, plain.bench_info, plain.static_info, plain.env_info] == [None] * 4
    key, _, *others = next(iter(plain))
    assert others == [None] * 3
    for call in (plain.latency, plain.flops, plain.params, plain.arch_vec, plain.train_acc):
        with pytest.raises(QueryError, match="not loaded"):
            call(key)
    for option in ({"devices": "desktop-cpu"}, {"include_static_info": True}, {"include_env_info": True}):
        with pytest.raises(QueryError, match="not loaded"):
            plain.full_info(key, **option)


def test_files_of_any_format_make_a_data_set(golden: Path) -> None:
    folder = golden / SMALL
    made = blox.Dataset(
        [folder / "blox-base-1.csv", folder / "blox-ext-1.blox"],
        folder / "blox-bench-jetson-nano.blox",
        folder / "blox-info.pickle",
        folder / "blox-env-1.blox",
    )
    like = blox.from_folder(folder, seeds=1, devices="jetson-nano", **WHOLE)
    assert list(made) == list(like)
    assert (made.seeds, made.devices, made.is_extended) == ([1], ["jetson-nano"], True)
    assert "seeds 1" in repr(made)
    alone = blox.Dataset(str(folder / "blox-base-0.blox"))
    assert (alone.seeds, alone.devices, alone.is_extended) == ([0], None, False)


@pytest.mark.parametrize(
    ("files", "others", "message"),
    [
        (["blox-ext-0.blox"], {}, "no base file"),
        (["blox-base-0.blox", "blox-base-0.csv"], {}, "are both blox-base-0"),
        (["blox-base-0.blox", "blox-base-1.blox", "blox-ext-1.csv"], {}, "none of seed 0"),
        (["blox-info.blox"], {}, "of kind 'static', not 'training'"),
        (["blox-base-0.blox"], {"devices_files": "blox-info.blox"}, "not 'benchmarking'"),
        (["blox-base-0.blox"], {"static_info": "blox-env-0.blox"}, "not 'static'"),
        (["blox-base-0.blox"], {"env_info": ["blox-base-0.blox"]}, "not 'env'"),
        ([], {}, "no file of kind 'training'"),
        (["blox-base-7.blox"], {}, "there is no file"),
    ],
)
def test_files_that_make_no_data_set_are_refused(
    golden: Path, files: list[str], others: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(golden / SMALL)
    with pytest.raises(ValueError, match=message):
        blox.Dataset(files, **others)


def test_files_are_checked_unless_told_otherwise(golden: Path, tmp_path: Path) -> None:
    base = codecs.read(golden / SMALL / "blox-base-0.blox")
    codecs.write(base.take(np.arange(30)), tmp_path / "blox-base-0.blox")
    files = [tmp_path / "blox-base-0.blox", golden / SMALL / "blox-ext-0.blox"]
    with pytest.raises(ReleaseError, match="which blox-base-0 lacks"):
        blox.Dataset(files)
    assert len(blox.Dataset(files, validate_data=False)) == 30


def test_the_home_folder_is_a_tilde(golden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(golden / SMALL, tmp_path / "blox")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(blox.from_folder("~/blox", preferred_ext=["csv"])) == 60
    assert len(blox.Dataset("~/blox/blox-base-0.blox")) == 60
    assert len(blox.StaticInfoDataset("~/blox/blox-info.csv")) == 60
    assert blox.io.read_dataset_file("~/blox/blox-info.csv")[0]["format"] == "csv"
    with pytest.raises(BloxFormatError, match="~"):
        blox.io.read_dataset_file("~/blox/blox-info.txt~")


SCRIPT = """
import sys
import bloxdb.compat as blox

dataset = blox.from_folder(sys.argv[1], extended=True, include_static_info=True, preferred_ext=["blox", "csv"])
print(len(dataset), dataset.dataset, dataset.epochs, dataset.ops, blox.__version__)
for row in list(dataset)[:3]:
    model_hash = row[0]
    info = dataset.full_info(model_hash, seed=0)
    arch = info["info"]["arch_vec"]
    assert blox.search_space.get_model_hash(arch) == model_hash
    print(dataset.test_acc(arch, seed=0), dataset.val_acc(arch, epoch=10, seed=0), dataset.flops(arch))
    assert dataset.latency(arch, devices="desktop-cpu") == [[info["desktop-cpu"]["latency"]]]
assert "torch" not in sys.modules
assert "networkx" not in sys.modules
"""


def test_a_script_in_the_style_of_the_original_runs_with_another_import(golden: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(golden / SMALL)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "60 cifar100 200 ['conv', 'mbconv', 'bconv'] 1.0.0"
    assert len(lines) == 4
