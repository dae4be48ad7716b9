"""Training on three nodes of a Ray cluster ends as plain training does, whoever is killed meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.helpers import bloxdb as command
from tests.faults.cases import COMMAND
from tests.faults.test_training_kills import Trained, same_bits, trained
from tests.trainer.helpers import ask, wait_for
from tests.trainer.rays import NODES, Rays, started

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]

ARCHS = (405, 406, 407, 408)  # one more than nodes
EPOCHS = 5
LONG = 600.0  # seconds, on a machine with much else to do
OPTIONS = (
    *("train", "--db", "blox.db", "--dataset", "own.npz", "--gpus", "none", "--threads", "1"),
    *("--epochs", str(EPOCHS), "--batch", "8", "--checkpoint-every", "2", "--keep-weights", "all"),
    *(word for arch in ARCHS for word in ("--arch", str(arch))),
)


def prepare(folder: Path, empty_file: Path) -> Path:
    """A database, and a data set whose epochs take a fraction of a second."""
    folder.mkdir(exist_ok=True)
    shutil.copy(empty_file, folder / "blox.db")
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (96, 8, 8, 1), dtype=np.uint8)
    splits = np.repeat(["train", "val", "test"], (64, 16, 16))
    np.savez(folder / "own.npz", images=images, labels=np.arange(96) % 4, splits=splits)
    return folder


class Driver:
    """`bloxdb train`, plain or on a cluster, in a process of its own."""

    def __init__(self, folder: Path, rays: Rays | None, *more: str) -> None:
        self._printed = folder.with_suffix(".out")
        words = [*COMMAND, *OPTIONS, *(("--ray", rays.address) if rays else ()), *more]
        environment = None if rays is None else rays.environment
        with self._printed.open("w") as printed:
            self._process = subprocess.Popen(
                words, cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT
            )
        self._db = folder / "blox.db"
        self.poll = self._process.poll
        self.send_signal = self._process.send_signal

    def printed(self) -> str:
        """All that it has told."""
        return self._printed.read_text()

    def ended(self) -> tuple[int, str]:
        """Wait for it; its exit code and what it told."""
        return self._process.wait(timeout=LONG), self.printed()

    def wait_for_epochs(self, many: int) -> int:
        """Until a run that goes on has so many; its architecture."""
        sql = (
            "SELECT arch_id FROM epochs JOIN runs ON id = run_id WHERE status = 'running' "
            f"GROUP BY run_id HAVING count(*) >= {many} LIMIT 1"
        )
        found: list[tuple[int]] = []
        wait_for(lambda: found.extend(ask(self._db, sql)) or bool(found), self, LONG)
        return found[0][0]

    def kill(self) -> None:
        """End it where a test has failed."""
        self._process.kill()
        self._process.wait()


Start = Callable[..., Driver]


@pytest.fixture
def start(work: Path) -> Iterator[Start]:
    """Starts drivers, none of which outlives the test."""
    drivers: list[Driver] = []

    def begin(rays: Rays | None, *more: str) -> Driver:
        drivers.append(Driver(work, rays, *more))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.kill()


@pytest.fixture(scope="module")
def rays() -> Iterator[Rays]:
    with started() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Trained:
    """What plain training makes of the same runs."""
    folder = prepare(tmp_path_factory.mktemp("alone") / "work", empty_file)
    code, told = Driver(folder, None).ended()
    assert code == 0, told
    result = trained(folder)
    assert len(result.epochs) == EPOCHS * len(ARCHS) == len(result.weights)
    return result


@pytest.fixture
def work(tmp_path: Path, empty_file: Path) -> Path:
    return prepare(tmp_path / "work", empty_file)


def check(driver: Driver, folder: Path, alone: Trained) -> str:
    """Whether it has ended with exactly what plain training made; gives what it told."""
    code, told = driver.ended()
    assert code == 0, told
    assert same_bits(trained(folder), alone)
    assert told.count(": finished, ") == len(ARCHS)
    assert "Traceback" not in told
    assert "raylet" not in told, "Ray's own words"
    return told


def test_runs_on_nodes_are_those_of_plain_training(
    start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    told = check(start(rays), work, alone)
    assert f"on the CPUs of {NODES} nodes of a Ray cluster, {NODES} runs at once: {len(ARCHS)} runs" in told
    assert len(set(re.findall(r": (\S+:\d+) begins", told))) >= NODES
    environments = (
        "SELECT DISTINCT gpu LIKE 'cpu: %', torch_version <> '' FROM envs JOIN runs ON envs.id = env_id"
    )
    assert ask(work / "blox.db", environments) == [(1, 1)]
    assert ask(work / "blox.db", "SELECT DISTINCT device_workers, train_time_s > 0 FROM runs") == [(1, 1)]


def test_a_run_whose_worker_is_killed_goes_on_elsewhere(
    start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    driver = start(rays)
    arch = driver.wait_for_epochs(3)
    found = re.search(rf"architecture {arch}: \S+:(\d+) begins", driver.printed())
    assert found is not None
    os.kill(int(found[1]), signal.SIGKILL)
    assert "its worker died; it goes on from its last checkpoint" in check(driver, work, alone)


def test_runs_of_a_node_that_is_gone_go_on_at_one_that_came(
    start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    driver = start(rays)
    wait_for(lambda: driver.printed().count(" begins") == NODES, driver, LONG)
    rays.replace_node()
    assert "it goes on from its last checkpoint" in check(driver, work, alone)


def test_a_driver_that_is_killed_is_gone_on_with(
    start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    driver = start(rays)
    driver.wait_for_epochs(3)
    driver.send_signal(signal.SIGKILL)
    assert driver.ended()[0] == -signal.SIGKILL
    ended = driver.printed().count(": finished, ")
    again = start(rays)
    code, told = again.ended()
    assert code == 0, told
    assert "goes on after epoch" in told
    assert told.count(": finished, ") == len(ARCHS) - ended
    assert same_bits(trained(work), alone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_driver_that_is_asked_keeps_the_epochs_for_plain_training(
    number: signal.Signals, start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    driver = start(rays, "--checkpoint-every", "1000")
    driver.wait_for_epochs(1)
    driver.send_signal(number)
    code, told = driver.ended()
    assert code == (130 if number == signal.SIGINT else 75), told
    assert "stopped after epoch" in told
    assert "the same command goes on" in told
    assert "Traceback" not in told
    db = work / "blox.db"
    assert ask(db, "SELECT count(*) FROM runs WHERE status NOT IN ('pending', 'finished')") == [(0,)]
    assert ask(db, "SELECT count(*) FROM runs WHERE status = 'pending' AND worker IS NOT NULL") == [(0,)]
    plain = start(None)
    code, told = plain.ended()
    assert code == 0, told
    assert "goes on after epoch" in told
    assert same_bits(trained(work), alone)


def test_a_node_with_another_version_gets_no_runs(
    start: Start, work: Path, rays: Rays, alone: Trained
) -> None:
    rays.add_old_node()
    told = check(start(rays), work, alone)
    assert "has bloxdb 0.0.1, not " in told
    assert told.count("; its node gets no runs") == 1


REFUSED = {
    "127.0.0.1:1": "no Ray cluster takes us at 127.0.0.1:1 ([Errno 111] Connection refused): is it there",
    "ray://127.0.0.1:10001": "ray://127.0.0.1:10001 is the address of a client of Ray, to which no results stream",
}


@pytest.mark.parametrize("address", REFUSED)
def test_a_cluster_that_cannot_be_is_refused_before_there_is_a_database(address: str, tmp_path: Path) -> None:
    words = ["train", "--db", tmp_path / "new.db", "--dataset", "digits", "--arch", 405, "--ray", address]
    told = command(*words, code=1).stderr
    assert REFUSED[address] in told
    assert list(tmp_path.iterdir()) == []
