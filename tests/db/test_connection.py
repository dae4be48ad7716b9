"""Where a database is, and connecting to it without ending the locks of a connection that is open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database
from bloxdb.db.connection import locate

# another process is the last to close the file, if it sees no lock of ours, and then removes WAL and index
OTHER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM runs').fetchall(); c.close()"


def test_a_second_open_leaves_the_first_its_locks(empty_db: Database) -> None:
    path = empty_db.path
    assert path is not None
    assert empty_db.rows("SELECT count(*) AS n FROM runs") == [{"n": 0}]
    with bloxdb.open(path) as second:
        subprocess.run([sys.executable, "-c", OTHER, str(path)], check=True)
        assert path.with_name(f"{path.name}-wal").exists()
        with second.transaction() as session:
            session.add(bloxdb.Device(name="first"))
    assert empty_db.rows("SELECT name FROM devices") == [{"name": "first"}]
    with sqlite3.connect(Path(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


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
