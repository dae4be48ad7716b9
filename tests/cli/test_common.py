"""What all commands print rows with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from bloxdb.cli.common import show_rows


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


ROWS = [{"a": 1, "b": None, "c": "x,y"}, {"a": 2.5, "b": "z", "c": ""}]


@pytest.mark.parametrize(
    ("options", "rows", "out"),
    [
        ({}, ROWS, "a\tb\tc\n1\t\tx,y\n2.5\tz\t\n"),
        ({"as_csv": True}, ROWS, 'a,b,c\n1,,"x,y"\n2.5,z,\n'),
        ({"as_csv": True}, [], ""),
        ({"as_json": True}, [], "[]\n"),
        ({}, [], ""),
    ],
)
def test_rows_are_printed_as_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], options: dict[str, bool], rows: list[dict[str, object]], out: str
) -> None:
    show_rows(rows, **options)
    printed = capsys.readouterr()
    assert printed.out == out
    assert printed.err == ("" if rows or options else "(no rows)\n")


def test_json_keeps_numbers_and_none_and_writes_dates_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([*ROWS, {"at": datetime(2026, 1, 2, 3)}], as_json=True)
    assert json.loads(capsys.readouterr().out) == [*ROWS, {"at": "2026-01-02 03:00:00"}]
