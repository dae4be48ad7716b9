"""Revisions: models and migrations agree, and what is not known is refused."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.db import creation, revisions
from bloxdb.db.connection import locate
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS
from tests.db.helpers import NEXT_REVISION, downgrade, next_scripts


def test_models_and_migrations_agree(empty_db: Database) -> None:
    config = revisions.alembic_config()
    with empty_db.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)  # raises if autogenerate would find something to do
    assert revisions.script_directory().get_current_head() == revisions.REVISION
    columns = [row["name"] for row in empty_db.rows("PRAGMA table_info(leaderboard)")]
    assert tuple(columns) == LEADERBOARD_COLUMNS


def test_a_database_of_revision_0002_is_upgraded(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    with bloxdb.open(path) as db:
        before = db.rows("SELECT * FROM runs ORDER BY id")
        downgrade(db, "0003")
        with db.transaction() as session:
            session.execute(text("ALTER TABLE runs DROP COLUMN device_workers"))
            session.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    report = bloxdb.upgrade(path)
    assert (report.before, report.after) == ("0002", revisions.REVISION)
    with bloxdb.open(path) as db:
        assert db.rows("SELECT * FROM runs ORDER BY id") == before
        assert {row["device_workers"] for row in before} == {None}
        test_models_and_migrations_agree(db)


def test_a_newer_database_is_refused(tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "new.db"))
    creation.upgrade_url(locate(path), next_scripts(tmp_path / "scripts"))
    for action in (bloxdb.open, bloxdb.upgrade):
        with pytest.raises(
            bloxdb.RevisionError, match=f"revision {NEXT_REVISION}, which this bloxdb does not know"
        ):
            action(path)


@pytest.mark.slow
def test_a_developer_can_autogenerate_a_revision(tmp_path: Path, empty_file: Path) -> None:
    root = Path(__file__).parents[2]
    shutil.copytree(
        root / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(root / "alembic.ini", tmp_path)
    shutil.copy(empty_file, tmp_path / "dev.db")
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "revision", "--autogenerate", "--rev-id", NEXT_REVISION, "-m", "nothing"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    made = (tmp_path / "migrations" / "versions" / f"{NEXT_REVISION}_nothing.py").read_text()
    assert f"{NEXT_REVISION}_nothing.py" in done.stdout
    assert "create_table" not in made
    assert "pass" in made


def test_the_indices_of_an_older_database_are_those_of_a_new_one(empty_db: Database, tmp_path: Path) -> None:
    def indices(db: Database) -> list[dict[str, object]]:
        return db.rows("SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name")

    expected = indices(empty_db)
    downgrade(empty_db, "0003")
    assert indices(empty_db) != expected
    with empty_db.autocommit() as connection, empty_db.engines.migration(connection):
        revisions.run(connection)
    assert indices(empty_db) == expected


DAMAGED = {
    "several": (["INSERT INTO alembic_version VALUES ('0001'), ('zzz')"], "has 3 schema revisions in alembic_version, where one is due: '0005', '0001', 'zzz'"),
    "none": (["DELETE FROM alembic_version"], "has tables of bloxdb, but no schema revision in alembic_version"),
    "no table": (["DROP TABLE alembic_version"], "has tables of bloxdb, but no schema revision in alembic_version"),
    "a blob": (["UPDATE alembic_version SET version_num = x'ff00'"], r"has a schema revision in alembic_version that is none: b'\xff\x00'"),
    "no UTF-8": (["UPDATE alembic_version SET version_num = CAST(x'ff' AS TEXT)"], r"has a schema revision in alembic_version that is none: b'\xff'"),
    "a path": (["UPDATE alembic_version SET version_num = '../../x'"], "has a schema revision in alembic_version that is none: '../../x'"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_revision_is_told_as_such_and_repaired(kind: str, tmp_path: Path, tiny_file: Path) -> None:
    made, said = DAMAGED[kind]
    path = Path(shutil.copy(tiny_file, tmp_path / "tiny.db"))
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in made:
            connection.execute(statement)
    for action in (bloxdb.open, bloxdb.upgrade):
        with pytest.raises(bloxdb.RevisionError) as told:
            action(path)
        assert str(told.value).startswith(f"{path} {said}; `bloxdb check --repair --db {path}` ")
    assert [found.message for found in bloxdb.check(path).findings] == [f"the database {said}"]
    report = bloxdb.repair(path)
    assert report.is_whole
    with bloxdb.open(report.copy, current=False) as db:
        assert db.rows("SELECT version_num AS found FROM alembic_version") == [{"found": revisions.REVISION}]
        assert db.rows("SELECT count(*) AS n FROM epochs") == [{"n": 400}]
    report.copy.unlink()
    path.unlink()
