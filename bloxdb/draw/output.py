"""Drawings as files: SVG as it is, PNG by resvg, PDF by matplotlib with the text as text.

Both use the fonts that come with matplotlib, so that a drawing looks the same on every machine, also on one
that has no fonts.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bloxdb.arguments import integer
from bloxdb.errors import QueryError
from bloxdb.extras import library
from bloxdb.files import expanded
from bloxdb.writing import replacing

_SVG = "{http://www.w3.org/2000/svg}"
_POINTS = 0.75  # a pixel of CSS is 1/96 inch, a point 1/72
_FONT = "DejaVu Sans"
_WIDEST = 20_000  # pixels of a PNG, which has as many times four bytes in memory


def save(drawing: str, path: str | os.PathLike[str], *, width: int | None = None) -> Path:
    """Write a drawing of this package to a file.

    Parameters
    ----------
    drawing
        The text of the SVG image.
    path
        The file, ``.svg``, ``.png`` or ``.pdf``; one that is there is replaced.
    width
        Pixels of a ``.png`` from side to side; twice the drawing's own if None.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    QueryError
        The name has another ending, or the width is of no use.
    MissingExtraError
        What a ``.png`` or a ``.pdf`` needs is not installed.
    """
    target = expanded(path)
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise QueryError(f"a drawing is written as one of {', '.join(ENDINGS)}; {str(target)!r} is none")
    if width is not None and ending != ".png":
        raise QueryError(f"a width in pixels is for .png; a {ending} has no pixels")
    pixels = None if width is None else integer(width, "a width in pixels", low=1, high=_WIDEST)
    data = _png(drawing, pixels) if ending == ".png" else ENDINGS[ending](drawing)
    with replacing(target) as place:
        place.write_bytes(data)
    return target


def _svg(drawing: str) -> bytes:
    return drawing.encode()


def _png(drawing: str, width: int | None = None) -> bytes:
    resvg: Any = library("resvg_py", "plot")
    if width is None:
        width = 2 * round(float(ElementTree.fromstring(drawing).attrib["width"]))  # noqa: S314  # ours
    rendered = resvg.svg_to_bytes(
        svg_string=drawing, width=width, skip_system_fonts=True, font_dirs=[str(_fonts())],
        font_family=_FONT, sans_serif_family=_FONT,
    )  # fmt: skip
    return bytes(rendered)


def _pdf(drawing: str) -> bytes:
    matplotlib: Any = library("matplotlib", "plot")
    figures: Any = library("matplotlib.figure", "plot")
    root = ElementTree.fromstring(drawing)  # noqa: S314  # ours
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    out = io.BytesIO()
    settings = {"pdf.fonttype": 42, "font.family": _FONT, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure = figures.Figure((width * _POINTS / 72, height * _POINTS / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for element in root:
            tag = element.tag.removeprefix(_SVG)
            if tag not in ("title", "desc", "style"):
                _ARTISTS[tag](axes, element, element.attrib)
        about = {"Title": root.findtext(f"{_SVG}title"), "Subject": root.findtext(f"{_SVG}desc")}
        figure.savefig(out, format="pdf", metadata={**about, "CreationDate": None})
    return out.getvalue()


ENDINGS: dict[str, Callable[[str], bytes]] = {".svg": _svg, ".png": _png, ".pdf": _pdf}
"""What a drawing can be written as."""


def _paint(shape: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "facecolor": shape.get("fill", "black"),
        "edgecolor": shape.get("stroke", "none"),
        "linewidth": float(shape.get("stroke-width", 0)) * _POINTS,
        "capstyle": "butt",
        "joinstyle": "miter",
    }
    if "stroke-dasharray" in shape:
        on, off = map(float, shape["stroke-dasharray"].split())
        unit = float(shape["stroke-width"])
        found["linestyle"] = (0, (on / unit, off / unit))
    return found


def _box(axes: Any, _: ElementTree.Element, shape: dict[str, str]) -> None:
    patches: Any = library("matplotlib.patches", "plot")
    x, y, width, height, radius = (float(shape[name]) for name in ("x", "y", "width", "height", "rx"))
    style = (
        f"round,pad=0,rounding_size={min(radius, width / 2, height / 2)}"
        if radius and width
        else "square,pad=0"
    )
    axes.add_patch(patches.FancyBboxPatch((x, y), width, height, boxstyle=style, **_paint(shape)))


def _dot(axes: Any, _: ElementTree.Element, shape: dict[str, str]) -> None:
    patches: Any = library("matplotlib.patches", "plot")
    x, y, radius = (float(shape[name]) for name in ("cx", "cy", "r"))
    axes.add_patch(patches.Circle((x, y), radius, **_paint(shape)))


def _path(axes: Any, _: ElementTree.Element, shape: dict[str, str]) -> None:
    patches: Any = library("matplotlib.patches", "plot")
    paths: Any = library("matplotlib.path", "plot").Path
    codes = {"M": [paths.MOVETO], "L": [paths.LINETO], "Q": [paths.CURVE3] * 2, "C": [paths.CURVE4] * 3}
    points: list[tuple[float, float]] = []
    kinds: list[int] = []
    for letter, numbers in re.findall(r"([MLQCZ])([^MLQCZ]*)", shape["d"]):
        if letter == "Z":
            points.append(points[0])
            kinds.append(paths.CLOSEPOLY)
            continue
        flat = [float(number) for number in numbers.split()]
        points += list(zip(flat[::2], flat[1::2], strict=True))
        kinds += codes[letter]
    axes.add_patch(patches.PathPatch(paths(points, kinds), **_paint(shape)))


def _text(axes: Any, element: ElementTree.Element, shape: dict[str, str]) -> None:
    size = float(shape["font-size"])
    turned = "transform" in shape
    x, y = float(shape["x"]), float(shape["y"])
    across = {"start": "left", "middle": "center", "end": "right"}[shape["text-anchor"]]
    if turned:  # the middle is at x, but for the depth of letters
        x += 0.36 * size
    axes.text(
        x, y, element.text, fontsize=size * _POINTS, color=shape["fill"], rotation=90 if turned else 0,
        ha=across, va="baseline", rotation_mode="anchor", weight=shape.get("font-weight", "normal"),
        parse_math=False,
    )  # fmt: skip


_ARTISTS: dict[str, Callable[[Any, ElementTree.Element, dict[str, str]], None]] = {
    "rect": _box,
    "circle": _dot,
    "path": _path,
    "text": _text,
}


def _fonts() -> Path:
    matplotlib: Any = library("matplotlib", "plot")
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
