"""`quickstart` as a user runs it; `.ci/run` runs the whole of it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.helpers import bloxdb


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    done = bloxdb("quickstart", tmp_path, code=1)
    assert "exists already; name another folder, or remove it" in done.stderr
    assert list(tmp_path.iterdir()) == []
