"""Checkpoints of runs that have ended: a check lists them, `--repair` removes them and nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from bloxdb.trainer.checkpoint import Checkpoint

import bloxdb
from bloxdb import Database
from bloxdb.care.checkpoints import checkpoints_folder
from bloxdb.care.places import tidy
from bloxdb.db.statuses import STATUSES
from bloxdb.measures import SEEDS
from bloxdb.writing import workspace
from tests.cli.helpers import bloxdb as command
from tests.trainer.helpers import digits_recipe

pytestmark = pytest.mark.slow

LAST = SEEDS[-1]


@pytest.fixture
def left(empty_db: Database) -> dict[str, Path]:
    """The checkpoint of a run of each status, one of the highest seed, and files that are none of ours."""
    recipe, folder = digits_recipe(1), checkpoints_folder(empty_db)
    found = {}
    with empty_db.transaction() as session:
        kept = bloxdb.db.Recipe(name="digits", dataset="digits", epochs=1, config={}, digest=recipe.digest)
        session.add(kept)
        session.flush()
        for seed, status in [*enumerate(STATUSES), (LAST, "finished")]:
            session.add(bloxdb.Run(arch_id=9, recipe_id=kept.id, seed=seed, status=status, train_time_s=1))
            checkpoint = Checkpoint(folder, recipe.digest, 9, seed)
            checkpoint.save({"epoch": 1})
            found[f"{status} {seed}"] = checkpoint.path
    for name in ("notes.pt", f"{'f' * 16}-9-0.pt", f"{recipe.digest[:16]}-9-{LAST + 1}.pt"):
        (folder / name).write_text("of somebody")
        found[name] = folder / name
    return found


ENDED = ["finished 2", "diverged 4", f"finished {LAST}"]


def test_a_check_lists_them_and_tidying_removes_them_alone(empty_db: Database, left: dict[str, Path]) -> None:
    assert empty_db.path is not None
    (found,) = [one for one in bloxdb.check(empty_db.path).findings if one.kind == "left"]
    size = sum(left[name].stat().st_size for name in ENDED)
    folder = checkpoints_folder(empty_db)
    assert found.message == (
        f"3 checkpoints of ended runs lie in {folder} and take {size / 1e6:,.1f} MB; `bloxdb check --repair`, "
        "or the next `bloxdb train`, removes what nobody needs any more"
    )
    before = empty_db.path.read_bytes()
    assert sorted(tidy(empty_db.path)) == sorted(left[name] for name in ENDED)
    assert {name for name, path in left.items() if not path.exists()} == set(ENDED)
    assert tidy(empty_db.path) == []
    assert bloxdb.check(empty_db.path).findings == []
    assert empty_db.path.read_bytes() == before


@pytest.mark.parametrize(("name", "code"), [("ix_runs_of_archs", 0), ("runs", 1)])
def test_a_damaged_database_is_repaired_and_keeps_what_its_runs_may_need(
    name: str, code: int, empty_db: Database, left: dict[str, Path], tmp_path: Path
) -> None:
    """Which runs have ended another index may tell; a folder that a killed process left is removed anyhow."""
    path = empty_db.path
    assert path is not None
    empty_db.close()
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    with path.open("r+b") as stream:
        stream.seek((root - 1) * 4096)
        stream.write(b"\xff" * 4096)
    with workspace(path.parent) as folder:
        pass
    folder.mkdir()
    copy = tmp_path / "copy.db"
    done = command("check", "--repair", copy, "--db", path, code=code)
    assert copy.is_file(), done.stderr
    assert not folder.exists()
    assert all(place.exists() for which, place in left.items() if which not in ENDED)
    assert "says where" not in done.stdout  # who checks is not told to check


def test_the_command_removes_them_without_a_copy(empty_db: Database, left: dict[str, Path]) -> None:
    path = empty_db.path
    assert path is not None
    command("check", "--db", path, code=1)
    assert all(one.exists() for one in left.values())
    told = json.loads(command("check", "--db", path, "--repair", "--json").stdout)
    assert sorted(told["removed"]) == sorted(str(left[name]) for name in ENDED)
    assert "repair" not in told
    assert list(path.parent.glob("*repaired*")) == []
    command("check", "--db", path, "--repair")


@pytest.mark.parametrize("status", STATUSES)
def test_one_is_kept_as_long_as_a_run_of_any_recipe_with_its_digest_may_need_it(
    empty_db: Database, left: dict[str, Path], status: str
) -> None:
    with empty_db.transaction() as session:
        digest = digits_recipe(1).digest
        again = bloxdb.db.Recipe(name="again", dataset="digits", epochs=1, config={}, digest=digest)
        session.add(again)
        session.flush()
        session.add(bloxdb.Run(arch_id=9, recipe_id=again.id, seed=LAST, status=status))
    is_ended = status in ("finished", "diverged")
    assert (left[f"finished {LAST}"] in tidy(empty_db.path)) is is_ended
    assert left[f"finished {LAST}"].exists() is not is_ended


def test_a_link_to_a_database_leads_to_the_same_checkpoints_and_leftovers(
    empty_db: Database, left: dict[str, Path], tmp_path: Path
) -> None:
    assert empty_db.path is not None
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(empty_db.path)
    with bloxdb.open(link, current=False) as db:
        assert checkpoints_folder(db) == checkpoints_folder(empty_db)
        with db.scratch() as folder:
            assert folder is not None
            assert folder.parent == empty_db.path.resolve().parent
    assert [found.kind for found in bloxdb.check(link).findings] == ["left"]
    assert sorted(tidy(link)) == sorted(left[name] for name in ENDED)
    assert bloxdb.check(link).findings == []


def test_a_checkpoint_that_is_just_removed_and_a_folder_that_is_none_end_no_check(
    empty_db: Database, left: dict[str, Path]
) -> None:
    gone = left[f"finished {LAST}"]
    gone.unlink()
    gone.symlink_to("nowhere")
    (found,) = bloxdb.check(empty_db.path).findings
    assert found.message.startswith("2 checkpoints of ended runs lie in ")
    folder = checkpoints_folder(empty_db)
    folder.rename(folder.with_name("moved"))
    folder.write_text("no folder")
    assert bloxdb.check(empty_db.path).findings == []
    assert tidy(empty_db.path) == []
