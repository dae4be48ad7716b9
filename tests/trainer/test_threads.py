"""How threads wait: what OpenMP itself tells that it has read, in every process that trains."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from bloxdb import Database
from tests.trainer.helpers import QUICK, ROOT, path_of

pytestmark = pytest.mark.slow

SPINS = re.compile(r"(?:GOMP_SPINCOUNT|KMP_BLOCKTIME)\s*=\s*'?(\d+)")  # of GNU's, and of LLVM's and Intel's


def spins(*command: object, **environment: str) -> list[int]:
    """How long threads spin, by each OpenMP that Python and its children load."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "KMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**plain, "OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(count) for count in SPINS.findall(done.stderr)]


def test_what_the_environment_says_stays() -> None:
    loads = "import torch"
    first = f"from bloxdb.trainer.threads import wait_passively; wait_passively(); {loads}"
    assert min(spins("-c", loads)) > 0
    assert set(spins("-c", first)) == {0}
    assert min(spins("-c", first, OMP_WAIT_POLICY="ACTIVE", KMP_BLOCKTIME="100")) > 0


PROGRAM = """
import sys
import torch
import bloxdb
from bloxdb.trainer.devices import Place
from bloxdb.trainer.fleet import train
from tests.trainer.helpers import QUICK, digits_recipe, job

if __name__ == "__main__":
    with bloxdb.open(sys.argv[1]) as db:
        assert train(job(db, [QUICK], digits_recipe(1, batch=256)), [Place("cpu")] * 2, lambda event: None)
"""


def test_threads_that_wait_sleep_in_the_command_and_in_workers(empty_db: Database) -> None:
    path = path_of(empty_db)
    program = path.with_name("program.py")
    program.write_text(PROGRAM)
    found = spins(program, path)
    assert found[0] > 0  # it has torch already, and nothing can be said to it any more
    assert found.count(0) >= 2
    command = ("-m", "bloxdb", "train", "--db", path, "--dataset", "digits", "--epochs", 1, "--batch", 256)
    found = spins(*command, "--arch", QUICK, "--per-gpu", 2)  # they find nothing left to train
    assert set(found) == {0}
    assert len(found) >= 3
