"""Creating a database and upgrading one; real files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database, space
from bloxdb.db import creation, database
from bloxdb.db.access import has_wal
from bloxdb.db.connection import locate
from bloxdb.db.database import current
from bloxdb.db.revisions import REVISION
from bloxdb.db.sqlite import APPLICATION_ID
from tests.db.helpers import NEXT_REVISION, next_scripts
from tests.db.programs import start


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
    with pytest.raises(
        bloxdb.RevisionError, match=rf"older revision {REVISION}.*bloxdb upgrade --db .*old\.db"
    ):
        database.open_url(url, scripts=scripts)
    report = creation.upgrade_url(url, scripts)
    copy = report.copy
    assert (report.before, report.after) == (REVISION, NEXT_REVISION)
    assert copy is not None
    assert copy.name.startswith(f"old.{REVISION}.")
    with database.open_url(url, scripts=scripts) as db:
        assert db.rows("SELECT count(*) AS n FROM runs WHERE remark IS NULL") == [{"n": 40}]
        # runs was made anew, and its children are still there
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
        assert db.rows("PRAGMA foreign_key_check") == []
        assert len(db.rows("SELECT * FROM leaderboard")) == 40
    with bloxdb.open(copy) as kept:
        assert kept.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
    assert repr(creation.upgrade_url(url, scripts)) == f"<UpgradeReport: {NEXT_REVISION} already>"


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts", "op.execute('SELECT * FROM nowhere')")
    with pytest.raises(bloxdb.DatabaseError, match="no such table: nowhere"):
        creation.upgrade_url(locate(path), scripts)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["old.db", "scripts"], "no copy is left"
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


UPGRADE = """
import sys
from pathlib import Path
from bloxdb.db import creation
from bloxdb.db.connection import locate
print(repr(creation.upgrade_url(locate(sys.argv[1]), Path(sys.argv[2]))))
"""


@pytest.mark.slow
def test_of_upgrades_at_once_one_does_it_and_keeps_a_copy(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")  # both have made their copies when one may begin
        both = [start(UPGRADE, path, scripts) for _ in range(2)]
        while len(list(tmp_path.glob("old.0*.db"))) < 2:
            time.sleep(0.05)
        holder.execute("ROLLBACK")
    told = sorted(process.communicate(timeout=100) for process in both)
    assert [process.returncode for process in both] == [0, 0], told
    (copy,) = tmp_path.glob("old.0*.db")
    assert [said for said, _ in told] == [
        f"<UpgradeReport: {REVISION} to {NEXT_REVISION}, the database before it is {copy.name}>\n",
        f"<UpgradeReport: {NEXT_REVISION} already>\n",
    ]
    with bloxdb.open(copy) as kept:
        assert kept.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]


def test_an_upgrade_says_what_it_did(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    url, scripts = locate(path), next_scripts(tmp_path / "scripts")
    report = creation.upgrade_url(url, scripts)
    assert report.copy is not None
    assert (
        repr(report)
        == f"<UpgradeReport: {report.before} to {NEXT_REVISION}, the database before it is {report.copy.name}>"
    )
    assert repr(creation.UpgradeReport("0001", "0002")) == "<UpgradeReport: 0001 to 0002>"
    before = sorted(found.name for found in tmp_path.iterdir())
    assert creation.upgrade_url(url, scripts).copy is None
    assert sorted(found.name for found in tmp_path.iterdir()) == before, "nothing to do, so no copy"


def test_a_database_of_a_later_bloxdb_is_not_upgraded(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "new.db"))
    with bloxdb.open(path) as db, db.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = path.read_bytes()
    with pytest.raises(bloxdb.RevisionError, match="9999"):
        bloxdb.upgrade(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["new.db"]


@pytest.mark.parametrize("ending", [RuntimeError, KeyboardInterrupt])
def test_a_new_database_goes_with_what_failed_and_an_old_one_stays(
    tmp_path: Path, tiny_file: Path, ending: type[BaseException]
) -> None:
    old, new = Path(shutil.copy(tiny_file, tmp_path / "old.db")), tmp_path / "new.db"

    def fill(path: Path) -> None:
        with creation.open_or_create(path) as (db, is_new):
            assert is_new is (path == new)
            with db.transaction() as session:
                session.execute(text("INSERT INTO devices (name) VALUES ('mine')"))
            raise ending("what follows failed")

    for path in (new, old):
        with pytest.raises(ending, match="what follows failed"):
            fill(path)
    assert [found.name for found in tmp_path.iterdir()] == ["old.db"]
    with bloxdb.open(old) as db:
        assert db.rows("SELECT count(*) AS n FROM devices WHERE name = 'mine'") == [{"n": 1}]


@pytest.mark.parametrize("which", ["old", "new"])
def test_what_is_opened_or_created_for_a_while_is_not_the_current_one(
    tmp_path: Path, tiny_file: Path, which: str
) -> None:
    shutil.copy(tiny_file, tmp_path / "old.db")
    with bloxdb.open(tiny_file, read_only=True) as before:
        with creation.open_or_create(tmp_path / f"{which}.db") as (db, is_new):
            assert is_new is (which == "new")
            assert current() is before is not db
        assert current() is before


def test_developers_get_a_connection_that_is_given_back(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "dev.db"))
    with creation.connect_for_developers(str(path)) as connection:
        connection.execute(text("INSERT INTO devices (name) VALUES ('mine')"))
        assert has_wal(path)
    assert not has_wal(path)
    with bloxdb.open(path) as db:
        assert db.rows("SELECT count(*) AS n FROM devices WHERE name = 'mine'") == [{"n": 1}]
    assert [found.name for found in tmp_path.iterdir()] == ["dev.db"], "no connection is left open"


@pytest.mark.slow
def test_a_new_database_is_the_current_one_unless_told_otherwise(tmp_path: Path) -> None:
    with bloxdb.create(tmp_path / "first.db") as first:
        assert current() is first
        with bloxdb.create(tmp_path / "second.db", current=False):
            assert current() is first
        with bloxdb.create(tmp_path / "third.db") as third:
            assert current() is third
        assert current() is first
