"""The golden release as rows, as a folder and as a database, made once a test file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bloxdb
from bloxdb import Database
from bloxdb.dataset import Dataset, from_folder
from tests.dataset.helpers import SMALL, rows_of


@pytest.fixture(scope="module")
def truth(golden: Path) -> dict[int, dict[str, dict[str, Any]]]:
    """By seed and hash, base and ext together."""
    folder = golden / SMALL
    found = {}
    for seed in (0, 1):
        base, ext = (rows_of(folder, f"blox-{part}-{seed}") for part in ("base", "ext"))
        found[seed] = {key: {**row, **ext[key]} for key, row in base.items()}
    return found


@pytest.fixture(scope="module")
def small_db(tmp_path_factory: pytest.TempPathFactory, empty_file: Path, golden: Path) -> Iterator[Database]:
    """A database with release-small."""
    path = Path(shutil.copy(empty_file, tmp_path_factory.mktemp("small") / "small.db"))
    with bloxdb.open(path) as db:
        bloxdb.import_release(golden / SMALL, db)
        yield db


@pytest.fixture(scope="module", params=["folder", "database"])
def dataset(request: pytest.FixtureRequest, golden: Path, small_db: Database) -> Dataset:
    """The same release from its files and from a database."""
    if request.param == "database":
        return bloxdb.from_database(small_db)
    return from_folder(golden / SMALL, extended=True, include_static_info=True, include_env_info=True)
