"""``~`` is a home folder wherever a path is given, as no shell makes it of `--out=~/x`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from bloxdb.trainer import Job, default_recipe
from matplotlib.figure import Figure

import bloxdb
from bloxdb import codecs, compat, draw, plot
from bloxdb.cli import main
from bloxdb.db import Database
from bloxdb.release import release_files, verify_release
from tests.cli.helpers import bloxdb as command

TINY = "~/release"
BLANK = ["", " ", "\n\t"]  # of a variable that is not set


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Path, tiny_file: Path) -> Path:
    """A home folder with a release and a database, and another folder to work in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(golden / "release-tiny", tmp_path / "release")
    shutil.copy(tiny_file, tmp_path / "tiny.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return tmp_path


def _with_db(ask: Callable[[Database], Any]) -> Any:
    with bloxdb.open("~/tiny.db", read_only=True) as db:
        return ask(db)


def _parquet(db: Database) -> Any:
    bloxdb.export_parquet("~/parquet", db)
    with bloxdb.create("sqlite:///~/from-parquet.db") as made:
        return bloxdb.import_parquet("~/parquet", made)


ENTRIES: dict[str, Callable[[], Any]] = {
    "open": lambda: _with_db(repr),
    "create": lambda: bloxdb.create("~/some/new.db").close(),
    "upgrade": lambda: bloxdb.upgrade("~/tiny.db"),
    "import_release": lambda: _import([TINY, "~/release/blox-info.csv"]),
    "export_release": lambda: _with_db(lambda db: bloxdb.export_release("~/out/a", db).files),
    "export_parquet, import_parquet": lambda: _with_db(_parquet),
    "merge": lambda: _merge(),
    "from_folder": lambda: bloxdb.from_folder(TINY),
    "compat.from_folder": lambda: compat.from_folder(TINY),
    "Drawing.save": lambda: draw.arch(7).save("~/a.svg"),
    "plot.save": lambda: plot.save(Figure().add_subplot(), "~/a.svg"),
    "codecs.read": lambda: codecs.read("~/release/blox-info.csv"),
    "codecs.read_header": lambda: codecs.read_header("~/release/blox-info.csv"),
    "codecs.write": lambda: codecs.write(codecs.read("~/release/blox-info.csv"), "~/blox-info.blox"),
    "compat.StaticInfoDataset": lambda: compat.StaticInfoDataset("~/release/blox-info.csv"),
    "release_files": lambda: release_files(TINY),
    "verify_release": lambda: verify_release(TINY),
}


BY_PATH: dict[str, Callable[[str], Any]] = {
    "import_release": lambda path: _with_db(lambda db: bloxdb.import_release([path], db)),
    "export_release": lambda path: _with_db(lambda db: bloxdb.export_release(path, db)),
    "export_parquet": lambda path: _with_db(lambda db: bloxdb.export_parquet(path, db)),
    "import_parquet": lambda path: _with_db(lambda db: bloxdb.import_parquet(path, db)),
    "from_folder": bloxdb.from_folder,
    "Drawing.save": lambda path: draw.arch(7).save(path),
    "codecs.read": codecs.read,
    "verify_release": verify_release,
    "checkpoints": lambda path: Job("a.db", (), default_recipe("digits"), 0, checkpoints=path),
}


def _import(paths: list[str]) -> Any:
    with bloxdb.create("~/imported.db") as db:
        return bloxdb.import_release(paths, db)


def _merge() -> Any:
    with bloxdb.create("~/merged.db") as db:
        return bloxdb.merge(["~/tiny.db"], db)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_tilde_is_the_home_folder(entry: str, home: Path) -> None:
    ENTRIES[entry]()
    assert list(Path().iterdir()) == []  # nothing was looked for or made under the name '~'


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("entry", BY_PATH)
def test_a_blank_path_is_not_this_folder(entry: str, blank: str, home: Path) -> None:
    with pytest.raises(bloxdb.BloxError, match="a path is blank: name a file or a folder"):
        BY_PATH[entry](blank)
    assert list(Path().iterdir()) == []


BY_ANY: dict[str, Callable[[Any], Any]] = {
    **BY_PATH,
    "import_release, one": lambda path: _with_db(lambda db: bloxdb.import_release(path, db)),
    "open": lambda path: bloxdb.open(path, current=False),
    "create": lambda path: bloxdb.create(path, current=False),
    "upgrade": bloxdb.upgrade,
    "check": bloxdb.check,
    "repair": bloxdb.repair,
    "merge": lambda path: _with_db(lambda db: bloxdb.merge([path], bloxdb.create("~/other.db"))),
    "backup": lambda path: _with_db(lambda db: bloxdb.backup(path, db)),
    "plot.save": lambda path: plot.save(Figure().add_subplot(), path),
    "compat.from_folder": compat.from_folder,
    "codecs.write": lambda path: codecs.write(codecs.read("~/release/blox-info.csv"), path),
}
NO_PATHS: dict[str, Any] = {
    "NUL": "a\0b.blox",
    "a long name": "a" * 300 + ".blox",
    "a long path": "folder/" * 1_000 + "a.blox",
    "half of a pair": "a\ud800.blox",
    "bytes": b"a.blox",
    "a number": 5,
}


@pytest.mark.parametrize("kind", NO_PATHS)
@pytest.mark.parametrize("entry", BY_ANY)
def test_what_is_no_path_is_told_and_nothing_is_made(entry: str, kind: str, home: Path) -> None:
    message = "a path|is no path|text or a Path|named by a text|a file; name it by its path|is no name for"
    with pytest.raises(bloxdb.BloxError, match=message):
        BY_ANY[entry](NO_PATHS[kind])
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("entry", BY_ANY)
def test_a_folder_that_was_removed_is_no_place_to_begin_from(entry: str, home: Path) -> None:
    Path.cwd().rmdir()
    try:
        with pytest.raises(bloxdb.BloxError, match="the folder that you are in was removed"):
            BY_ANY[entry]("a.blox")
    finally:
        os.chdir(home)


@pytest.mark.parametrize("place", ["file", "file/folder", "folder/file/a/b"])
@pytest.mark.parametrize("export", ["export_release", "export_parquet"])
def test_a_file_is_no_folder_to_export_into(export: str, place: str, home: Path) -> None:
    Path("folder").mkdir()
    for file in (Path("file"), Path("folder/file")):
        file.write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"it is no folder: .*file'$"):
        _with_db(lambda db: getattr(bloxdb, export)(place, db))
    assert sorted(map(str, Path().rglob("*"))) == ["file", "folder", "folder/file"]
    assert Path("file").read_text() == "mine"


