"""Drawings as files."""

from __future__ import annotations

import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from bloxdb import draw
from bloxdb.draw.output import ENDINGS
from bloxdb.errors import MissingExtraError, QueryError
from tests.draw.helpers import SVG, Box, Parsed

DRAWINGS = {"arch": draw.arch(30181, costs=True), "schemes": draw.schemes(), "supernet": draw.supernet()}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_drawing_is_written_in_each_format(name: str, ending: str, tmp_path: Path) -> None:
    path = DRAWINGS[name].save(tmp_path / f"a{ending}")
    data = path.read_bytes()
    assert data.startswith({".svg": b"<svg ", ".png": b"\x89PNG", ".pdf": b"%PDF"}[ending])
    assert DRAWINGS[name].save(path) == path  # what is there is replaced
    assert path.read_bytes() == data  # the same again, on every day and every machine
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("width", "expected"), [(300, 300), (1400, 1400), (None, 2 * 526)])
def test_a_png_has_the_width_that_is_asked_for(width: int | None, expected: int, tmp_path: Path) -> None:
    data = DRAWINGS["arch"].save(tmp_path / "a.png", width=width).read_bytes()
    assert struct.unpack(">II", data[16:24])[0] == expected


def test_a_pdf_has_text_as_text_and_no_pixels(tmp_path: Path) -> None:
    data = DRAWINGS["arch"].save(tmp_path / "a.pdf").read_bytes()
    assert b"/Subtype /Image" not in data
    assert b"/FontFile2" in data
    assert b"Blox architecture 30181" in data


@pytest.mark.parametrize("path", ["a.gif", "a", "a.svg.gz"])
def test_another_ending_is_told(path: str, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"a drawing is written as one of \.svg, \.png, \.pdf"):
        DRAWINGS["arch"].save(tmp_path / path)


@pytest.mark.parametrize(
    ("path", "width"), [("a.svg", 5), ("a.pdf", 5), ("a.png", 0), ("a.png", 1.5), ("a.png", 10**6)]
)
def test_a_width_that_says_nothing_is_refused(path: str, width: Any, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="a width in pixels is"):
        DRAWINGS["arch"].save(tmp_path / path, width=width)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("ending", "module"), [(".png", "resvg_py"), (".pdf", "matplotlib")])
def test_what_is_missing_is_named(
    ending: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"this needs {module}: pip install 'bloxdb\[plot\]'"):
        DRAWINGS["arch"].save(tmp_path / f"a{ending}")
    DRAWINGS["arch"].save(tmp_path / "a.svg")  # needs nothing


def test_a_notebook_shows_a_drawing() -> None:
    assert DRAWINGS["arch"]._repr_svg_() == DRAWINGS["arch"]


@cache
def width_of(words: str, size: float, weight: str) -> float:
    """How wide a text is in the font of files, which is a wide one."""
    shape = TextPath((0, 0), words, size, prop=FontProperties(family="DejaVu Sans", weight=weight))
    return float(shape.get_extents().width)


def text_boxes(drawing: str) -> list[tuple[str, Box]]:
    """Where each text is."""
    found = []
    for shape in ElementTree.fromstring(drawing):
        if shape.tag != f"{SVG}text":
            continue
        words, size = shape.text or "", float(shape.attrib["font-size"])
        x, y = float(shape.attrib["x"]), float(shape.attrib["y"])
        wide = width_of(words, size, shape.attrib.get("font-weight", "normal"))
        if "transform" in shape.attrib:
            found.append((words, Box(x - 0.4 * size, y - wide / 2, 0.8 * size, wide)))
            continue
        left = {"start": 0.0, "middle": wide / 2, "end": wide}[shape.attrib["text-anchor"]]
        found.append((words, Box(x - left, y - 0.75 * size, wide, 0.95 * size)))
    return found


@pytest.mark.parametrize("name", [*DRAWINGS, *range(0, 91_125, 4_051)])
def test_texts_are_on_the_paper_and_cover_no_other(name: str | int) -> None:
    drawing = draw.arch(name, costs=True) if isinstance(name, int) else DRAWINGS[name]
    parsed, texts = Parsed(drawing), text_boxes(drawing)
    assert len(texts) > 15
    for at, (words, box) in enumerate(texts):
        assert box.x >= 2, words
        assert box.y >= 2, words
        assert box.x + box.width <= parsed.width - 2, words
        assert box.y + box.height <= parsed.height - 2, words
        assert not [other for other, its in texts[at + 1 :] if box.meets(its)], words


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_name_is_within_its_box(name: str) -> None:
    texts = text_boxes(DRAWINGS[name])
    for node, box in Parsed(DRAWINGS[name]).boxes.items():
        (inside,) = [its for _, its in texts if box.meets(its)]
        assert box.x <= inside.x, node
        assert inside.x + inside.width <= box.x + box.width, node
        assert box.y <= inside.y + 1, node
        assert inside.y + inside.height <= box.y + box.height + 1, node
