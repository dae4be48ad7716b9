"""What is no open database gets a sentence, at every public entry that takes one.

The entries are found by their signatures, so that a new one is tested here without being named.
"""

from __future__ import annotations

import inspect
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine
from sqlalchemy.orm import Session

import bloxdb
from bloxdb import Database
from bloxdb.db import RecipeFacts
from tests.cli.helpers import bloxdb as command
from tests.conftest import GOLDEN
from tests.helpers import parameters_of, public_entries

ARGUMENTS: dict[str, Any] = {
    "arch_id": 0,
    "archs": [0],
    "facts": {},
    "folder": "a folder",
    "key": 0,
    "others": ["another.db"],
    "paths": [GOLDEN / "release-tiny" / "blox-info.csv"],
    "recipe": "cifar100-10",
    "run_id": 1,
    "seed": 3,
    "what": "runs",
    "worker": "somebody",
}
"""Something that is right for each parameter that has to be given beside ``db``; add yours."""

OF_ENTRY: dict[str, dict[str, Any]] = {
    "RunQueue": {"recipe": RecipeFacts("cifar100-10", "cifar100", 10)},
    "curves": {"archs": [3134]},
}
"""The same where a name means something else."""


def is_text(value: object) -> bool:
    return isinstance(value, str | Path)


def entries(parameter: str, kind: str) -> dict[str, Callable[..., Any]]:
    """Public entries with a parameter of this name and type."""
    return {
        name: found
        for name, found in public_entries()
        if (taken := parameters_of(found).get(parameter)) and kind in str(taken.annotation)
    }


ENTRIES = entries("db", "Database")
BY_PATH = {**entries("path_or_url", "PathLike"), **entries("database", "PathLike")}

NO_DATABASES: dict[str, tuple[Any, str]] = {
    "a path": ("a.db", r"not the path 'a\.db': write db=bloxdb\.open"),
    "a Path": (Path("some/a.db"), r"not the path 'some/a\.db': write db=bloxdb\.open"),
    "bytes": (b"a.db", r"not the path b'a\.db': write db=bloxdb\.open"),
    "an empty text": ("", "not the path '': write db=bloxdb.open"),
    "a URL": ("sqlite:///a.db", r"not a URL: write db=bloxdb\.open"),
    "a URL of SQLAlchemy": (URL.create("sqlite", database="a.db"), r"not a URL: write db=bloxdb\.open"),
    "a session": (Session(), "not an object of type Session"),
    "an engine": (create_engine("sqlite://"), "not an object of type Engine"),
    "the class": (Database, "not an object of type type"),
    "the module": (bloxdb, "not an object of type module"),
    "a number": (0, "not an object of type int"),
    "False": (False, "not an object of type bool"),
    "a list": ([], "not an object of type list"),
}


def call(entry: str, db: object, **more: object) -> Any:
    given = {**ARGUMENTS, **OF_ENTRY.get(entry, {}), **more}
    given["path"] = Path(str(given["folder"]), f"{secrets.token_hex(8)}.db")  # of a file that is made
    needed = [
        name
        for name, parameter in parameters_of(ENTRIES[entry]).items()
        if name != "db" and parameter.default is inspect.Parameter.empty
    ]
    unknown = [name for name in needed if name not in given]
    assert not unknown, f"{entry} needs {', '.join(unknown)}: say in ARGUMENTS what is right for it"
    return ENTRIES[entry](**{name: given[name] for name in needed}, db=db)


def test_the_entries_are_found() -> None:
    expected = {"top", "pareto", "merge", "Arch.get", "Problem", "compat.from_database", "to_polars", "retry"}
    assert expected | {"RunQueue", "DatabaseSource", "environment_id"} <= set(ENTRIES)
    assert set(BY_PATH) == {"open", "create", "upgrade", "open_or_create", "check", "repair"}


