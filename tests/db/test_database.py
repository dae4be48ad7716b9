"""Creating, opening, upgrading; real files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

import bloxdb
from bloxdb import Database, space
from bloxdb.db import creation, database, revisions, schema
from bloxdb.db.connection import locate
from bloxdb.db.dialects import APPLICATION_ID

NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("remark", sa.Text()))
    {more}
"""


def next_scripts(folder: Path, more: str = "") -> Path:
    """A copy of the shipped migrations with one more revision, as a later bloxdb would have it."""
    shutil.copytree(revisions.shipped_scripts(), folder)
    (folder / "versions" / "0002_remark.py").write_text(NEXT.format(more=more))
    return folder


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


def test_opening_nothing_says_how_to_create(tmp_path: Path) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError, match="bloxdb init --db .*none.db"):
        bloxdb.open(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_other_files_are_refused_untouched(tmp_path: Path) -> None:
    text_file, other, folder = tmp_path / "a.txt", tmp_path / "b.db", tmp_path / "c"
    text_file.write_text("hello " * 50)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    folder.mkdir()
    for path, message in (
        (text_file, "not an SQLite file"),
        (other, "not a bloxdb database"),
        (folder, "cannot be read"),
    ):
        for action in (bloxdb.open, bloxdb.upgrade):
            with pytest.raises(bloxdb.NotADatabaseError, match=message):
                action(path)
    assert text_file.read_text() == "hello " * 50


def test_the_place_comes_from_the_environment_or_the_data_folder(
    empty_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLOXDB_URL", f"sqlite:///{empty_file}")
    with bloxdb.open(read_only=True) as db:
        assert db.path == empty_file
    monkeypatch.delenv("BLOXDB_URL")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert locate(None).database == str(tmp_path / "bloxdb" / "blox.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://h/d", "'mysql' databases are not supported"),
        ("sqlite://", "in memory"),
        ("nonsense://", "not supported|not a database URL"),
    ],
)
def test_urls_that_cannot_be_are_refused(url: str, message: str) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError, match=message):
        bloxdb.open(url)


def test_a_read_only_database_refuses_writing(empty_file: Path) -> None:
    with bloxdb.open(empty_file, read_only=True) as db:
        assert "read only" in repr(db)
        with pytest.raises(bloxdb.DatabaseError, match="read only"), db.transaction():
            pass
        with pytest.raises(bloxdb.DatabaseError, match="readonly"):
            db.rows("DELETE FROM blocks")


def test_a_failed_transaction_leaves_nothing(empty_db: Database) -> None:
    device = text("INSERT INTO devices (id, name) VALUES (1, 'a')")
    latency = text("INSERT INTO latencies VALUES (91125, 1, 1.0, NULL)")

    def write() -> None:
        with empty_db.transaction() as session:
            session.execute(device)
            session.execute(latency)

    with pytest.raises(bloxdb.DatabaseError, match="FOREIGN KEY"):
        write()
    assert empty_db.rows("SELECT * FROM devices") == []


def test_sql_that_is_none_is_a_sentence(empty_db: Database) -> None:
    with pytest.raises(bloxdb.DatabaseError, match='near "SELEC"'):
        empty_db.rows("SELEC 1")


def test_models_and_migrations_agree(empty_db: Database) -> None:
    config = revisions.alembic_config()
    with empty_db.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises if autogenerate would find something to do
    assert revisions.script_directory().get_current_head() == revisions.REVISION
    columns = [row["name"] for row in empty_db.rows("PRAGMA table_info(leaderboard)")]
    assert tuple(columns) == schema.LEADERBOARD_COLUMNS


def test_an_older_database_names_the_command_and_is_upgraded_with_a_copy(
    tmp_path: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    scripts = next_scripts(tmp_path / "scripts")
    url = locate(path)
    with pytest.raises(bloxdb.RevisionError, match=r"older revision 0001.*bloxdb upgrade --db .*old\.db"):
        database.open_url(url, scripts=scripts)
    report = creation.upgrade_url(url, scripts)
    copy = report.copy
    assert (report.before, report.after) == ("0001", "0002")
    assert copy is not None
    assert copy.name.startswith("old.0001.")
    with database.open_url(url, scripts=scripts) as db:
        assert db.rows("SELECT count(*) AS n FROM runs WHERE remark IS NULL") == [{"n": 40}]
        # runs was made anew, and its children are still there
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
        assert db.rows("PRAGMA foreign_key_check") == []
        assert len(db.rows("SELECT * FROM leaderboard")) == 40
    with bloxdb.open(copy) as kept:
        assert kept.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
    assert repr(creation.upgrade_url(url, scripts)) == "<UpgradeReport: 0002 already>"


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


def test_a_newer_database_is_refused(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "new.db"))
    creation.upgrade_url(locate(path), next_scripts(tmp_path / "scripts"))
    for action in (bloxdb.open, bloxdb.upgrade):
        with pytest.raises(bloxdb.RevisionError, match="revision 0002, which this bloxdb does not know"):
            action(path)


def test_a_developer_can_autogenerate_a_revision(tmp_path: Path, empty_file: Path) -> None:
    root = Path(__file__).parents[2]
    shutil.copytree(
        root / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(root / "alembic.ini", tmp_path)
    shutil.copy(empty_file, tmp_path / "dev.db")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "revision", "--autogenerate", "--rev-id", "0002", "-m", "nothing"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    made = (tmp_path / "migrations" / "versions" / "0002_nothing.py").read_text()
    assert "0002_nothing.py" in done.stdout
    assert "create_table" not in made
    assert "pass" in made
