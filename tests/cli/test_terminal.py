"""What all commands have of the world outside: pipes, closed streams, encodings, terminals, hostile texts."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import bloxdb as product
from bloxdb.cli.terminal import clean
from tests.cli.helpers import COMMAND, ENVIRONMENT, bloxdb, on_terminal

HOSTILE = "\x1b[31m[bold]re\x07d[/bold]\x9b2J\u202e\t:smile:"

READING = {
    "help": ["--help"],
    "help of one": ["train", "-h"],
    "version": ["--version"],
    "top": ["top", "3", "--db", "DB"],
    "top json": ["top", "3", "--json", "--db", "DB"],
    "top csv": ["top", "3", "--csv", "--db", "DB"],
    "pareto": ["pareto", "--db", "DB"],
    "show": ["show", "SHOWN", "--db", "DB"],
    "status": ["status", "--db", "DB"],
    "many rows": ["sql", "SELECT * FROM epochs, (SELECT 1 FROM archs LIMIT 20)", "--db", "DB"],
    "many rows json": [
        "sql",
        "SELECT * FROM epochs, (SELECT 1 FROM archs LIMIT 20)",
        "--db",
        "DB",
        "--json",
    ],
    "verify": ["verify", "RELEASE"],
}
"""Commands that only read and say something."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Path:
    """A database whose every text has control characters and Rich's markup."""
    path = Path(shutil.copy(tiny_file, tmp_path_factory.mktemp("hostile") / "blox.db"))
    with product.open(path, current=False) as db, db.transaction() as session:
        session.execute(text("UPDATE recipes SET name = :x"), {"x": HOSTILE})
        session.execute(text("UPDATE devices SET name = :x || id"), {"x": HOSTILE})
        session.execute(text("UPDATE runs SET worker = :x, message = :x"), {"x": HOSTILE})
        session.execute(text("UPDATE runs SET status = 'failed' WHERE id = 1"))
        session.execute(text("UPDATE runs SET status = 'running' WHERE id = 2"))
    return path


@pytest.fixture(scope="module")
def filled(tiny_file: Path, golden: Path) -> Any:
    """A command of ours with its places filled in."""
    with product.open(tiny_file, read_only=True, current=False) as db:
        shown = db.rows("SELECT min(arch_id) AS id FROM runs")[0]["id"]
    places = {"DB": str(tiny_file), "RELEASE": str(golden / "release-tiny"), "SHOWN": str(shown)}
    return lambda arguments: [places.get(argument, argument) for argument in arguments]


def in_shell(arguments: list[str], rest: str, **settings: str) -> subprocess.CompletedProcess[str]:
    line = f"{shlex.join([*COMMAND, *arguments])} {rest}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env={**ENVIRONMENT, **settings}
    )


@pytest.mark.parametrize("name", READING)
def test_a_reader_that_leaves_ends_it_silently_as_it_ends_other_tools(name: str, filled: Any) -> None:
    # the reader has left before anything is written
    done = in_shell(filled(READING[name]), "> >(exec true); echo $?")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_the_lines_before_that_are_read(unbuffered: str, filled: Any) -> None:
    rest = "| head -n 2; echo ${PIPESTATUS[0]}"
    done = in_shell(filled(READING["many rows"]), rest, PYTHONUNBUFFERED=unbuffered)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run_id\tepoch\t")
    assert (len(lines), lines[2], done.stderr) == (3, "141", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", READING)
def test_closed_streams_are_no_error(name: str, filled: Any) -> None:
    closed = ">&- 2>&- <&-" if "rows" in name or name == "help" else ">&-"
    done = in_shell(filled(READING[name]), closed)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_that_is_written_is_never_mistaken_for_a_closed_stream(
    tmp_path: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "blox.db"))
    assert in_shell(["retry", "--failed", "--db", str(path)], ">&- 2>&-").returncode == 0
    with product.open(path, read_only=True, current=False) as db:
        assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("name", READING)
def test_a_full_disk_is_one_line_that_names_the_stream(name: str, unbuffered: str, filled: Any) -> None:
    done = in_shell(filled(READING[name]), "> /dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")


ENCODINGS = {
    "C": {"LC_ALL": "C"},
    "C without UTF-8": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["show", "status"])
