"""Pieces of HTML for notebooks: tables whose architectures unfold to drawings, and all about one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bloxdb.counts import counted
from bloxdb.draw.networks import arch
from bloxdb.draw.palette import SERIES
from bloxdb.draw.svg import Canvas, Drawing
from bloxdb.errors import QueryError, spelled
from bloxdb.space.keys import KEY, find_arch

_KEYS = ("arch_id", "hash", KEY, "vec")  # columns that name an architecture, the best first
_AT_MOST = 50  # rows, of which each has a drawing of 10 kB
_WIDTH, _HEIGHT = 480, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 24, 20
_CELL = 'style="text-align:left;padding:2px 8px;vertical-align:top"'


class Page(str):
    """A piece of HTML, which a notebook shows."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


def table(rows: Any) -> Page:
    """Rows about architectures as a table for a notebook: each unfolds to a drawing.

    Parameters
    ----------
    rows
        What `bloxdb.top` or `bloxdb.pareto` gave, other dicts, or a frame of pandas, Polars or Arrow; one of
        the columns is ``'arch_id'``, ``'hash'``, ``'model_hash'`` or ``'vec'``.

    Returns
    -------
    Page
        HTML with the first 50 rows, which says how many there are more.

    Raises
    ------
    QueryError
        No column names an architecture, or what is given has no rows.
    InvalidArchError
        A key is malformed.
    """
    dicts = _dicts(rows)
    if not dicts:
        return Page("<p>no rows</p>")
    columns = list(dicts[0])
    key = next((name for name in _KEYS if name in columns), None)
    if key is None:
        raise QueryError(
            f"no column names an architecture: one of {', '.join(_KEYS)} does; there are {columns}"
        )
    lines = []
    for row in dicts[:_AT_MOST]:
        index = find_arch(row[key])
        drawing = (
            "" if index is None else f"<details><summary>draw</summary>{arch(index, costs=True)}</details>"
        )
        cells = "".join(f"<td {_CELL}>{escape(_shown(row.get(name)))}</td>" for name in columns)
        lines.append(f"<tr>{cells}<td {_CELL}>{drawing}</td></tr>")
    more = len(dicts) - len(lines)
    return Page(_table([*columns, ""], lines) + (f"<p>and {more:,} more</p>" if more else ""))


def card(
    index: int,
    facts: Iterable[str],
    runs: Sequence[Mapping[str, object]],
    curves: Mapping[str, Sequence[float | None]],
    measure: str,
) -> Page:
    """All about one architecture.

    Parameters
    ----------
    index
        The architecture.
    facts
        Sentences that stand below its drawing.
    runs
        A dict a run, all with the same keys.
    curves
        Values by epoch, from 1, by the names of runs.
    measure
        What the curves are of.
    """
    parts = [str(arch(index, costs=True)), *(f"<p>{escape(fact)}</p>" for fact in facts)]
    if runs:
        names = list(runs[0])
        lines = [
            "<tr>" + "".join(f"<td {_CELL}>{escape(_shown(run[name]))}</td>" for name in names) + "</tr>"
            for run in runs
        ]
        parts.append(_table(names, lines))
    if curves:
        parts.append(str(curve(curves, measure, f"bloxdb-curve-{index}")))
    return Page(f"<div>{''.join(parts)}</div>")


def curve(
    curves: Mapping[str, Sequence[float | None]], measure: str, name: str, theme: str = "auto"
) -> Drawing:
    """Learning curves as lines.

    Parameters
    ----------
    curves
        Values by epoch, from 1, None where there is none; by what each line is called.
    measure
        What they are of.
    name
        What begins the ids of the drawing.
    theme
        As of `arch`.
    """
    known = [
        value for values in curves.values() for value in values if value is not None and math.isfinite(value)
    ]
    canvas = Canvas(theme)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    last = max((len(values) for values in curves.values()), default=1)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    canvas.text(_LEFT, 12, measure, 12, anchor="start", bold=True)
    for extreme, at_y in ((high, _TOP), (low, bottom)):
        canvas.path(f"M {_LEFT} {at_y} L {right} {at_y}", stroke="bar", stroke_width=1)
        canvas.text(_LEFT - 5, at_y, f"{extreme:.4g}", 11, anchor="end", fill="faint")
    for number, at_x, anchor in ((1, _LEFT, "start"), (last, right, "end")):
        canvas.text(at_x, bottom + 11, str(number), 11, anchor=anchor, fill="faint")
    canvas.text((_LEFT + right) / 2, bottom + 11, "epoch", 11, fill="faint")
    widths = [7.4 * len(label) + 34 for label in curves]
    legend = right - sum(widths)
    has_legend = legend > _LEFT + 9 * len(measure)  # or the description alone says which they are
    for at, (label, values) in enumerate(curves.items()):
        colour = SERIES[at % len(SERIES)]
        d, pen = [], "M"
        for epoch, value in enumerate(values, start=1):
            if value is None or not math.isfinite(value):
                pen = "M"
                continue
            x = _LEFT + (epoch - 1) / max(last - 1, 1) * (right - _LEFT)
            y = bottom - (value - low) / ((high - low) or 1) * (bottom - _TOP)
            d.append(f"{pen} {x:.1f} {y:.1f}")
            pen = "L"
        canvas.path(" ".join(d), stroke=colour, stroke_width=1.8, data_curve=label)
        if has_legend:
            canvas.path(f"M {legend + 12:.1f} 12 L {legend + 28:.1f} 12", stroke=colour, stroke_width=3)
            canvas.text(round(legend + 32, 1), 12, label, 11, anchor="start")
            legend += widths[at]
    told = "; ".join(
        f"{label}: from {_first(values)} to {_first(reversed(values))}" for label, values in curves.items()
    )
    return canvas.drawing(_WIDTH, _HEIGHT, f"{measure} over {counted(last, 'epoch')}", told, name)


def _first(values: Iterable[float | None]) -> str:
    return next((f"{value:.4g}" for value in values if value is not None), "nothing")


def _table(columns: Sequence[str], lines: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col" {_CELL}>{escape(name)}</th>' for name in columns)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _dicts(rows: Any) -> list[dict[str, Any]]:
    """Rows as dicts, of whatever kind they are."""
    for method, given in (("to_dicts", ()), ("to_pylist", ()), ("to_dict", ("records",))):
        if hasattr(rows, method) and not isinstance(rows, Mapping):
            rows = getattr(rows, method)(*given)
            break
    is_listing = isinstance(rows, Iterable) and not isinstance(rows, str | bytes | Mapping)
    listed = list(rows) if is_listing else [rows]
    if not is_listing or not all(isinstance(row, Mapping) for row in listed):
        raise QueryError(f"a table has rows, dicts or a frame, not {spelled(rows, 80)}")
    return [dict(row) for row in listed]


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    return (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 99_999
        else str(value)
    )
