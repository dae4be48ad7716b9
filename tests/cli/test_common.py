"""What all commands print rows with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_a_terminal_gets_a_table(tiny_file: Path) -> None:
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    command = [
        sys.executable,
        "-c",
        "from bloxdb.cli import main; main()",
        "top",
        "2",
        "--db",
        str(tiny_file),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )  # fmt: skip
    assert "\t" not in done.stdout
    assert re.search(r"\d{3},\d{3},\d{3}", done.stdout)
