"""Which files of a folder are taken, and which do not belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs
from tests.release.helpers import SMALL, TINY, content


def test_formats_may_be_mixed_in_one_folder(
    empty_db: Database, tiny_db: Database, golden: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    stems = sorted(path.stem for path in (golden / TINY).glob("*.csv"))
    for i, stem in enumerate(stems):
        suffix = list(codecs.FORMATS)[i % 3]
        shutil.copy(golden / TINY / f"{stem}.{suffix}", folder)
    (folder / "notes.txt").write_text("not a release file")
    bloxdb.import_release(folder, empty_db)
    assert content(empty_db) == content(tiny_db)


def test_files_of_different_experiments_are_not_mixed(empty_db: Database, golden: Path) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="has epochs"):
        bloxdb.import_release([golden / TINY, golden / SMALL], empty_db)


def test_folders_without_release_files_say_so(empty_db: Database, tmp_path: Path) -> None:
    with pytest.raises(bloxdb.ReleaseError, match="holds no release files"):
        bloxdb.import_release(tmp_path, empty_db)
    with pytest.raises(bloxdb.ReleaseError, match="no file or folder"):
        bloxdb.import_release(tmp_path / "none", empty_db)
