"""Pictures are as they were when somebody looked at them: `tests/plot/pictures.py` keeps them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from bloxdb import Database, draw
from tests.plot.pictures import DRAWINGS, FIGURES, KEPT, WIDTH, write_figure

ROOT = Path(__file__).parents[2]
TOLERANCE = 8
"""Root of the mean square of differences of 0 … 255: the edges of letters, and no line that is elsewhere."""


def test_each_is_kept() -> None:
    assert {path.name for path in KEPT.iterdir()} == {f"{name}.png" for name in (*DRAWINGS, *FIGURES)}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_as_it_was(name: str, tmp_path: Path) -> None:
    DRAWINGS[name]().save(tmp_path / "a.png", width=WIDTH)
    assert compare_images(str(KEPT / f"{name}.png"), str(tmp_path / "a.png"), TOLERANCE) is None


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_as_it_was(name: str, drawn: Database, tmp_path: Path) -> None:
    write_figure(name, drawn, tmp_path / "a.png")
    assert compare_images(str(KEPT / f"{name}.png"), str(tmp_path / "a.png"), TOLERANCE) is None


def test_another_operation_in_one_box_is_another_picture(tmp_path: Path) -> None:
    draw.arch(30182, costs=True).save(tmp_path / "a.png", width=WIDTH)
    assert compare_images(str(KEPT / "arch.png"), str(tmp_path / "a.png"), TOLERANCE) is not None


@pytest.mark.slow
def test_the_pictures_of_the_documents_can_be_made_anew(tmp_path: Path) -> None:
    script = ROOT / "docs" / "pictures.py"
    subprocess.run(
        [sys.executable, str(script), "--archs", "300", "--out", str(tmp_path / "images")], check=True
    )
    made = {path.name for path in (tmp_path / "images").iterdir()}
    assert made == {path.name for path in (ROOT / "docs" / "images").iterdir()}
    for path in (ROOT / "docs" / "images").glob("*.svg"):  # which no result changes
        assert (tmp_path / "images" / path.name).read_text() == path.read_text()
