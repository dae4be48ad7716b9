"""The worked examples, run on a synthetic benchmark of all architectures, and the code of the documents."""

from __future__ import annotations

import enum
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import bloxdb
from bloxdb import space
from tests.cli.helpers import bloxdb as command_line

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a run of eight epochs of every architecture; the curves are invented."""
    folder = tmp_path_factory.mktemp("whole")
    script = [sys.executable, str(ROOT / "benchmarks" / "make_release.py"), str(folder / "release")]
    subprocess.run([*script, "--epochs", "8", "--no-truth"], check=True, capture_output=True)
    with bloxdb.create(folder / "whole.db") as db:
        bloxdb.import_release(folder / "release", db)
    return folder / "whole.db"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_evolution_finds_better_than_its_first_population(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = example("evolution").main(str(whole), 5_000_000, 0)
    assert problem.seconds <= 5_000_000
    first, last = problem.trajectory[49], problem.trajectory[-1]
    assert last.best > first.best
    assert last.regret < 6
    assert "regret" in capsys.readouterr().out
    assert example("evolution").main(str(whole), 5_000_000, 0).trajectory == problem.trajectory


@pytest.mark.slow
def test_optuna_prunes_and_both_samplers_search(whole: Path) -> None:
    problems = example("optuna_search").main(str(whole), 60, 0)
    assert set(problems) == {"TPE", "random"}
    for problem in problems.values():
        epochs = [point.epoch for point in problem.trajectory]
        assert set(epochs) == {2, 4, 6, 8}
        assert epochs.count(8) < epochs.count(2)  # some were given up
        assert problem.trajectory[-1].regret < 12


@pytest.mark.slow
def test_pymoo_reaches_most_of_the_true_front(whole: Path) -> None:
    few, many = (example("pymoo_search").main(str(whole), generations, 0) for generations in (2, 25))
    assert 0 < few.reached < many.reached <= many.true
    assert many.reached / many.true > 0.9
    assert few.true == many.true


def code_of(document: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text()
    return re.findall(r"```python\n(.+?)```", text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("document", ["from-blox.md", "looking.md", "searching.md", "training.md"])
def test_the_code_of_a_document_runs(
    document: str, golden: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(golden / "release-small", tmp_path / "release")
    (tmp_path / "exp").mkdir()
    for path in golden.glob("raw-results/results_[1r]*.pickle"):
        shutil.copy(path, tmp_path / "exp")
    (tmp_path / "blox.db").symlink_to(whole)
    monkeypatch.chdir(tmp_path)
    blocks = code_of(document)
    assert blocks
    for command in re.findall(
        r"^    bloxdb (.*--keep-weights.*)$", (ROOT / "docs" / document).read_text(), re.M
    ):
        command_line(*command.split(), "--epochs", 1, cwd=tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        if "syne_tune" not in block:  # which is no part of `[dev]`; the next test has it
            exec(block, names)
    if "db" in names:
        names["db"].close()


@pytest.fixture
def searching(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """The code of docs/searching.md by what is in it, and the names that it needs."""
    monkeypatch.chdir(tmp_path)
    blocks = {
        word: next(block for block in code_of("searching.md") if word in block)
        for word in ("def index_of", "ConfigSpace", "syne_tune", "BloxSearchSpace")
    }
    with bloxdb.open(whole, read_only=True) as db:
        names = {"bloxdb": bloxdb, "space": space, "db": db}
        exec(blocks["def index_of"], names)
        yield blocks, names


def test_three_blocks_name_each_architecture_once(searching: tuple[Any, dict[str, Any]]) -> None:
    index_of, stages = searching[1]["index_of"], searching[1]["stages"]
    for index in range(0, space.NUM_ARCHS, 997):
        config = dict(zip(stages, space.block_indices(index), strict=True))
        assert index_of(config) == index
        assert all(config[stage] in blocks for stage, blocks in stages.items())


def test_a_configspace_is_the_whole_space(searching: tuple[dict[str, str], dict[str, Any]]) -> None:
    blocks, names = searching
    exec(blocks["ConfigSpace"], names)
    assert names["config_space"].estimate_size() == space.NUM_ARCHS
    assert len(names["problem"].trajectory) == 20


if find_spec("syne_tune"):  # `pip install --no-deps syne-tune dill`, as .ci/run does before it runs this

    def test_syne_tune_stops_trials_early(searching: tuple[dict[str, str], dict[str, Any]]) -> None:
        blocks, names = searching
        exec(blocks["syne_tune"], names)
        problem = names["problem"]
        reached: dict[int, int] = {}
        for point in problem.trajectory:
            reached[point.arch_id] = max(point.epoch, reached.get(point.arch_id, 0))
        assert 15 < len(reached) <= 20  # they are drawn, and one may be drawn twice
        assert min(reached.values()) == 2  # some were stopped at once, and some not
        assert max(reached.values()) == problem.epochs


class Metric(enum.Enum):
    """The names that NASLib has for what is asked."""

    TRAIN_ACCURACY = enum.auto()
    TRAIN_LOSS = enum.auto()
    TRAIN_TIME = enum.auto()
    VAL_ACCURACY = enum.auto()
    VAL_LOSS = enum.auto()
    TEST_ACCURACY = enum.auto()
    TEST_LOSS = enum.auto()
    FLOPS = enum.auto()
    PARAMETERS = enum.auto()


def test_a_search_space_for_naslib_answers_as_the_data_set_does(
    searching: tuple[dict[str, str], dict[str, Any]],
) -> None:
    blocks, names = searching
    exec(blocks["BloxSearchSpace"], names)
    data = bloxdb.from_database(names["db"])
    parent = names["BloxSearchSpace"]()
    parent.sample_random_architecture(dataset_api=data)
    child = parent.clone()
    child.mutate(parent, dataset_api=data)
    assert space.distance(child.get_hash(), parent.get_hash()) == 1
    for metric in Metric:
        column = child.columns[metric.name]
        assert (
            child.query(metric, "cifar100", dataset_api=data) == data.table([child.index], [column])[column]
        )
    curve = data.curve(child.index, "val_top1").tolist()
    assert child.query(Metric.VAL_ACCURACY, full_lc=True, dataset_api=data) == curve
    assert child.query(Metric.VAL_ACCURACY, epoch=3, full_lc=True, dataset_api=data) == curve[:3]
    assert child.query(Metric.VAL_ACCURACY, epoch=3, dataset_api=data) == curve[3]


def test_the_first_code_of_the_readme_runs(
    golden: Path, empty_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(golden / "release-small", tmp_path / "release")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    scripts, many = code_of("../README.md")[:2]
    exec(scripts, names)
    assert len(names["dataset"]) == 60
    with bloxdb.open(shutil.copy(empty_file, tmp_path / "blox.db")) as db:
        bloxdb.import_release("release", db)
    exec(many, names)
    assert names["table"]["val_top1"].shape == (60, 2)
    assert names["curve"].shape == (200,)
    assert len(names["early"]) == 60 * 2 * 12
    names["db"].close()


def test_evolution_is_short() -> None:
    lines = (ROOT / "examples" / "evolution.py").read_text().splitlines()
    assert len(lines) < 60
