"""What tests of commands share: a command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def bloxdb(*arguments: object, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is always a failure."""
    done = subprocess.run(
        [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done
