"""Creating a database and upgrading one; real files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, space
from bloxdb.db import creation, database
from bloxdb.db.connection import locate
from bloxdb.db.dialects import APPLICATION_ID
from tests.db.helpers import next_scripts


def test_a_new_database_holds_the_search_space(empty_db: Database) -> None:
    assert empty_db.rows("SELECT count(*) AS n FROM archs") == [{"n": 91_125}]
    assert empty_db.rows("SELECT count(*) AS n FROM static_info") == [{"n": 91_125}]
    blocks = empty_db.rows("SELECT * FROM blocks ORDER BY id")
    assert [(b["scheme"], b["op1"], b["op2"]) for b in blocks] == [
        (b.scheme, b.op1, b.op2) for b in space.BLOCKS
    ]
    for index in (0, 1234, 91_124):
        (row,) = empty_db.rows("SELECT * FROM archs WHERE id = :id", id=index)
        assert row["hash"] == space.model_hash(space.arch_vec(index))
        assert json.loads(row["vec"]) == space.arch_vec(index)
        blocks_of = [row["block1_id"], row["block2_id"], row["block3_id"]]
        assert blocks_of == [block.index for block in space.blocks_of(index)]


def test_a_new_file_is_marked_checked_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "blox.db"
    with bloxdb.create(path) as db:
        assert db.rows("PRAGMA application_id") == [{"application_id": APPLICATION_ID}]
        assert db.rows("PRAGMA foreign_keys") == [{"foreign_keys": 1}]
        assert db.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert db.rows("PRAGMA foreign_key_check") == []
    assert [found.name for found in path.parent.iterdir()] == ["blox.db"]
    assert path.read_bytes()[68:72] == b"BLOX"


def test_creating_over_something_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("mine")
    with pytest.raises(bloxdb.DatabaseExistsError, match="exists already"):
        bloxdb.create(path)
    assert path.read_text() == "mine"


def test_an_older_database_names_the_command_and_is_upgraded_with_a_copy(
    tmp_path: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts")
    url = locate(path)
    with pytest.raises(bloxdb.RevisionError, match=r"older revision 0003.*bloxdb upgrade --db .*old\.db"):
        database.open_url(url, scripts=scripts)
    report = creation.upgrade_url(url, scripts)
    copy = report.copy
    assert (report.before, report.after) == ("0003", "0004")
    assert copy is not None
    assert copy.name.startswith("old.0003.")
    with database.open_url(url, scripts=scripts) as db:
        assert db.rows("SELECT count(*) AS n FROM runs WHERE remark IS NULL") == [{"n": 40}]
        # runs was made anew, and its children are still there
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
        assert db.rows("PRAGMA foreign_key_check") == []
        assert len(db.rows("SELECT * FROM leaderboard")) == 40
    with bloxdb.open(copy) as kept:
        assert kept.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
    assert repr(creation.upgrade_url(url, scripts)) == "<UpgradeReport: 0004 already>"


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts", "op.execute('SELECT * FROM nowhere')")
    with pytest.raises(bloxdb.DatabaseError, match="no such table: nowhere"):
        creation.upgrade_url(locate(path), scripts)
    with bloxdb.open(path) as db:
        assert "remark" not in [row["name"] for row in db.rows("PRAGMA table_info(runs)")]
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]


def test_a_migration_that_breaks_references_is_undone(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts", "op.execute('DELETE FROM recipes')")
    with pytest.raises(bloxdb.DatabaseError, match="broke 40 references"):
        creation.upgrade_url(locate(path), scripts)
    with bloxdb.open(path) as db:
        assert len(db.rows("SELECT * FROM recipes")) == 1
