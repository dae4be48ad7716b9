"""What tests of commands share: a command as a user runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

COMMAND = [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(README.parent)}


def bloxdb(
    *arguments: object, code: int = 0, cwd: Path | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is always a failure."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "PYTHONPATH": str(README.parent), **settings},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def on_terminal(*arguments: object, code: int = 0, **settings: str) -> str:
    """What a terminal gets of the command, stdout and stderr; with lines as everywhere else."""
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm", **settings}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end was closed
            while part := os.read(ours, 65_536):
                shown += part
    os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert process.returncode == code, text
    return text
