"""What tests of commands share: a command as a user runs it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from tests import forks

README = Path(__file__).parents[2] / "README.md"

COMMAND = [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(README.parent)}


def bloxdb(
    *arguments: object, code: int = 0, cwd: Path | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is always a failure."""
    words = list(map(str, arguments))
    if any(name.startswith(("PYTHON", "LANG", "LC_")) for name in settings):  # Python reads them at its start
        done = subprocess.run(
            [*COMMAND, *words],
            capture_output=True, text=True, cwd=cwd, check=False,
            env={**os.environ, "PYTHONPATH": str(README.parent), **settings},
        )  # fmt: skip
    else:
        done = _forked(words, cwd or Path.cwd(), {**os.environ, **settings})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def _forked(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    with TemporaryFile() as output, TemporaryFile() as errors, Path(os.devnull).open() as nothing:
        streams = [nothing.fileno(), output.fileno(), errors.fileno()]
        code = forks.start(words, folder, {**environment, "PYTHONPATH": str(README.parent)}, streams).wait()
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(words, code, *texts)


def on_terminal(
    *arguments: object, code: int = 0, program: Sequence[str] | None = None, **settings: str
) -> str:
    """What a terminal gets of the command, or of a program, on stdout and stderr; with lines as elsewhere."""
    ours, theirs = pty.openpty()
    environment = {**ENVIRONMENT, "TERM": "xterm", **settings}
    if program is None:
        wait = forks.start(list(map(str, arguments)), Path.cwd(), environment, [theirs] * 3).wait
    else:
        wait = subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=environment).wait
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other end was closed
        while part := os.read(ours, 65_536):
            shown += part
    os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert wait() == code, text
    return text
