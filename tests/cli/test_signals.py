"""What ends a command from outside ends it by itself, and once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bloxdb.db.access import has_wal

PROGRAM = """
import sys, time, bloxdb
from bloxdb.cli.signals import ended_by_signals
with ended_by_signals():
    db = bloxdb.open(sys.argv[1])
    with db.transaction() as session:
        session.add(bloxdb.Device(name="d"))
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("is_repeated", [False, True])
def test_a_signal_leaves_the_file_in_rest_however_often_it_comes(
    number: signal.Signals, is_repeated: bool, tiny_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        while is_repeated and process.poll() is None:
            process.send_signal(number)
            time.sleep(0.0005)
        process.communicate(timeout=100)
    assert process.returncode == -number
    assert not has_wal(path)
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]


COLLECTING = """
import sys, time
from bloxdb.cli.signals import ended_by_signals

class Slow:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(1)  # no exception leaves this

with ended_by_signals():
    Slow()
    for _ in range(100):
        time.sleep(1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_garbage_is_collected_comes_once_more(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COLLECTING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -number
    assert "Exception ignored" not in errors