def test_every_encoding_gets_what_it_can_show(name: str, encoding: str, filled: Any) -> None:
    done = subprocess.run(
        [*COMMAND, *filled(READING[name])], capture_output=True, check=False, env={**ENVIRONMENT, **ENCODINGS[encoding]}
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    if encoding != "C":
        shown = done.stdout.decode("ascii")
        assert "\\u" not in shown
        assert "#" in shown or name != "show"


@pytest.mark.slow
def test_what_an_encoding_has_not_is_spelled_out_and_the_rest_stays(tmp_path: Path) -> None:
    done = bloxdb("import", "é…€", "--db", tmp_path / "new.db", PYTHONIOENCODING="ascii", code=1)
    assert r"there is no file or folder \xe9...\u20ac" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_csv_in_a_file_is_utf_8_with_every_character(encoding: str, tiny_file: Path) -> None:
    texts = "é…€ ▁ × 木 \U0001f600 \x1b \u202e"
    statement = f"SELECT char({', '.join(str(ord(char)) for char in texts)}) AS a"
    environment = {**ENVIRONMENT, "PYTHONUTF8": "1", **ENCODINGS[encoding]}
    command = [*COMMAND, "sql", statement, "--db", str(tiny_file)]
    for option, expected in (("--csv", f"a\n{texts}\n"), ("--json", None)):
        done = subprocess.run([*command, option], capture_output=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        if expected is None:
            assert json.loads(done.stdout) == [{"a": texts}]
        else:
            assert done.stdout.decode() == expected


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *(("top", {variable: value}) for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb"))),
        *((name, {"TERM": "dumb"}) for name in ("help", "show", "status", "verify")),
    ],
)
def test_a_terminal_that_wants_plain_text_gets_it(name: str, settings: dict[str, str], filled: Any) -> None:
    shown = on_terminal(*filled(READING[name]), **settings)
    assert shown
    assert controls(shown) == set()


@pytest.mark.parametrize("name", ["import", "export"])
def test_a_dumb_terminal_gets_no_bar(name: str, tmp_path: Path, filled: Any, golden: Path) -> None:
    if name == "import":
        arguments = ["import", str(golden / "release-tiny"), "--db", str(tmp_path / "new.db")]
    else:
        arguments = filled(["export", "--db", "DB", "--out", str(tmp_path / "out")])
    assert controls(on_terminal(*arguments, TERM="dumb")) == set()


def controls(shown: str) -> set[str]:
    return {char for char in shown if char not in "\t\n" and clean(char) != char}


HOSTILE_COMMANDS = {
    "top": ["top"],
    "pareto": ["pareto"],
    "show": ["show", "SHOWN"],
    "status": ["status"],
    "sql": ["sql", 'SELECT name AS "\x1b[1ma", name FROM recipes'],
    "csv": ["sql", "SELECT name FROM recipes", "--csv"],
    "json": ["status", "--json"],
    "error": ["top", "--recipe", "none"],
    "error of a device": ["top", "--max-latency", "none", "1"],
    "error of SQL": ["sql", 'SELECT * FROM "\x1b[31m[bold]"'],
    "error of a file": ["import", "\x1b[31m[bold]re\x07d[/bold]"],
    "usage": ["\x1b[31m[bold]"],
}


@pytest.mark.parametrize("name", HOSTILE_COMMANDS)
def test_texts_are_data_on_a_terminal(name: str, hostile: Path, filled: Any) -> None:
    arguments = filled(HOSTILE_COMMANDS[name])
    code = 2 if name == "usage" else int(name.startswith("error"))
    db = ["--db", str(hostile)] if name != "usage" else []
    shown = on_terminal(*arguments, *db, COLUMNS="40" if name == "top" else "200", TERM="dumb", code=code)
    assert controls(shown) == set()
    assert "[bold]" in shown
    assert "\\x1b[31m" in shown or "\\u001b[31m" in shown


@pytest.mark.parametrize("name", ["top", "show", "status", "sql"])
def test_texts_are_one_field_of_a_line_in_a_pipe(name: str, hostile: Path, filled: Any) -> None:
    done = bloxdb(*filled(HOSTILE_COMMANDS[name]), "--db", hostile)
    assert controls(done.stdout + done.stderr) == set()
    assert clean(HOSTILE) in done.stdout


BAR = """
from bloxdb.cli.common import progress_bar
from bloxdb.cli.terminal import streams
with streams(), progress_bar("[bold]title") as progress:
    progress(1, 2, {what!r})
    import time; time.sleep(0.3)
"""


def test_a_progress_bar_shows_texts_as_they_are() -> None:
    shown = on_terminal(program=[COMMAND[0], "-c", BAR.format(what=HOSTILE)], COLUMNS="200")
    assert "[bold]title" in shown
    assert clean(HOSTILE) in shown
    assert not re.search("\x1b\\[31m|\x07|\x9b|\u202e", shown)
