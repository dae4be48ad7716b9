"""Pictures are as they were when somebody looked at them: `tests/plot/pictures.py` keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from bloxdb import Database, draw
from tests.plot.pictures import DRAWINGS, FIGURES, KEPT, WIDTH, write_figure

TOLERANCE = (
    8  # root of the mean square of differences of 0 … 255: edges of letters, no line that is elsewhere
)


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
