"""A database on a server is made, or migrated, whole or not at all; `tests/conftest.py` says when these run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

import bloxdb
from bloxdb.cli import main
from bloxdb.db import revisions
from bloxdb.db.connection import locate
from bloxdb.db.database import Database
from bloxdb.db.schema import Arch
from tests.conftest import GOLDEN
from tests.db.helpers import downgrade
from tests.db.programs import killed
from tests.servers import empty_on_server

COUNTS = {"blocks": 45, "archs": 91_125, "static_info": 91_125}

KILLED = """
import os, signal, sys
import alembic.command, bloxdb.db.creation, psycopg
url, act, name, left = sys.argv[1:4] + [int(sys.argv[4])]
def look(frame, event, arg):
    global left
    if event == "call" and (frame.f_code.co_name, frame.f_globals.get("__name__", "")[:9]) == (name, "bloxdb.db"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(look)
getattr(bloxdb, act)(url)
"""
"""Kills itself where it calls a function for the n-th time."""


@pytest.fixture
def url() -> Iterator[str]:
    """A database of the server, in which there is nothing."""
    with empty_on_server("creation") as found:
        yield found


def counts(url: str) -> dict[str, int]:
    with bloxdb.open(url, current=False) as db:
        return {table: db.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in COUNTS}


def begun(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bloxdb", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit codes, and all that was said, of processes that run at once."""
    told = [process.communicate(timeout=200) for process in processes]
    return [(process.returncode, " ".join(said)) for process, said in zip(processes, told, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_unfilled", "name", "count"),
    [
        *(
            (False, name, count)
            for name, count in (("migration", 1), ("run", 1), ("_fill", 1), ("add_rows", 3))
        ),
        (True, "add_rows", 3),
    ],
)
def test_a_killed_one_leaves_what_was_there_and_the_next_makes_it(
    is_unfilled: bool, name: str, count: int, url: str
) -> None:
    if is_unfilled:
        leave_unfilled(url)
    killed(KILLED, url, "create", name, count)
    kind = bloxdb.DatabaseError if is_unfilled else bloxdb.NotADatabaseError
    told = "is half-made" if is_unfilled else "create one"
    with pytest.raises(kind, match=told):
        bloxdb.open(url)
    bloxdb.create(url, current=False).close()
    assert counts(url) == COUNTS


@pytest.mark.slow
def test_one_that_was_killed_behind_the_commit_has_made_it(url: str) -> None:
    killed(KILLED, url, "create", "finish", 1)
    assert counts(url) == COUNTS
    with pytest.raises(bloxdb.DatabaseExistsError, match="a bloxdb database already; open it instead"):
        bloxdb.create(url)


@pytest.mark.slow
@pytest.mark.parametrize(("several", "is_unfilled"), [(2, False), (8, False), (2, True)])
def test_of_several_that_create_one_at_once_one_makes_it(several: int, is_unfilled: bool, url: str) -> None:
    if is_unfilled:
        leave_unfilled(url)
    told = sorted(ended([begun("init", "--db", url) for _ in range(several)]))
    assert [code for code, _ in told] == [0, *[1] * (several - 1)], told
    assert all("is a bloxdb database already; open it instead" in said for _, said in told[1:]), told
    assert counts(url) == COUNTS


def leave_unfilled(url: str) -> None:
    """What an earlier bloxdb left that was killed between its transactions."""
    with Database(locate(url)) as db, db.autocommit() as connection, db.engines.migration(connection):
        revisions.run(connection)


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["check"],
        ["top"],
        ["import", str(GOLDEN / "release-tiny")],
        ["export", "--out", "nowhere"],
    ],
    ids=" ".join,
)
def test_one_that_was_left_half_made_is_told_as_such(words: list[str], url: str) -> None:
    leave_unfilled(url)
    done = CliRunner().invoke(main, [*words, "--db", url])
    assert done.exit_code == 1
    said = done.output.replace("\n", " ")
    assert "is half-made, with tables and no architectures" in said
    assert f"`bloxdb init --db {bloxdb.db.passwords.hidden(locate(url))}` makes the rest" in said


def test_one_that_was_left_half_made_is_completed(url: str) -> None:
    leave_unfilled(url)
    with bloxdb.create(url, current=False) as db:
        assert bloxdb.import_release(GOLDEN / "release-tiny", db).added > 0
        assert bloxdb.check(db).findings == []


def test_a_failed_creation_leaves_nothing(url: str) -> None:
    engine = create_engine(locate(url))
    with engine.begin() as connection:  # a table of somebody's in the way
        connection.execute(text("CREATE TABLE latencies (id integer)"))
    with pytest.raises(bloxdb.DatabaseError, match='relation "latencies" already exists'):
        bloxdb.create(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE latencies"))
        found = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    engine.dispose()
    assert found == []


@pytest.mark.slow
def test_of_upgrades_at_once_one_does_it_and_all_end_well(url: str) -> None:
    with bloxdb.create(url, current=False) as db:
        downgrade(db, "0004")
    killed(KILLED, url, "upgrade", "run", 1)
    with pytest.raises(bloxdb.RevisionError, match="has the older revision 0004"):
        bloxdb.open(url)
    told = ended([begun("upgrade", "--db", url) for _ in range(3)])
    assert [code for code, _ in told] == [0, 0, 0], told
    assert counts(url) == COUNTS


def test_costs_that_are_lost_are_told(url: str) -> None:
    with bloxdb.create(url, current=False) as db:
        with db.transaction() as session:
            session.execute(text("DELETE FROM static_info WHERE arch_id >= 90000"))
            assert session.get(Arch, 90_052) is not None
        with pytest.raises(bloxdb.DatabaseError, match=r"lost FLOPs and parameters of .* is repaired there"):
            bloxdb.import_release(GOLDEN / "release-tiny", db)
