"""Programs that tests start, as this user or another, and kill."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

NOBODY = 65_534
"""A user who has nothing."""

AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def _can_be_another() -> bool:
    """Whether tests can be two users, who both can read this checkout and its environment, as in `.ci/run`."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    command = [*AS_NOBODY, sys.executable, "-c", "import bloxdb.db"]
    found = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    return found.returncode == 0


needs_two_users = pytest.mark.skipif(
    not _can_be_another(), reason="only root can be two users, who both need to read this environment"
)

IMPORT = """
import bloxdb, os, signal, sys
from sqlalchemy import text
db = bloxdb.open(sys.argv[1])
with db.bulk_transaction() as session:
    session.execute(text("PRAGMA cache_size = 10"))  # so that pages reach the file before the end
    session.execute(text("UPDATE static_info SET flops = flops + 1"))
    session.execute(text("INSERT INTO devices (name) VALUES ('half')"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Killed in an import that wrote half of it; it leaves a hot journal."""


def start(code: str, *arguments: object, another: bool = False) -> subprocess.Popen[str]:
    """A program that runs, perhaps as another user."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        [*(AS_NOBODY if another else []), *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def run(code: str, *arguments: object, another: bool = False, ends: int = 0) -> tuple[str, str]:
    """What a program wrote to stdout and stderr."""
    with start(code, *arguments, another=another) as process:
        out, errors = process.communicate(timeout=100)
    assert process.returncode == ends, errors
    return out, errors


def killed(code: str, *arguments: object) -> None:
    """Run a program that kills itself."""
    run(code, *arguments, ends=-signal.SIGKILL)


def wait_for_line(process: subprocess.Popen[str], line: str) -> None:
    """Wait until a program has written a line."""
    assert process.stdout is not None
    found = process.stdout.readline()
    assert found == f"{line}\n", (found, process.stderr.read() if process.stderr and not found else "")


def whole(path: Path) -> str:
    """The journal mode of a database in rest, in which nothing is wrong."""
    with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder in which every user may write, as on a shared disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
