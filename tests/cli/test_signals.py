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


ASKING = """
import sys, threading, time, bloxdb
from sqlalchemy import text
from bloxdb.cli.signals import ended_by_signals
LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT sum(i) FROM n"
def ask():
    with db.snapshot() as session:
        session.execute(text("SELECT count(*) FROM archs")).all()
        begun.set()
        session.execute(text(LONG)).all()
def rows():
    second.set()
    db.rows(LONG)
begun, second = threading.Event(), threading.Event()
with ended_by_signals(), bloxdb.open(sys.argv[1]) as db:
    db.share()
    for target in (ask, rows):
        threading.Thread(target=target, daemon=True).start()
    begun.wait()
    second.wait()
    time.sleep(0.3)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_wal_of_what_threads_still_ask(
    number: signal.Signals, tiny_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    with subprocess.Popen(
        [sys.executable, "-c", ASKING, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=100)
    assert process.returncode == -number, errors
    assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]
    assert not has_wal(path)


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


SCRIPT = """
import sys
{before}
from bloxdb.cli import main
sys.exit(main(["top", "--db", sys.argv[1]]))
"""

INTERRUPTED = """
import os, signal, sys
wanted = {wanted!r}

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "wanted",
    ["click", "sqlalchemy.engine", "bloxdb.cli.app", "bloxdb.cli.query", "bloxdb.queries"],
)
@pytest.mark.parametrize("is_ignored", [False, True])
def test_ctrl_c_while_a_command_is_imported_ends_it_without_a_word(
    wanted: str, is_ignored: bool, tiny_file: Path
) -> None:
    before = INTERRUPTED.format(wanted=wanted)
    if is_ignored:  # as in a background job of a shell script
        before += "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before), str(tiny_file)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == (0 if is_ignored else -signal.SIGINT)  # which a shell calls 130
    assert bool(done.stdout) == is_ignored


def test_ctrl_c_while_a_script_imports_the_commands_is_an_exception_of_the_script(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    before = INTERRUPTED.format(wanted="bloxdb.cli.app")
    script.write_text(
        f"{before}\ntry:\n    import bloxdb.cli\nexcept KeyboardInterrupt:\n    print('mine')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=100)
    assert (done.stdout, done.returncode) == ("mine\n", 0), done.stderr


def test_ctrl_c_does_what_it_did_before_when_the_commands_are_imported_or_have_ended() -> None:
    from bloxdb.cli import main

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert signal.getsignal(signal.SIGINT) is before
