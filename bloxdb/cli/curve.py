"""A curve drawn with characters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

WIDTH = 72
"""Columns of a curve, without its scale, which takes nine."""

_HEIGHT = 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def draw_curve(values: Sequence[float], width: int = WIDTH, height: int = _HEIGHT, *, first: int = 1) -> str:
    """Values as bars, lowest to highest over `height` lines, with the range at the left.

    Where there are more values than columns, each column shows the mean of its share. `first` is the epoch of
    the first value.
    """
    columns = _shares(values, min(width, len(values)))
    low, high = min(columns), max(columns)
    span = (high - low) or 1.0
    levels = [1 + round((value - low) / span * (height * 8 - 1)) for value in columns]
    lines = []
    for line in reversed(range(height)):
        bars = "".join(_EIGHTHS[max(0, min(8, level - 8 * line))] for level in levels)
        label = {height - 1: f"{high:8.2f}", 0: f"{low:8.2f}"}.get(line, " " * 8)
        lines.append(f"{label} {bars}".rstrip())
    last = first + len(values) - 1
    return "\n".join([*lines, f"{'epoch':>8} {first}{str(last).rjust(len(columns) - len(str(first)))}"])


def _shares(values: Sequence[float], count: int) -> list[float]:
    edges = [i * len(values) // count for i in range(count + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
