"""SVG as text: a few shapes with colours by their part, so that a drawing has a light and a dark form.

Shapes have the colours of the light form as attributes, which every renderer knows, and classes, by which a
style sheet changes them where the reader's system is dark. There are no groups with a transformation and no
markers: what reads a drawing again (`bloxdb.draw.output`) has little to know.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from bloxdb.draw.palette import DARK, LIGHT
from bloxdb.errors import QueryError, spelled

FONTS = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

THEMES = ("auto", "light", "dark")
"""For whom a drawing is: as the reader's system is, or always the one."""


class Drawing(str):
    """The text of an SVG image, which a notebook shows and `save` writes.

    Examples
    --------
    >>> from bloxdb import draw
    >>> draw.schemes()[:4]
    '<svg'
    """

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: str | os.PathLike[str], *, width: int | None = None) -> Path:
        """Write the drawing to a file.

        Parameters
        ----------
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
        from bloxdb.draw.output import save

        return save(self, path, width=width)


def check_theme(theme: object) -> str:
    """A theme as the caller gave it; `QueryError` if there is none of this name."""
    if not isinstance(theme, str) or theme not in THEMES:
        raise QueryError(f"there is no theme {spelled(theme, 80)}; choose one of: {', '.join(THEMES)}")
    return theme


class Canvas:
    """Shapes, one after the other; a colour is the name of a part, as ``'ink'``, or one of SVG's.

    Parameters
    ----------
    theme
        One of `THEMES`.
    """

    def __init__(self, theme: str) -> None:
        self._theme = check_theme(theme)
        self._colours = DARK if theme == "dark" else LIGHT
        self._shapes: list[str] = []

    def box(self, x: float, y: float, width: float, height: float, **more: Any) -> None:
        """A rectangle by its upper left corner; `radius` rounds its corners."""
        radius = more.pop("radius", 0)
        self._add("rect", {"x": x, "y": y, "width": width, "height": height, "rx": radius}, more)

    def dot(self, x: float, y: float, radius: float, **more: Any) -> None:
        """A circle by its centre."""
        self._add("circle", {"cx": x, "cy": y, "r": radius}, more)

    def path(self, d: str, **more: Any) -> None:
        """A path of moves, lines and curves, all absolute."""
        self._add("path", {"d": d}, {"fill": "none", **more})

    def text(self, x: float, y: float, words: str, size: float, **more: Any) -> None:
        """A text whose middle is at `y`, and at `x` what `anchor` says; `up` turns it to read upwards."""
        attributes: dict[str, Any] = {"x": x, "y": round(y + 0.36 * size, 2), "font-size": size}
        if more.pop("up", False):
            attributes |= {
                "x": x,
                "y": y,
                "dy": "0.36em",
                "transform": f"rotate(-90 {_number(x)} {_number(y)})",
            }
        attributes["text-anchor"] = more.pop("anchor", "middle")
        if more.pop("bold", False):
            attributes["font-weight"] = "bold"
        self._add("text", attributes, {"fill": "ink", **more}, escape(words))

    def shapes(self) -> str:
        """All shapes as text, a line each."""
        return "\n".join(self._shapes)

    def drawing(self, width: float, height: float, title: str, description: str, name: str) -> Drawing:
        """All shapes on paper, with what a screen reader says of them.

        Parameters
        ----------
        width, height
            The size of the drawing.
        title, description
            What it is, in a few words and in sentences.
        name
            What begins the ids, which are to be unique in a page with several drawings.
        """
        first = Canvas(self._theme)
        first.box(0, 0, width, height, fill="paper", radius=6)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_number(width)}" height="{_number(height)}" '
            f'viewBox="0 0 {_number(width)} {_number(height)}" role="img" font-family="{FONTS}" '
            f'style="max-width:100%;height:auto" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{escape(title)}</title>',
            f'<desc id="{name}-desc">{escape(description)}</desc>',
            *([_dark_style()] if self._theme == "auto" else []),
            *first._shapes,
            *self._shapes,
            "</svg>",
        ]
        return Drawing("\n".join(lines) + "\n")

    def _add(self, tag: str, attributes: dict[str, Any], more: dict[str, Any], inner: str = "") -> None:
        classes = []
        for paint, sign in (("fill", "f"), ("stroke", "s")):
            colour = more.pop(paint, None)
            if colour in self._colours:
                classes.append(f"bloxdb-{sign}-{colour}")
                colour = self._colours[colour]
            if colour is not None:
                attributes[paint] = colour
        if classes:
            attributes["class"] = " ".join(classes)
        attributes |= {name.replace("_", "-"): value for name, value in more.items()}
        written = "".join(f" {name}={quoteattr(_number(value))}" for name, value in attributes.items())
        self._shapes.append(f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>")


def _number(value: Any) -> str:
    """A number without needless digits; a text as it is."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _dark_style() -> str:
    rules = "".join(
        f".bloxdb-f-{part}{{fill:{colour}}}.bloxdb-s-{part}{{stroke:{colour}}}"
        for part, colour in DARK.items()
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
