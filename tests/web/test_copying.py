"""The explorer as plain files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import bloxdb
from bloxdb import Database
from bloxdb.cli import main
from bloxdb.errors import QueryError
from bloxdb.web import page
from bloxdb.web.answers import answer, names
from bloxdb.web.copying import write_copy


@pytest.fixture(scope="module")
def copy(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies") / "sub" / "site"
    with bloxdb.open(explored_file, read_only=True, current=False) as db:
        write_copy(folder, db)
    return folder


def test_a_copy_has_the_page_and_every_answer(copy: Path, explored: Database) -> None:
    held = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert held == {*page.files(), *(f"data/{name}" for name in names())}
    for name in [*names()][:9]:
        if name != "training.json":
            assert (copy / "data" / name).read_bytes() == answer(explored, name).body
    assert max(path.stat().st_size for path in copy.rglob("*")) < 100e6
    assert [path.name for path in copy.parent.iterdir()] == ["site"]


def test_an_earlier_copy_is_replaced_and_nothing_else(copy: Path, explored: Database, tmp_path: Path) -> None:
    (copy / "left.txt").write_text("of an earlier version")
    told: list[tuple[int, int, str]] = []
    report = write_copy(copy, explored, progress=lambda *what: told.append(what))
    assert not (copy / "left.txt").exists()
    assert all(path.is_file() for path in report.files)
    assert told[-1] == (len(report.files), len(report.files), "files")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(
        QueryError, match="there is something else in .*; name a folder that is not there yet"
    ):
        write_copy(tmp_path, explored)
    with pytest.raises(QueryError, match="is a file; name a folder"):
        write_copy(tmp_path / "mine.txt", explored)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_command_writes_one_without_datasette_and_says_how_to_look(
    explored_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    without = "import sys; sys.modules['datasette'] = None; from bloxdb.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", without, "explore", "--db", str(explored_file), "--static", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m http.server -d {folder}" in done.stdout
    assert (folder / page.INDEX).is_file()


def test_a_copy_has_no_address(explored_file: Path, tmp_path: Path) -> None:
    for option in (["--host", "0.0.0.0"], ["--port", "80"], ["--no-browser"]):
        done = CliRunner().invoke(
            main, ["explore", "--db", str(explored_file), "--static", str(tmp_path / "s"), *option]
        )
        assert done.exit_code == 2
        assert "--static serves nothing" in done.output
    assert not (tmp_path / "s").exists()
