"""What all figures share: axes, labels with units, colours, and how they are written to files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from bloxdb.errors import QueryError, spelled
from bloxdb.extras import library
from bloxdb.files import expanded
from bloxdb.labels import label as label
from bloxdb.measures import COSTS
from bloxdb.writing import replacing

Axes = Any
"""An ``Axes`` of matplotlib, which is imported when a figure is made."""

ENDINGS = (".pdf", ".svg", ".png")
"""What a figure can be written as."""

INK = "#14181d"
CLOUD = "#7f8b97"
_DOTS_PER_INCH = 300  # of a .png, and of the points of a cloud within a .pdf or .svg
_FONTS = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}  # text stays text, as papers ask for


def pyplot() -> Any:
    """The module ``matplotlib.pyplot``; `MissingExtraError` if it is not installed."""
    return library("matplotlib.pyplot", "plot")


def panels(ax: Any, count: int, width: float, height: float) -> list[Axes]:
    """Axes side by side: those that a caller gave, or those of a new figure.

    Parameters
    ----------
    ax
        One, several, or None.
    count
        How many are needed.
    width, height
        Inches of each, where they are new.

    Raises
    ------
    QueryError
        Others were given than are needed.
    """
    if ax is None:
        found = pyplot().subplots(
            1, count, figsize=(width * count, height), layout="constrained", squeeze=False
        )
        return list(found[1][0])
    return given(ax, count)


def given(ax: Any, count: int) -> list[Axes]:
    """The axes that a caller gave, as many as are needed; `QueryError` if they are not."""
    if hasattr(ax, "ravel"):
        ax = list(ax.ravel())
    listed = list(ax) if isinstance(ax, Iterable) else [ax]
    if len(listed) != count or not all(hasattr(one, "get_figure") for one in listed):
        several = (
            "one Axes of matplotlib" if count == 1 else f"{count} Axes of matplotlib, as a list or an array"
        )
        raise QueryError(f"ax is {several}, or None for a new figure, not {spelled(ax, 80)}")
    return listed


def tidy(ax: Axes, x: str = "", y: str = "") -> None:
    """Quiet axes: no frame above and at the right, a faint grid below what is drawn; labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#d9dee3", linewidth=0.6)
    ax.set_axisbelow(True)
    if x:
        ax.set_xlabel(x)
    if y:
        ax.set_ylabel(y)


def key(axes: Sequence[Axes], handles: Sequence[Any], *, is_new: bool, columns: int) -> None:
    """What the marks mean: above a figure of ours, where it covers nothing, or in others' first axes."""
    if is_new:
        axes[0].get_figure().legend(
            handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=8
        )
    else:
        axes[0].legend(handles=handles, frameon=True, framealpha=0.9, edgecolor="none", fontsize=8)


def short_numbers(axis: Any, name: str) -> None:
    """Millions as M where an axis has costs."""
    if name in COSTS:
        ticker = library("matplotlib.ticker", "plot")
        axis.set_major_formatter(ticker.EngFormatter(sep=" "))
        axis.set_major_locator(ticker.MaxNLocator(5))


def save(axes: Axes | Sequence[Axes], path: str | os.PathLike[str]) -> Path:
    """Write a figure for a paper: text stays text, clouds of points are pixels within it.

    Parameters
    ----------
    axes
        What a function of this package gave.
    path
        The file, ``.pdf``, ``.svg`` or ``.png``; one that is there is replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    QueryError
        The name has another ending.
    """
    target = checked(path)
    several = list(axes.ravel()) if hasattr(axes, "ravel") else axes
    figure = (several[0] if isinstance(several, Sequence) else several).get_figure()
    kind = target.suffix.lower().removeprefix(".")
    about = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    drawn = BytesIO()  # matplotlib has errors of its own where a disk is full
    with library("matplotlib", "plot").rc_context(_FONTS):
        figure.savefig(drawn, format=kind, dpi=_DOTS_PER_INCH, metadata=about)
    with replacing(target) as place:
        place.write_bytes(drawn.getbuffer())
    return target


def checked(path: str | os.PathLike[str]) -> Path:
    """A file that a figure can be written to; `QueryError` for another ending."""
    target = expanded(path)
    if target.suffix.lower() not in ENDINGS:
        raise QueryError(f"a figure is written as one of {', '.join(ENDINGS)}; {str(target)!r} is none")
    return target
