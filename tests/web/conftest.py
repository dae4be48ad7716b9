"""A database to explore: two seeds of some architectures, one of another recipe, runs that go on and that failed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from bloxdb.web.copying import write_copy
from tests.plot.pictures import fill
from tests.runs.helpers import claim, finish, queue_of
from tests.web.browser import opened, started
from tests.web.helpers import Served

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
DEVICE = "<b>jetson</b> & 'co', 5~W; 100%"
FAILED, RUNNING, DONE = 8, 9, 10
"""Architectures of the second recipe."""


def prepare(path: Path, golden: Path) -> None:
    with bloxdb.open(path, current=False) as db:
        fill(db, golden)
        queue = queue_of(db, [FAILED, RUNNING, DONE])
        failed, _, done = (claim(queue, f"machine:{number}") for number in (1, 2, 3))
        assert failed is not None
        assert done is not None
        failed.fail(HOSTILE)
        finish(done)
        with db.transaction() as session:
            session.execute(
                text("UPDATE devices SET name = :name WHERE name = 'jetson-nano'"), {"name": DEVICE}
            )


@pytest.fixture(scope="session")
def explored_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """Do not write to it."""
    path = Path(shutil.copy(empty_file, tmp_path_factory.mktemp("explored") / "explored.db"))
    prepare(path, golden)
    return path


@pytest.fixture
def explored(explored_file: Path) -> Iterator[Database]:
    """The database, to read."""
    with bloxdb.open(explored_file, read_only=True) as db:
        yield db


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


@pytest.fixture(scope="module")
def live(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server; its database is written to by one test."""
    path = Path(shutil.copy(explored_file, tmp_path_factory.mktemp("live") / "explored.db"))
    with Served(path) as served:
        yield served.url


@pytest.fixture(scope="module")
def copied(explored_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a static copy, in a folder below that of a plain file server."""
    folder = tmp_path_factory.mktemp("copied")
    with bloxdb.open(explored_file, read_only=True, current=False) as db:
        write_copy(folder / "some" / "place", db)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = re.search(r"port (\d+)", server.stdout.readline())[1]  # type: ignore[index]
        yield f"http://127.0.0.1:{port}/some/place/"
        server.terminate()


@pytest.fixture(params=["live", "copied"])
def home(request: pytest.FixtureRequest) -> str:
    """The address of the page, served by the plugin and as files."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with opened(browser) as found:
        yield found


@pytest.fixture
def arch(explored: Database) -> int:
    """An architecture with two seeds, epochs, and latencies."""
    rows = explored.rows(
        "SELECT arch_id FROM runs WHERE id IN (SELECT run_id FROM epochs) AND arch_id IN (SELECT arch_id FROM latencies) "
        "GROUP BY arch_id HAVING count(*) = 2 ORDER BY arch_id LIMIT 1"
    )
    found: int = rows[0]["arch_id"]
    return found
