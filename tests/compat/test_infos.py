"""Costs, latencies and environments as data sets of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import bloxdb.compat as blox
from bloxdb import codecs, space
from bloxdb.errors import QueryError, ReleaseError
from tests.dataset.helpers import NOT_THERE, SMALL, rows_of

NO_PATH = [[[0], [0, 0, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]]
DEVICES = ("desktop-cpu", "jetson-nano")


def test_rows_are_those_of_the_files_without_the_hash(golden: Path) -> None:
    folder = golden / SMALL
    info = blox.StaticInfoDataset(folder / "blox-info.csv")
    env = blox.EnvInfoDataset([folder / "blox-env-1.blox", folder / "blox-env-0.csv"])
    bench = blox.BenchmarkingDataset([folder / f"blox-bench-{device}.pickle" for device in DEVICES])
    assert (env.seeds, bench.devices) == ([1, 0], list(DEVICES))
    for made, stems in (
        (info, ["blox-info"]),
        (env, ["blox-env-1", "blox-env-0"]),
        (bench, [f"blox-bench-{device}" for device in DEVICES]),
    ):
        files = [rows_of(folder, stem) for stem in stems]
        assert made.columns == [*next(iter(files[0].values()))]
        assert (made.version, made.ops, made.nodes, made.stages) == (1, ["conv", "mbconv", "bconv"], 2, 3)
        assert made.search_space == [[[3], [3, 2, 2, 2]]] * 3
        assert len(made) == 60
        for key in files[0]:
            rows = [list(file[key].values())[1:] for file in files]
            assert made[key] == [key, rows]
            assert key in made
        assert {row[0]: row for row in made} == {key: made[key] for key in files[0]}


def test_one_file_is_gone_through_in_its_order(golden: Path) -> None:
    path = golden / SMALL / "blox-bench-jetson-nano.blox"
    assert [row[0] for row in blox.BenchmarkingDataset(path)] == codecs.read(path).hashes()


def test_what_is_not_there_is_none_or_not_in_it(golden: Path) -> None:
    folder = golden / SMALL
    info = blox.StaticInfoDataset(str(folder / "blox-info.blox"))
    env = blox.EnvInfoDataset(folder / "blox-env-1.blox")
    bench = blox.BenchmarkingDataset(folder / "blox-bench-desktop-cpu.pickle")
    for arch in (NOT_THERE, NO_PATH, "0" * 32):
        assert [info.flops(arch), info.params(arch), info.arch_vec(arch), env.env(arch)] == [None] * 4
        assert bench.latency(arch) is None
        assert bench.latency(arch, return_dict=True) is None
        for made in (info, env, bench):
            assert arch not in made
            with pytest.raises(KeyError):
                made[arch]
    with pytest.raises(ValueError, match="an architecture vector has 3 cells"):
        bench.latency([[[0], [0, 1, 0, 0]]])


def test_a_device_without_the_architecture_has_none_in_its_place(golden: Path, tmp_path: Path) -> None:
    folder = golden / SMALL
    whole = codecs.read(folder / "blox-bench-jetson-nano.blox")
    codecs.write(whole.take(range(10)), tmp_path / "blox-bench-jetson-nano.blox")  # type: ignore[arg-type]
    bench = blox.BenchmarkingDataset(
        [folder / "blox-bench-desktop-cpu.blox", tmp_path / "blox-bench-jetson-nano.blox"]
    )
    key = whole.hashes()[20]
    (measured,) = blox.BenchmarkingDataset(folder / "blox-bench-desktop-cpu.blox").latency(key)
    assert len(bench) == 60
    assert bench[key] == [key, [measured, None]]
    assert bench.latency(key) == [measured, [None]]
    assert bench.latency(key, return_dict=True) == {
        "desktop-cpu": {"latency": measured[0]},
        "jetson-nano": {"latency": None},
    }
    assert bench.latency(key, "jetson-nano") is None


def test_latencies_of_csv_are_texts(golden: Path) -> None:
    folder = golden / SMALL
    texts, numbers = (
        blox.BenchmarkingDataset(folder / f"blox-bench-desktop-cpu.{ext}") for ext in ("csv", "blox")
    )
    for (key, ((text,),)), (other, ((number,),)) in zip(texts, numbers, strict=True):
        assert (key, float(text)) == (other, number)
        assert texts.latency(key, return_dict=True) == {"desktop-cpu": {"latency": text}}


def test_the_environment_is_that_of_the_seed(golden: Path) -> None:
    folder = golden / SMALL
    env = blox.EnvInfoDataset([folder / "blox-env-0.blox", folder / "blox-env-1.blox"])
    for seed in (0, 1):
        for key, row in rows_of(folder, f"blox-env-{seed}").items():
            assert {"model_hash": key, **(env.env(key, seed) or {})} == row
    with pytest.raises(QueryError, match="seed 7 is not loaded; choose of: 0, 1"):
        env.env(space.arch_vec(0), 7)


def test_files_of_another_kind_twice_or_missing_are_refused(golden: Path) -> None:
    folder = golden / SMALL
    with pytest.raises(QueryError, match="a file of kind 'env', not 'static'"):
        blox.StaticInfoDataset(folder / "blox-env-1.blox")
    with pytest.raises(ReleaseError, match="are both blox-env-1"):
        blox.EnvInfoDataset([folder / "blox-env-1.blox", folder / "blox-env-1.csv"])
    with pytest.raises(QueryError, match="no file of kind 'benchmarking'"):
        blox.BenchmarkingDataset([])
    for wrong in (5, None, [None]):
        with pytest.raises(QueryError, match="are named by a path, or several"):
            blox.EnvInfoDataset(wrong)  # type: ignore[arg-type]
    with pytest.raises(ReleaseError, match="there is no file"):
        blox.BenchmarkingDataset(folder / "blox-bench-phone.blox")
    with pytest.raises(ReleaseError, match="is a folder; from_folder reads it"):
        blox.Dataset(folder)


def test_a_data_set_has_them_as_attributes(golden: Path) -> None:
    whole = blox.from_folder(golden / SMALL, include_static_info=True, include_env_info=True)
    assert whole.bench_info is not None
    assert whole.static_info is not None
    assert whole.env_info is not None
    arch = next(iter(whole.bench_info))[0]
    assert whole.bench_info.latency(arch) == whole.latency(arch)
    assert whole.static_info.flops(arch) == whole.flops(arch)
    assert whole.env_info[arch][1] == whole[arch][4]
    assert [len(one) for one in (whole.bench_info, whole.static_info, whole.env_info)] == [60] * 3
