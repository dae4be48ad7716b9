"""Which files of a folder are taken, and which do not belong together."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import bloxdb
from bloxdb import Database, codecs
from bloxdb.codecs import Header
from bloxdb.codecs.columns import BASE, INFO
from bloxdb.release.folder import check_agreement, expand, left_out, release_files, steady
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


def test_only_names_of_release_files_are_taken_and_formats_come_in_the_order_of_preference(
    tmp_path: Path,
) -> None:
    for name in ("blox-info.csv", "blox-info.blox", "blox-base-12.pickle", "blox-bench-my-CPU2.csv"):
        (tmp_path / name).write_bytes(b"")
    for name in (
        *("blox-base.csv", "blox-base-x.csv", "blox-info-1.csv", "blox-bench-.csv", "blox-bench-a b.csv"),
        *("blox-env--1.csv", "xblox-info.csv", "blox-info.csv.gz", "blox-info", "blox-ext-1.parquet"),
    ):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "blox-ext-1.csv").mkdir()
    found = release_files(tmp_path)
    assert list(found) == ["blox-base-12", "blox-bench-my-CPU2", "blox-info"]
    assert list(found["blox-info"]) == ["blox", "csv"]
    assert found["blox-info"]["csv"] == tmp_path / "blox-info.csv"


def test_a_folder_gives_one_format_of_each_file_and_a_file_is_taken_as_it_is(golden: Path) -> None:
    folder = golden / TINY
    paths = expand([folder / "blox-info.csv", folder, folder / "blox-info.csv"])
    assert paths[0] == folder / "blox-info.csv"
    assert sorted(path.name for path in paths[1:]) == sorted(
        f"{path.stem}.blox" for path in folder.glob("*.csv")
    )


def test_training_files_of_two_data_sets_do_not_belong_together() -> None:
    one = Header("training", BASE, seed=0, epochs=3, dataset="digits", part="base")
    info = Header("static", INFO)
    check_agreement({Path("info"): info, Path("a"): one, Path("b"): replace(one, seed=1)})
    with pytest.raises(bloxdb.ReleaseError, match="b has dataset 'cifar10', but a has 'digits'; import them"):
        check_agreement({Path("a"): one, Path("info"): info, Path("b"): replace(one, dataset="cifar10")})
    with pytest.raises(bloxdb.ReleaseError, match="b has epochs 4, but a has 3"):
        check_agreement({Path("a"): one, Path("b"): replace(one, epochs=4)})


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden / TINY, tmp_path / "copy"))


def test_a_file_is_no_folder_of_a_release(copy: Path) -> None:
    for place in (copy / "blox-info.csv", copy / "none"):
        with pytest.raises(bloxdb.ReleaseError, match=f"there is no folder {place}$"):
            release_files(place)


@pytest.mark.parametrize(
    "name", ["blox-base-3 (1).blox", "blox-base-3.blox.part", "blox-base-3.pkl", "blox-base-3.BLOX"]
)
def test_what_looks_like_a_release_file_and_is_not_taken_is_told(name: str, copy: Path) -> None:
    assert left_out([copy]) == []
    shutil.copy(copy / "blox-base-3.blox", copy / name)
    (copy / "notes.txt").write_text("of mine")
    (sentence,) = left_out([copy, copy, copy / "blox-info.csv"])
    assert name in sentence
    if not name.endswith(".blox"):  # by its own name, a file of a format is taken whatever it is called
        with pytest.raises(bloxdb.ReleaseError, match=re.escape(name)):
            expand([copy / name])


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        ("added", lambda folder: (folder / "blox-base-9.csv").write_bytes(b"")),
        ("changed", lambda folder: (folder / "blox-info.csv").write_bytes(b"---")),
        ("removed", lambda folder: (folder / "blox-info.csv").unlink()),
    ],
)
@pytest.mark.parametrize("fails", [True, False])
def test_a_folder_that_changes_while_it_is_read_is_told(
    verb: str, change: Callable[[Path], object], fails: bool, copy: Path
) -> None:
    def read() -> None:
        with steady([copy]) as check:
            change(copy)
            if fails:
                raise bloxdb.ReleaseError("what followed from it")
            check()

    with pytest.raises(bloxdb.ReleaseError, match=rf"blox-.*\.csv was {verb} while it was read"):
        read()


def test_another_error_of_a_folder_that_stays_is_left_as_it_is(copy: Path) -> None:
    def read() -> None:
        with steady([copy]):
            (copy / "notes.txt").write_text("of mine")
            raise bloxdb.ReleaseError("another")

    with pytest.raises(bloxdb.ReleaseError, match="^another$"):
        read()
