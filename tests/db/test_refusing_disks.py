"""A disk that refuses, or fails: one sentence that says what it can be, and what to do."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import bloxdb
from bloxdb.db.access import refusal
from bloxdb.db.damage import damage_told, of_the_disk

CODES = sorted(name for name in vars(sqlite3) if name.startswith(("SQLITE_IOERR", "SQLITE_FULL")))
PATH = Path("/somewhere/blox.db")


def error_of(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    return error


@pytest.mark.parametrize("name", CODES)
def test_each_kind_of_refusal_has_a_sentence_with_the_file(name: str) -> None:
    error = error_of(name)
    said = of_the_disk(error, PATH)
    assert said is not None
    assert said == refusal(error, PATH)
    assert str(PATH) in said
    assert "try again" in said or "check" in said or "copy it" in said or name in said
    with pytest.raises(bloxdb.DatabaseError) as info, damage_told(PATH):
        raise error
    assert str(info.value) == said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SQLITE_FULL", "make room"),
        ("SQLITE_IOERR_WRITE", "a quota or a limit for the size of a file"),
        ("SQLITE_IOERR_TRUNCATE", "a quota or a limit for the size of a file"),
        ("SQLITE_IOERR_FSYNC", "a quota or a limit for the size of a file"),
        ("SQLITE_IOERR_SHORT_READ", "it was cut off"),
        ("SQLITE_IOERR_READ", "its disk fails"),
        ("SQLITE_IOERR_LOCK", "no locks"),
        ("SQLITE_IOERR_NOMEM", "too little memory"),
        ("SQLITE_IOERR_VNODE", "SQLITE_IOERR_VNODE"),
    ],
)
def test_what_is_said_is_true_of_the_kind(name: str, words: str) -> None:
    assert words in str(of_the_disk(error_of(name), PATH))


@pytest.mark.parametrize("name", ["SQLITE_BUSY", "SQLITE_ERROR", "SQLITE_CORRUPT", "SQLITE_CANTOPEN"])
def test_other_errors_are_none_of_the_disk(name: str) -> None:
    assert of_the_disk(error_of(name), PATH) is None
    assert of_the_disk(error_of("SQLITE_FULL"), None) is None
    assert of_the_disk(None, PATH) is None


COMMANDS = {
    "init": "init --db new.db",
    "import": "import {golden}/release-tiny --db there.db",
    "import into a new file": "import {golden}/release-tiny --db new.db",
    "merge": "merge tiny.db --db there.db",
    "backup": "backup new.db --db there.db",
    "compact backup": "backup new.db --compact --db there.db",
}


def contents(folder: Path) -> dict[str, str]:
    """Digests of files but for SQLite's header, which counts how often the journal was another one."""
    return {path.name: sha256(path.read_bytes()[100:]).hexdigest() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_limit_of_the_size_of_files_is_told_as_what_it_can_be(
    command: str, tmp_path: Path, empty_file: Path, tiny_file: Path, golden: Path
) -> None:
    shutil.copy(empty_file, tmp_path / "there.db")
    (tmp_path / "tiny.db").symlink_to(tiny_file)
    before = contents(tmp_path)
    limit = 1 << 20 if "new.db" in COMMANDS[command] else (tmp_path / "there.db").stat().st_size + 4096

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-m", "bloxdb", *COMMANDS[command].format(golden=golden).split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, preexec_fn=set_limit,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert last.startswith("Error: "), done.stderr
    assert ".bloxdb-" not in last
    assert "a quota or a limit for the size of a file" in last or "File too large" in last
    assert contents(tmp_path) == before
