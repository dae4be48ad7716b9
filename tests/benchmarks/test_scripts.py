"""The scripts at a small size."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.benchmarks.conftest import BENCHMARKS
from tests.conftest import POSTGRESQL
from tests.servers import empty_on_server

pytestmark = pytest.mark.slow


def ran(script: str, *arguments: object) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_run_shows_what_was_asked_for(tmp_path: Path) -> None:
    size = ["--archs", 60, "--epochs", 10, "--repeats", 1]
    shown = ran("run.py", tmp_path, *size, "--only", "read_blox", "--only", "cold_top")
    lines = [line for line in shown.splitlines() if line.startswith("| ")]
    assert "\n60 architectures, 10 epochs, " in shown
    assert [line.split(" | ")[0] for line in lines] == [
        "| what",
        "| ---",
        "| read ext .blox",
        "| bloxdb top, cold process",
    ]


if POSTGRESQL:

    def test_a_server_is_measured_beside_a_file(tmp_path: Path) -> None:
        size = ["--archs", 60, "--epochs", 10, "--repeats", 1]
        with empty_on_server("benchmarks") as url:
            shown = [
                ran("servers.py", tmp_path, url, *size, "--only", "Pareto", "--only", "status") for _ in "ab"
            ]
        for text in shown:  # the second time with the database that is there
            lines = [line for line in text.splitlines() if line.startswith("| ")]
            assert "\n60 architectures, 10 epochs; " in "\n" + text
            assert "PostgreSQL" in text
            assert [line.split(" | ")[0] for line in lines] == [
                "| what",
                "| ---",
                "| Pareto front",
                "| Pareto front, plain SQL",
                "| status of all runs",
            ]


def test_training_is_measured_on_few_images(benchmarks: Path) -> None:
    train = importlib.import_module("train")
    recipe = replace(train.default_recipe("cifar100"), batch=4)
    arch_id, data = train.three_archs()["cheapest"], train.random_data(18, "cpu")
    plain = train.plain_speeds(arch_id, recipe, data, "cpu", 1)
    (step, epoch), speed = train.measure_arch("cheapest", arch_id, recipe, data, plain, 1)
    assert speed == epoch.ours
    assert str(step).startswith("| step, cheapest (")
    assert str(epoch).endswith(("| 1.5 | yes |", "| 1.5 | **no** |"))
    assert min(step.ours, step.reference, epoch.ours, epoch.reference) > 0


def test_each_speed_up_of_the_trainer_is_measured_and_changes_no_number(
    benchmarks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, speed_ups = (importlib.import_module(name) for name in ("train", "speed_ups"))
    recipe = replace(train.default_recipe("cifar100"), batch=4)
    arch_id, data = train.three_archs()["cheapest"], train.random_data(18, "cpu")
    lines = train.speed_ups(arch_id, recipe, data, 1)
    assert [line.what.split(", by")[0] for line in lines] == [one.what for one in speed_ups.SPEED_UPS]
    assert min(min(line.ours, line.reference) for line in lines) > 0

    def half(network: torch.nn.Module) -> None:
        with torch.no_grad():
            network.head[2].weight.mul_(0.5)

    monkeypatch.setattr(speed_ups, "SPEED_UPS", [speed_ups.SpeedUp("half of it", half)])
    with pytest.raises(RuntimeError, match="half of it changes numbers"):
        train.speed_ups(arch_id, recipe, data, 1)
