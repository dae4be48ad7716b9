"""`quickstart` as a user runs it; `.ci/run` runs the whole of it without an interruption."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bloxdb.trainer.environment import environment
from bloxdb.trainer.recipe import default_recipe

import bloxdb as package
from bloxdb import codecs
from bloxdb.db import DATASETS
from bloxdb.runs import EpochResult, Metrics, RecipeFacts, RunQueue, RunResult, environment_id
from tests.cli.helpers import README, bloxdb
from tests.trainer.helpers import ask, wait_for

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(README.parent)}
DIGITS = default_recipe("digits", 3).facts(DATASETS["digits"])


def test_a_folder_that_has_something_else_is_left_alone(tmp_path: Path, empty_file: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = bloxdb("quickstart", tmp_path, code=1)
    assert "exists already; name another folder, or remove it" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    done = bloxdb("quickstart", tmp_path / "mine.txt", code=1)
    assert "mine.txt exists already" in done.stderr


def test_a_database_of_something_else_is_left_alone(tmp_path: Path, empty_file: Path) -> None:
    path = shutil.copy(empty_file, tmp_path / "blox.db")
    with package.open(path) as db:
        RunQueue(db, [9], RecipeFacts("mine-3", "digits", 3), 0).fill()
    done = bloxdb("quickstart", tmp_path, code=1)
    assert "has runs of mine-3, which no quickstart trains; name another folder" in done.stderr
    assert ask(path, "SELECT count(*) FROM runs") == [(1,)]
    assert [file.name for file in tmp_path.iterdir()] == ["blox.db"]


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as it was printed; `bloxdb` is the one of these sources."""
    function = f'bloxdb() {{ {shlex.quote(sys.executable)} -m bloxdb "$@"; }}'
    return subprocess.run(
        ["sh", "-c", f"{function}\n{line}"],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def finish_the_others(path: Path) -> None:
    """Invent the runs that wait, all but the first: only that one is trained here."""
    waiting = [arch for (arch,) in ask(path, "SELECT arch_id FROM runs ORDER BY id")][1:]
    with package.open(path) as db:
        queue = RunQueue(db, waiting, DIGITS, 0)
        env_id = environment_id(environment(torch.device("cpu")), db)
        while (run := queue.claim(worker="elsewhere:1", env_id=env_id)) is not None:
            run.begin()
            for number in (1, 2, 3):
                epoch = EpochResult(number, *[Metrics(40.0 + number, 70.0, 2.0 - number / 8)] * 2)
                run.epoch(epoch)
            run.finish(RunResult(False, epoch, Metrics(42.0, 71.0, 1.5), 2.0))


@pytest.mark.slow
def test_an_interrupted_quickstart_goes_on_and_its_hints_are_commands_that_work(tmp_path: Path) -> None:
    folder = tmp_path / "the first minute's"
    path = folder / "blox.db"
    folder.mkdir()
    (folder / ".bloxdb-00000000-0a1b2c3d.tmp").mkdir()  # of a call that was killed

    # a background job of a shell may have inherited that Ctrl-C is ignored
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from bloxdb.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "quickstart", folder.name],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for(lambda: path.exists() and ask(path, "SELECT count(*) FROM epochs")[0][0] > 0, process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    again = output.splitlines()[-1].partition("interrupted; to go on: ")[2]
    assert again.startswith("bloxdb quickstart")
    epochs = ask(path, "SELECT count(*) FROM epochs")[0][0]
    assert 1 <= epochs < 3

    finish_the_others(path)
    done = shell(again, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"goes on after epoch {epochs}" in done.stdout + done.stderr
    assert "all three rebuilt databases are equal" in done.stdout
    assert all((folder / f"from-{name}.db").exists() for name in codecs.FORMATS)

    hints = [line.strip() for line in done.stdout.partition("What to try next:\n")[2].splitlines()]
    assert len(hints) >= 5
    for hint in hints:
        name, *words = shlex.split(hint)
        assert name == "bloxdb"
        assert bloxdb(*words, cwd=tmp_path).stdout, hint
    assert ask(path, "SELECT count(*) FROM runs WHERE status = 'finished'") == [(5,)]

    # what is equal is not made again, and what was equal before the last hint trained one more is
    (folder / "from-csv.db").unlink()
    times: list[int] = []
    for _ in range(2):
        done = bloxdb(*shlex.split(again)[1:], cwd=tmp_path)
        assert "all three rebuilt databases are equal" in done.stdout
        for name in codecs.FORMATS:
            assert ask(folder / f"from-{name}.db", "SELECT count(*) FROM runs") == [(5,)]
            times.append((folder / f"from-{name}.db").stat().st_mtime_ns)
    assert times[:3] == times[3:]
