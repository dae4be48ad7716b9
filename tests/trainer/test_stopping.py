"""Trainings that are ended from outside: by batch systems, by readers that leave, and early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import cycle
from multiprocessing import Pipe
from pathlib import Path

import pytest
from bloxdb.trainer.stopping import AFTER_EPOCH, AT_ONCE, Stop, order

from bloxdb import Database
from bloxdb.cli.train import INTERRUPTED, TRY_AGAIN
from tests.trainer.helpers import ROOT, Started, ask, ended, path_of, start, wait_for

pytestmark = pytest.mark.slow

TWO = ("--range", 404, 408, "--per-gpu", 2, "--gpus", "none", "--threads", 1, "--batch", 256)
LONG = ("--epochs", 500, "--batch", 12)


def family(process: Started) -> list[int]:
    """The process, and those that it has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def workers(process: Started) -> list[int]:
    """The workers among them."""
    return [pid for pid in family(process)[1:] if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="/proc says who has started whom"
)


@needs_proc
def test_a_signal_to_all_processes_of_a_job_makes_each_worker_keep_its_epochs(empty_db: Database) -> None:
    path = path_of(empty_db)
    process = start(path, *TWO, "--epochs", 60, "--checkpoint-every", 1000)
    count = "SELECT count(DISTINCT run_id) FROM epochs"
    wait_for(lambda: ask(path, count)[0][0] >= 2, process)
    for pid, number in zip(family(process), cycle((signal.SIGTERM, signal.SIGHUP)), strict=False):
        os.kill(pid, number)
    code, output = ended(process)
    assert code == TRY_AGAIN
    assert output.count("stopped after epoch") == 2
    assert "the same command goes on" in output
    assert "Traceback" not in output
    assert ask(path, "SELECT DISTINCT status, worker FROM runs") == [("pending", None)]
    kept = list(path.with_name("blox.db.checkpoints").iterdir())
    assert len(kept) == 2
    assert all(file.suffix == ".pt" for file in kept)


@needs_proc
@pytest.mark.parametrize("many", [1, 2])
def test_a_grace_bounds_how_long_an_epoch_may_take(empty_db: Database, many: int) -> None:
    path = path_of(empty_db)
    process = start(path, *TWO[:4], many, *TWO[5:9], *LONG, "--grace", 0.1)
    # the first epochs have just ended, and the second take twenty times as long
    wait_for(lambda: ask(path, "SELECT count(DISTINCT run_id) FROM epochs") == [(many,)], process)
    for pid in family(process):
        os.kill(pid, signal.SIGTERM)
    code, output = ended(process)
    assert code == TRY_AGAIN
    assert "stopped after epoch" not in output
    assert "Traceback" not in output
    assert ask(path, "SELECT DISTINCT status, worker FROM runs") == [("pending", None)]


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", [0.1, 1.0])
def test_a_signal_while_workers_start_ends_them_without_a_word(
    empty_db: Database, number: signal.Signals, moment: float
) -> None:
    path = path_of(empty_db)
    process = start(path, *TWO, *LONG[:2])
    wait_for(lambda: len(workers(process)) == 2, process)
    time.sleep(moment)
    for pid in family(process):
        os.kill(pid, number)
    code, output = ended(process)
    assert code == (INTERRUPTED if number == signal.SIGINT else TRY_AGAIN)
    assert "Traceback" not in output
    assert "was killed" not in output
    assert ask(path, "SELECT DISTINCT status, worker FROM runs") == [("pending", None)]


@pytest.mark.parametrize("many", [1, 2])
def test_a_reader_that_leaves_is_not_booked_on_an_architecture(empty_db: Database, many: int) -> None:
    path = path_of(empty_db)
    code = "import sys; from bloxdb.cli import main; main()"
    words = ("train", "--db", path, "--dataset", "digits", *TWO[:4], many, *TWO[5:], "--epochs", 60)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    with process:
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == -signal.SIGPIPE, errors
    assert "Traceback" not in errors
    assert {status for (status,) in ask(path, "SELECT status FROM runs")} <= {"pending", "finished"}


def test_no_signal_within_another_makes_a_worker_wait_for_an_order_that_was_taken() -> None:
    theirs, orders = Pipe(duplex=False)
    stop = Stop(os.getppid(), theirs)
    assert stop._heard() == b""  # and nothing waits
    order(orders, AFTER_EPOCH)
    stop._ask(signal.SIGINT, None)
    stop._ask(signal.SIGTERM, None)  # the same order has been taken
    assert stop
    order(orders, AT_ONCE)
    with pytest.raises(KeyboardInterrupt):
        stop._ask(signal.SIGINT, None)
    orders.close()
    stop._ask(signal.SIGTERM, None)
    theirs.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_ending_is_not_killed_by_who_asks_it_to_end(number: signal.Signals) -> None:
    code = (
        "import os\n"
        "from multiprocessing import Pipe\n"
        "from bloxdb.trainer.stopping import Stop\n"
        "with Stop(os.getppid(), Pipe()[0]).on_signals():\n"
        "    pass\n"
        f"os.kill(os.getpid(), {int(number)})\n"
        "print('whole')\n"
    )
    ending = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ending.returncode, ending.stdout, ending.stderr) == (0, "whole\n", "")


@pytest.mark.parametrize("numbers", [(signal.SIGTERM, signal.SIGHUP), (signal.SIGINT, signal.SIGTERM)])
def test_signals_that_come_together_ask_once(numbers: tuple[signal.Signals, ...]) -> None:
    with Stop().on_signals() as stop:
        for number in numbers:
            signal.raise_signal(number)
        assert stop
        time.sleep(0.2)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(numbers[0])


@pytest.mark.parametrize("grace", [0, 1e-9, 0.05])
def test_a_grace_that_is_over_ends_what_is_in_work(grace: float) -> None:
    def be_asked_and_go_on() -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(5)

    with Stop(grace=grace).on_signals(), pytest.raises(KeyboardInterrupt):
        be_asked_and_go_on()
