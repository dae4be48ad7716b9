"""Verifying folders that are whole, damaged, or differ between formats."""

from __future__ import annotations

import shutil
from pathlib import Path

from bloxdb.release import verify_release
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