@pytest.mark.parametrize("kind", NO_DATABASES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_no_open_database_is_told(
    entry: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong, told = NO_DATABASES[kind]
    with pytest.raises(bloxdb.QueryError, match=f"db is a database that bloxdb.open gives, {told}"):
        call(entry, wrong)
    assert list(tmp_path.iterdir()) == []  # nothing was opened or made under that name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("databases-everywhere")


@pytest.fixture(scope="module")
def db(folder: Path, tiny_file: Path) -> Iterator[Database]:
    """The current database, and a folder of Parquet files made from it."""
    with bloxdb.open(shutil.copy(tiny_file, folder / "tiny.db")) as opened:
        bloxdb.export_parquet(folder, opened)
        yield opened


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_database_and_the_current_one_are_taken(
    entry: str, db: Database, folder: Path, tiny_file: Path
) -> None:
    right = {"folder": folder, "others": [tiny_file]}
    call(entry, db, **right)
    if parameters_of(ENTRIES[entry])["db"].default is None:
        call(entry, None, **right)  # which is the current one
    else:
        with pytest.raises(bloxdb.QueryError, match="db is a database that bloxdb.open gives, not None"):
            call(entry, None)


@pytest.mark.parametrize("kind", [kind for kind, (wrong, _) in NO_DATABASES.items() if not is_text(wrong)])
@pytest.mark.parametrize("entry", BY_PATH)
def test_what_names_no_database_is_told(entry: str, kind: str) -> None:
    wrong = NO_DATABASES[kind][0]
    told = f"a database is named by a text, not by an object of type {type(wrong).__name__}; write a path"
    with pytest.raises(bloxdb.DatabaseNotFoundError, match=told), ExitStack() as stack:
        stack.enter_context(BY_PATH[entry](wrong))


OTHERS: dict[str, Callable[[Any, Database], object]] = {
    "merge": lambda other, db: bloxdb.merge(other, db),
    "merge, one of several": lambda other, db: bloxdb.merge([db.path, other], db),
    "backup": lambda other, db: bloxdb.backup(other, db),
    "repair, copy": lambda other, db: bloxdb.repair(db.path, copy=other),
}
"""Whatever names a database beside the one that is asked; add yours."""

COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "merge": lambda other: ["merge", other],
    "merge, one of several": lambda other: ["merge", "x.db", other],
    "backup": lambda other: ["backup", other],
    "check --repair": lambda other: ["check", f"--repair={other}"],
}
"""The same of the command line."""

BLANK = ["", " ", "\t\n"]


@pytest.mark.parametrize("blank", [*BLANK, None])
@pytest.mark.parametrize("way", OTHERS)
def test_another_database_has_to_be_named(
    way: str, blank: str | None, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLOXDB_URL", str(tmp_path / "another.db"))
    if blank is None and way == "repair, copy":
        return  # it is the usual place
    with pytest.raises(bloxdb.DatabaseNotFoundError, match="named by its path, not by ['N].*: only the"):
        OTHERS[way](blank, db)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("way", COMMANDS)
def test_a_command_has_to_name_another_database(way: str, blank: str, db: Database, tmp_path: Path) -> None:
    words = [*COMMANDS[way](blank), "--db", db.path]
    if "several" in way:
        shutil.copy(db.path or "", tmp_path / "x.db")
    before = list(tmp_path.iterdir())
    told = command(*words, code=1, cwd=tmp_path, BLOXDB_URL=str(tmp_path / "another.db")).stderr
    assert re.match("Error: (a .* is named by its path, not by '|a path is blank: name a file)", told)
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize("blank", BLANK)
@pytest.mark.parametrize("way", ["open", "check", "upgrade"])
def test_the_database_that_is_asked_may_be_left_blank(
    way: str, blank: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOXDB_URL", str(db.path))
    with ExitStack() as stack:
        found = BY_PATH[way](blank)
        if isinstance(found, Database):
            stack.enter_context(found)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(bloxdb.QueryError) as caught:
        bloxdb.top(1, "postgresql://me:secret@host/blox")  # type: ignore[arg-type]
    assert not re.search("secret|host", str(caught.value))
