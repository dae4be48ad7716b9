"""The original's names for folders and single files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bloxdb.compat as blox
from bloxdb import space
from tests.dataset.helpers import NOT_THERE, SMALL, rows_of


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
