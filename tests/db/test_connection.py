"""Opening a database again in one process must not end the locks of the connection that is open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import bloxdb
from bloxdb import Database

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
