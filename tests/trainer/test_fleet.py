"""Several workers of one command."""

from __future__ import annotations

import os
import signal

import pytest

from bloxdb import Database
from tests.trainer.helpers import (
    ask,
    ended,
    path_of,
    start,
    wait_for,
)


@pytest.mark.slow
def test_several_workers_share_runs_and_survive_each_other(empty_db: Database) -> None:
    path = path_of(empty_db)
    archs = [arg for index in (405, 406, 407) for arg in ("--arch", index)]
    options = ("--epochs", 2, "--checkpoint-every", 1, "--beat", 0.2, "--dead-after", 2, "--per-gpu", 2)
    process = start(path, *archs, *options)
    wait_for(lambda: ask(path, "SELECT count(*) FROM epochs")[0][0] >= 1, process)
    ((worker,),) = ask(path, "SELECT worker FROM runs WHERE status = 'running' LIMIT 1")
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    code, output = ended(process)
    assert "was killed by SIGKILL" in output
    epochs = "(SELECT count(*) FROM epochs WHERE run_id = runs.id)"
    rows = ask(path, f"SELECT status, device_workers, {epochs} FROM runs")
    assert rows == [("finished", 2, 2)] * 3
    assert code == 130  # not all went well, and it says so
    assert "Traceback" not in output
    assert "locked" not in output
