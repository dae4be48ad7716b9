"""References that were broken before an upgrade do not stop it; those that it would break do."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import ForeignKey, text

import bloxdb
from bloxdb import Database
from bloxdb.cli import main
from bloxdb.db import creation
from bloxdb.db.base import Base
from bloxdb.db.broken import broken_references
from bloxdb.db.connection import locate
from bloxdb.db.revisions import REVISION
from tests.db.helpers import NEXT_REVISION, downgrade, next_scripts

KEYS = {
    str(key.parent): key
    for table in Base.metadata.sorted_tables
    for key in sorted(table.foreign_keys, key=lambda key: str(key.parent))  # it is a set
}
NOWHERE = 999_999


def break_one(path: Path, key: ForeignKey) -> None:
    """Let one row of a file refer to one that is not there."""
    table = key.parent.table
    of = ", ".join(column.name for column in table.primary_key)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        done = connection.execute(
            f"UPDATE {table.name} SET {key.parent.name} = {NOWHERE} "
            f"WHERE ({of}) = (SELECT {of} FROM {table.name} ORDER BY {of} DESC LIMIT 1)"
        )
        assert done.rowcount == 1


def broken(db: Database) -> Counter[tuple[str, str]]:
    with db.autocommit() as connection:
        return broken_references(connection)


@pytest.mark.parametrize("column", KEYS)
def test_what_was_broken_before_stays_so_and_is_upgraded(
    column: str, tmp_path: Path, tiny_file: Path
) -> None:
    path, key = Path(shutil.copy(tiny_file, tmp_path / "old.db")), KEYS[column]
    break_one(path, key)
    with bloxdb.open(path, current=False) as db:
        before = broken(db)
    assert before[key.parent.table.name, key.column.table.name] == 1
    report = creation.upgrade_url(locate(path), next_scripts(tmp_path / "scripts"))
    assert report.after == NEXT_REVISION
    with Database(locate(path)) as db:
        assert broken(db) == before


@pytest.mark.parametrize("column", ["runs.env_id", "runs.arch_id", "epochs.run_id"])
def test_one_more_is_refused_and_leaves_no_copy(column: str, tmp_path: Path, tiny_file: Path) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    break_one(path, KEYS[column])
    more = f"op.execute('UPDATE latencies SET arch_id = {NOWHERE} WHERE rowid = 1')"
    scripts = next_scripts(tmp_path / "scripts", more)
    with bloxdb.open(path, current=False) as db:
        was = broken(db)
    with pytest.raises(bloxdb.DatabaseError) as told:
        creation.upgrade_url(locate(path), scripts)
    assert str(told.value) == f"the migration of {path} broke 1 reference; nothing was changed"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["old.db", "scripts"]
    with bloxdb.open(path, current=False) as db:
        assert broken(db) == was


@pytest.mark.slow
@pytest.mark.parametrize(("column", "loses"), [("runs.env_id", 0), ("latencies.device_id", 1)])
def test_the_advice_of_check_for_an_older_one_works(
    column: str, loses: int, tmp_path: Path, tiny_file: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "old.db"))
    with bloxdb.open(path, current=False) as db:
        downgrade(db, "0004")
    break_one(path, KEYS[column])

    def asked(*words: str, ends: int) -> str:
        done = CliRunner().invoke(main, [*words, "--db", str(path)])
        assert done.exit_code == ends, done.output
        return done.output.replace("\n", " ")

    for words in (("check",), ("check", "--repair", str(tmp_path / "mended.db"))):
        assert f"`bloxdb upgrade --db {path}`" in asked(*words, ends=1)
    assert "is up to date" in asked("upgrade", ends=0)
    with bloxdb.open(path, current=False) as db:
        assert db.rows("SELECT version_num AS found FROM alembic_version") == [{"found": REVISION}]
    assert "that is not there" in asked("check", ends=1)
    asked("check", "--repair", str(tmp_path / "mended.db"), ends=loses)
    assert bloxdb.check(tmp_path / "mended.db").findings == []


def test_broken_ones_are_counted_by_their_tables(empty_db: Database) -> None:
    with empty_db.bulk_transaction() as session:
        session.execute(text("INSERT INTO latencies VALUES (91125, 1, 1.0, NULL), (5, 1, 1.0, NULL)"))
    assert broken(empty_db) == {("latencies", "archs"): 1, ("latencies", "devices"): 2}
