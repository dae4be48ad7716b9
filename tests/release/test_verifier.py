"""Verifying folders that are whole, damaged, or differ between formats."""

from __future__ import annotations

import gzip
import shutil
import time
from pathlib import Path

import pytest

import bloxdb
from bloxdb.release import LoadedFile, verify_release
from tests.release.helpers import TINY, changed


def test_verify_finds_equal_formats(golden: Path) -> None:
    loaded, checks = verify_release(golden / TINY)
    assert len(loaded) == 18
    assert [(check.format, check.compared, check.equal) for check in checks] == [
        ("blox", 6, True),
        ("pickle", 6, True),
        ("csv", 6, True),
    ]


def test_verify_finds_damage_and_differences(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(golden / TINY, folder)
    changed(folder / "blox-base-3.csv", folder / "blox-base-3.csv", 5, "test_top1", 1.5)
    (folder / "blox-info.pickle").write_bytes(b"---\n")
    loaded, checks = verify_release(folder)
    assert [file.path.name for file in loaded if file.problem] == ["blox-info.pickle"]
    differences = {check.format: check.differences for check in checks}
    assert "blox-info.pickle does not load" in differences["pickle"]
    assert any("blox-base-3: .csv and .blox differ" in sentence for sentence in differences["csv"])
    assert not any(check.equal for check in checks)


@pytest.fixture
def copy(golden: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(golden / TINY, tmp_path / "copy"))


def test_each_file_is_told_as_it_is_loaded_with_what_it_holds(copy: Path) -> None:
    told: list[LoadedFile] = []
    start = time.perf_counter()
    loaded, _ = verify_release(copy, told.append)
    took = time.perf_counter() - start
    assert told == loaded
    assert sum(file.seconds for file in told) <= took
    assert all(file.seconds > 0 for file in told)
    assert {file.path.name for file in told} == {path.name for path in copy.iterdir()}
    assert {file.rows for file in told} == {40}
    by_stem = {file.path.stem: str(file.counts) for file in told}
    assert by_stem["blox-base-3"] == "40 runs, 400 epochs"


def test_packings_of_one_file_are_compared_too(copy: Path) -> None:
    path = copy / "blox-base-3.csv"
    (copy / "blox-base-3.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    loaded, checks = verify_release(copy)
    assert len(loaded) == 19
    assert all(check.equal for check in checks)
    changed(path, path, 5, "test_top1", 1.5)
    checks = verify_release(copy)[1]
    (csv,) = (check for check in checks if check.format == "csv")
    assert any(
        line.startswith("blox-base-3.csv and blox-base-3.csv.gz differ: row ") for line in csv.differences
    )


def test_a_name_that_is_not_the_headers_is_a_problem(copy: Path) -> None:
    (copy / "blox-base-3.csv").rename(copy / "blox-base-4.csv")
    loaded, _ = verify_release(copy)
    (wrong,) = (file for file in loaded if file.problem)
    assert wrong.path.name == "blox-base-4.csv"
    assert wrong.rows is None
    assert "blox-base-3" in str(wrong.problem)


def test_a_folder_that_changes_meanwhile_is_no_answer(copy: Path) -> None:
    def tell(file: LoadedFile) -> None:
        (copy / "blox-base-9.csv").write_bytes(b"")

    with pytest.raises(bloxdb.ReleaseError, match=r"blox-base-9\.csv was added while it was read"):
        verify_release(copy, tell)
