"""No way into a database makes a recipe that nothing can be asked for by."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text

import bloxdb
from bloxdb import Database, Recipe
from bloxdb.db import references
from bloxdb.runs import RecipeFacts, RunQueue
from tests.cli.helpers import bloxdb as command
from tests.release.helpers import RAW, TINY

NAMES = ["*", " * ", "", " ", "\t\n", "\u2003", "one\ntwo", "\x1b[31m", "x" * 201]
ANSWER = "a recipe's name is a text of at most 200 characters that can be printed, not blank, and not '*'"


def renamed(name: str, tiny_file: Path, folder: Path) -> Path:
    """A database of before, whose recipe has the name."""
    path = Path(shutil.copy(tiny_file, folder / "old.db"))
    with bloxdb.open(path, current=False) as old, old.transaction() as session:
        session.execute(text("UPDATE recipes SET name = :name"), {"name": name})
    return path


def from_parquet(name: str, db: Database, golden: Path, folder: Path, tiny_file: Path) -> object:
    with bloxdb.open(renamed(name, tiny_file, folder), current=False) as old:
        bloxdb.export_parquet(folder / "parquet", old)
    return bloxdb.import_parquet(folder / "parquet", db)


def added(name: str, db: Database, *_: Path) -> object:
    with db.transaction() as session:
        return references.recipe_for(session, RecipeFacts(name, "digits", 3), "go")


ENTRIES: dict[str, Callable[[str, Database, Path, Path, Path], object]] = {
    "import_release": lambda name, db, golden, *_: bloxdb.import_release(
        golden / TINY / "blox-base-3.blox", db, recipe=name
    ),
    "import_release of results": lambda name, db, golden, *_: bloxdb.import_release(
        golden / RAW / "results_0_15.pickle", db, recipe=name
    ),
    "RunQueue": lambda name, db, *_: RunQueue(db, [7], RecipeFacts(name, "digits", 3), 0),
    "recipe_for": added,
    "merge": lambda name, db, golden, folder, tiny_file: bloxdb.merge(renamed(name, tiny_file, folder), db),
    "import_parquet": from_parquet,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_recipe_that_cannot_be_asked_for_is_not_made(
    entry: str, name: str, empty_db: Database, golden: Path, tmp_path: Path, tiny_file: Path
) -> None:
    told = ANSWER.replace("*", r"\*")
    if entry == "import_parquet":  # with the file, the row and the column
        told = rf"recipes.parquet, row 0, column name: ({told}|a text of 201 characters is longer than 200)"
    with pytest.raises((bloxdb.QueryError, bloxdb.BloxFormatError), match=told):
        ENTRIES[entry](name, empty_db, golden, tmp_path, tiny_file)
    assert empty_db.rows_of(select(Recipe.name)) == []


@pytest.mark.parametrize("name", [5, b"x", ["x"]])
def test_a_name_is_a_text(name: object, empty_db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.QueryError, match="a recipe's name is a text"):
        bloxdb.import_release(golden / TINY, empty_db, recipe=name)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["*", "", "  "])
@pytest.mark.parametrize("place", [f"{TINY}/blox-base-3.blox", f"{RAW}/results_0_15.pickle"])
def test_the_command_says_so_and_leaves_no_database(
    place: str, name: str, golden: Path, tmp_path: Path
) -> None:
    db = tmp_path / "new.db"
    done = command("import", golden / place, "--recipe", name, "--db", db, code=1)
    assert f"Error: {ANSWER}" in done.stderr
    assert not db.exists()


@pytest.mark.parametrize("name", ["*x", "a b", "**", "-"])
def test_other_names_are_taken_as_they_are(name: str, empty_db: Database, golden: Path) -> None:
    bloxdb.import_release(golden / TINY / "blox-base-3.blox", empty_db, recipe=name)
    assert {row["recipe"] for row in bloxdb.top(3, empty_db, recipe=name)} == {name}
