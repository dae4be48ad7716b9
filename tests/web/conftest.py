"""A database to explore: two seeds of some architectures, one of another recipe, runs that go on and that failed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

import bloxdb
from bloxdb import Database
from tests.plot.pictures import fill
from tests.runs.helpers import claim, finish, queue_of

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