def test_exported_files_are_told_where_they_are(home: Path) -> None:
    files = _with_db(lambda db: bloxdb.export_release("~/out", db).files)
    assert files[0].parent == home / "out"
    assert files[0].is_file()


def test_folders_of_a_job_know_home(home: Path) -> None:
    names = ("checkpoints", "data_dir", "tensorboard", "weights_dir")
    job = Job("a.db", (), default_recipe("digits"), 0, **dict.fromkeys(names, "~/folder"))
    assert {getattr(job, name) for name in names} == {home / "folder"}


@pytest.mark.slow
@pytest.mark.parametrize("joined", ["--out=~/x", "--out ~/x"])
def test_the_command_line_knows_home_too(joined: str, home: Path) -> None:
    command("import", "~/release", "--db=~/a.db")
    command("export", "--db=sqlite:///~/a.db", *joined.split(" "), "--format", "csv")
    assert (home / "x" / "blox-info.csv").is_file()
    told = command("verify", "~/x").stdout
    assert [path.name in told for path in (home / "x").iterdir()] == [True] * 6
    command("merge", "~/tiny.db", "--db=~/a.db")
    assert list(Path().iterdir()) == []


def test_every_path_of_the_command_line_is_of_the_type_that_knows_home() -> None:
    context = click.Context(main)
    found = 0
    for name in main.list_commands(context):
        shown = main.get_command(context, name)
        assert shown is not None
        for option in shown.params:
            if isinstance(option.type, click.Path):
                assert option.type.convert("~/x", option, context) == Path("~/x").expanduser(), option.name
                for blank in BLANK:
                    with pytest.raises(bloxdb.BloxError, match="a path is blank"):
                        option.type.convert(blank, option, context)
                found += 1
    assert found >= 6
