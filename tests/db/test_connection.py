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
        ("mysql://h/d", "'mysql' databases are not supported; write a path, sqlite:///PATH or postgresql://"),
        ("file:///a/x.db", "'file' databases are not supported; write a path"),
        ("nonsense://", "'nonsense' databases are not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://x.db", "write sqlite:///x.db, with three slashes"),
        ("sqlite://some/where/x.db", "write sqlite:///some/where/x.db"),
        ("sqlite://~/x.db", "write sqlite:///~/x.db"),
        ("sqlite:x.db", "write sqlite:///x.db"),
        ("sqlite:/a/x.db", "write sqlite:////a/x.db"),
        ("postgresql:/h/d", "write postgresql://h/d"),
        ("postgres:h/d", "write postgres://h/d"),
        ("sqlite:///x.db?mode=ro", "none is taken; write sqlite:///x.db"),
        ("sqlite+aiosqlite:///x.db", "'aiosqlite'; leave it out: sqlite:///x.db"),
        ("sqlite+pysqlcipher:////a/x.db", "'pysqlcipher'; leave it out: sqlite:////a/x.db"),
        ("postgresql+asyncpg://h/d", "'asyncpg'; leave it out: postgresql://h/d"),
        ("postgres+psycopg2://h/d", "'psycopg2'; leave it out: postgres://h/d"),
        ("postgresql://h:abc/d", "a port that is no number; write a path, .* or postgresql://USER@HOST:PORT"),
        ("postgresql://h:/d", "a port that is no number"),
        ("postgresql://h:0/d", "the port 0, and ports go from 1 to 65535"),
        ("postgresql://h:65536/d", "the port 65536"),
    ],
)
def test_urls_that_cannot_be_are_refused_with_the_right_form(url: str, message: str) -> None:
    for take in (bloxdb.open, bloxdb.create, bloxdb.upgrade):
        with pytest.raises(bloxdb.DatabaseNotFoundError, match=message):
            take(url)


@pytest.mark.parametrize("url", ["postgresql://u:se/cr@et@h:x/d", "postgresql+asyncpg://u:se/cr@et@h/d"])
def test_no_message_has_a_password(url: str) -> None:
    with pytest.raises(bloxdb.DatabaseNotFoundError) as info:
        locate(url)
    assert "cr@et" not in str(info.value)
    assert "u:***@h" in str(info.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRES"])
def test_a_server_has_one_url_however_it_is_written(scheme: str) -> None:
    url = locate(f"{scheme}://me:secret@host:5433/name")
    assert url.render_as_string(hide_password=False) == "postgresql+psycopg://me:secret@host:5433/name"


@pytest.mark.parametrize("unset", ["", None])
def test_an_empty_environment_is_as_none(
    unset: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("BLOXDB_URL", "")
    assert locate(unset).database == str(tmp_path / "bloxdb" / "blox.db")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_home_folder_is_one_in_paths_and_urls(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate(form.format("~/some/x.db")).database == str(tmp_path / "some" / "x.db")
    monkeypatch.setenv("BLOXDB_URL", form.format("~/x.db"))
    assert locate(None).database == str(tmp_path / "x.db")


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_folder_is_no_database(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", "..", str(tmp_path), f"{tmp_path}/"):
        for take in (bloxdb.open, bloxdb.create, bloxdb.upgrade):
            with pytest.raises(bloxdb.NotADatabaseError, match="is a folder; name a file, such as .*blox.db"):
                take(form.format(place))
