"""Several workers of one command."""

from __future__ import annotations

import errno
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import SpawnProcess

import pytest

from bloxdb import Database
from bloxdb.errors import TrainingError
from bloxdb.runs.processes import shown
from tests.trainer.helpers import (
    QUICK,
    ask,
    digits_recipe,
    ended,
    job,
    path_of,
    start,
    train,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_thread_can_train_and_leaves_signals_to_the_main_one(empty_db: Database, workers: int) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    what = job(empty_db, [QUICK], digits_recipe(1))
    with ThreadPoolExecutor(1) as pool:
        finished, events = pool.submit(train, what, workers).result()
    assert finished
    assert [event.message for event in events if event.kind == "end"] == ["finished"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_several_workers_share_runs_and_survive_each_other(empty_db: Database) -> None:
    path = path_of(empty_db)
    archs = [arg for index in (405, 406, 407) for arg in ("--arch", index)]
    options = (
        "--epochs",
        2,
        "--batch",
        256,
        "--checkpoint-every",
        1,
        "--heartbeat",
        0.2,
        "--dead-after",
        2,
        "--per-gpu",
        2,
    )
    process = start(path, *archs, *options)
    wait_for(lambda: ask(path, "SELECT count(*) FROM epochs")[0][0] >= 1, process)
    ((worker,),) = ask(path, "SELECT worker FROM runs WHERE status = 'running' LIMIT 1")
    os.kill(int(shown(worker).rpartition(":")[2]), signal.SIGKILL)
    code, output = ended(process)
    assert "was killed by SIGKILL" in output
    epochs = "(SELECT count(*) FROM epochs WHERE run_id = runs.id)"
    rows = ask(path, f"SELECT status, device_workers, {epochs} FROM runs")
    assert rows == [("finished", 2, 2)] * 3
    assert code == 0  # the other one went on with its run
    assert "not all runs have ended" not in output
    assert "Traceback" not in output
    assert "locked" not in output


@pytest.mark.parametrize("error", [OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), KeyboardInterrupt()])
def test_a_worker_that_cannot_be_started_leaves_none_behind(
    error: BaseException, empty_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, begun = SpawnProcess.start, list[SpawnProcess]()

    def start_one(process: SpawnProcess) -> None:
        if begun:
            raise error
        begun.append(process)
        whole(process)

    monkeypatch.setattr(SpawnProcess, "start", start_one)
    told = "only 1 of 3 workers could be started .*Resource temporarily unavailable.*--per-gpu"
    with pytest.raises(TrainingError if isinstance(error, OSError) else KeyboardInterrupt) as info:
        train(job(empty_db, [QUICK], digits_recipe(50)), 3)
    assert isinstance(error, KeyboardInterrupt) or re.search(told, str(info.value))
    assert [process.exitcode for process in begun] == [130]
    assert empty_db.rows("SELECT DISTINCT status FROM runs") == [{"status": "pending"}]
