"""What accuracy costs: all runs, and the Pareto fronts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import names
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds
from bloxdb.draw.palette import SERIES
from bloxdb.errors import QueryError
from bloxdb.extras import library
from bloxdb.measures import LATENCY, RANKED_BY
from bloxdb.plot.axes import CLOUD, INK, Axes, key, label, panels, short_numbers, tidy
from bloxdb.plot.points import Points, points
from bloxdb.queries import front
from bloxdb.selection import Selection, selected

_AGAINST = ("flops", "params")


def costs(
    x: str | Iterable[str] | None = None,
    y: str = RANKED_BY,
    db: Database | None = None,
    *,
    ax: Any = None,
    recipe: str | None = None,
    seeds: Seeds = None,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
) -> tuple[Axes, ...]:
    """Accuracy against what it costs, side by side: all runs, and the Pareto fronts.

    One front is of all runs, the other of those with the same block in each stage.

    Parameters
    ----------
    x
        What accuracy is drawn against: measures of runs and ``'latency:DEVICE'``, a panel each. FLOPs and
        parameters if None; a latency alone stands beside these.
    y
        A measure of runs.
    db
        The database; the current one if not given.
    ax
        As many axes of matplotlib as there are panels; a new figure if None.
    recipe, seeds, max_flops, max_params, max_latency
        Which runs, as of `bloxdb.top`; with ``seeds='mean'`` or ``'median'`` a point is an architecture.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        The axes, one a panel.

    Raises
    ------
    QueryError
        There is no such measure, device, recipe or seed, or there are no runs.
    MissingExtraError
        matplotlib is not installed.
    """
    chosen = selected(
        asked(db), recipe, seeds, max_flops=max_flops, max_params=max_params, max_latency=max_latency
    )
    against = _against(x)
    found = [points(chosen, seeds, name, y) for name in against]
    axes = panels(ax, len(against), 4.4, 3.8)
    for at, (one, name) in enumerate(zip(found, against, strict=True)):
        _panel(axes[at], one, chosen, name, y)
        if at:
            axes[at].set_ylabel("")
    marks = axes[0].get_legend_handles_labels()[0]
    lines: Any = library("matplotlib.lines", "plot")
    cloud = lines.Line2D([], [], color=CLOUD, marker="o", markersize=4, linestyle="none")
    cloud.set_label(marks[0].get_label())  # a point of the cloud itself could not be seen
    key(axes, [cloud, *marks[1:]], is_new=ax is None, columns=4 if len(axes) > 1 else 2)
    return tuple(axes)


def _against(x: str | Iterable[str] | None) -> list[str]:
    if x is None:
        return list(_AGAINST)
    if isinstance(x, str):
        return [*_AGAINST, x] if x.startswith(f"{LATENCY.name}:") else [x]
    found = names(x, "measures")
    if not found:
        raise QueryError("x names no measure; give one, several, or None for FLOPs and parameters")
    return found


def _panel(ax: Axes, found: Points, chosen: Selection, x: str, y: str) -> None:
    same = found.uniform()
    of_x, of_y = found.values[x], found.values[y]
    size = float(np.clip(2e5 / len(of_x), 2, 22))
    look: dict[str, Any] = {"linewidths": 0, "rasterized": True}
    alpha = float(np.clip(6e3 / len(of_x), 0.2, 0.7))
    ax.scatter(of_x, of_y, s=size, color=CLOUD, alpha=alpha, label=f"all {found.rows}s", **look)
    ax.scatter(
        of_x[same], of_y[same], s=20, color=SERIES[1], edgecolors="white", linewidths=0.5, zorder=3,
        label="the same block in each stage",
    )  # fmt: skip
    signs = [-1 if chosen.measure(name).higher_is_better else 1 for name in (x, y)]
    for which, colour, dashes, title in (
        (np.ones(len(of_x), dtype=bool), INK, "solid", "Pareto front"),
        (same, SERIES[1], (0, (4, 2)), "Pareto front of these"),
    ):
        places = _front(found, which, signs, x, y)
        ax.plot(
            of_x[places], of_y[places], color=colour, linestyle=dashes, linewidth=1.4, zorder=4,
            drawstyle="steps-post", label=title,
        )  # fmt: skip
    tidy(ax, label(x, chosen.measure(x)), label(y, chosen.measure(y)))
    short_numbers(ax.xaxis, x)
    short_numbers(ax.yaxis, y)


def _front(
    found: Points, which: npt.NDArray[np.bool_], signs: list[int], x: str, y: str
) -> npt.NDArray[np.int64]:
    places = np.flatnonzero(which)
    return places[front(signs[0] * found.values[x][which], signs[1] * found.values[y][which])]
