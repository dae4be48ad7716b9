"""Fixtures that all tests share: golden files, and databases made from them."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bloxdb.trainer.threads import wait_passively
from hypothesis import HealthCheck, settings
from sqlalchemy import text

import bloxdb
from bloxdb import Database

# Before any test loads torch; processes that tests start have it from here.
wait_passively()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist has all cores at work already

# Who starts tests in the background, or under nohup, has signals ignored, and so would all that they start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "bloxdb", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("bloxdb")

# The tests against a server need one: a URL of an empty database. `.ci/run` makes it.
POSTGRESQL = os.environ.get("BLOXDB_TEST_POSTGRESQL")
_ON_SERVER = [
    *("test_postgresql.py", "test_postgresql_guide.py", "runs/test_outages.py"),
    *("db/test_lost_connections.py", "db/test_postgresql_creation.py", "db/test_postgresql_rows.py"),
]
collect_ignore = [] if POSTGRESQL else _ON_SERVER

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "golden"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: at the end no core is to wait for the last file of another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of files that the original tools wrote; its absence fails every test that needs it."""
    assert (GOLDEN / "release-tiny" / "blox-info.blox").is_file()
    return GOLDEN


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as `bloxdb init` makes it; copy it, do not write to it."""
    path = tmp_path_factory.mktemp("databases") / "empty.db"
    bloxdb.create(path).close()
    return path


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """A database with release-tiny; copy it, do not write to it."""
    path = tmp_path_factory.mktemp("databases") / "tiny.db"
    shutil.copy(empty_file, path)
    with bloxdb.open(path) as db:
        bloxdb.import_release(golden / "release-tiny", db)
    return path


@pytest.fixture
def empty_db(tmp_path: Path, empty_file: Path) -> Iterator[Database]:
    """A new database without runs."""
    with bloxdb.open(shutil.copy(empty_file, tmp_path / "blox.db")) as db:
        yield db


@pytest.fixture
def tiny_db(tmp_path: Path, tiny_file: Path) -> Iterator[Database]:
    """A database of one's own with release-tiny."""
    with bloxdb.open(shutil.copy(tiny_file, tmp_path / "tiny.db")) as db:
        yield db


@pytest.fixture(scope="session")
def seeds_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """A database with two seeds of 60 architectures, but that some lack a seed, and some a value."""
    path = tmp_path_factory.mktemp("databases") / "seeds.db"
    shutil.copy(empty_file, path)
    lacking = "seed = 1 AND arch_id % 5 = 0"
    with bloxdb.open(path) as db:
        bloxdb.import_release(golden / "release-small", db)
        with db.transaction() as session:
            for change in (
                f"DELETE FROM epochs WHERE run_id IN (SELECT id FROM runs WHERE {lacking})",
                f"DELETE FROM runs WHERE {lacking}",
                "UPDATE runs SET test_top5 = NULL WHERE arch_id % 7 = 0 AND seed = 0",
                "UPDATE runs SET test_loss = NULL WHERE arch_id % 3 = 0",
            ):
                session.execute(text(change))
    return path


@pytest.fixture
def seeds_db(tmp_path: Path, seeds_file: Path) -> Iterator[Database]:
    """A database of one's own with what is in `seeds_file`."""
    with bloxdb.open(shutil.copy(seeds_file, tmp_path / "seeds.db")) as db:
        yield db
