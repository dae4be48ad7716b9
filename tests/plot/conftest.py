"""A database to draw: two seeds of sixty architectures, of which some lack one, and some have one block everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest

import bloxdb
from bloxdb import Database
from tests.plot.pictures import fill

mpl.use("agg")


@pytest.fixture(scope="session")
def drawn_file(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Path:
    """Do not write to it."""
    path = Path(shutil.copy(empty_file, tmp_path_factory.mktemp("drawn") / "drawn.db"))
    with bloxdb.open(path, current=False) as db:
        fill(db, golden)
    return path


@pytest.fixture
def drawn(drawn_file: Path) -> Iterator[Database]:
    """The database, to read."""
    with bloxdb.open(drawn_file, read_only=True) as db:
        yield db


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Figures that a test leaves open warn when there are twenty."""
    yield
    from matplotlib import pyplot

    pyplot.close("all")
