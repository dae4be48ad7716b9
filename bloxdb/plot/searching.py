"""Searches compared: what each has found after so much simulated time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.draw.palette import SERIES
from bloxdb.errors import QueryError
from bloxdb.plot.axes import Axes, panels, tidy
from bloxdb.problem import Point, Problem

Floats = npt.NDArray[np.float64]
Search = Problem | Sequence[Point]
"""A search: a problem that was searched, or its trajectory."""

_TIMES = 400  # at which repetitions are compared
_HOUR = 3600
_QUARTILES = (25, 50, 75)


def search(trajectories: Mapping[str, Search | Iterable[Search]], *, ax: Any = None) -> tuple[Axes, ...]:
    """Regret and test accuracy over simulated time: the median over repetitions, and the middle half.

    Parameters
    ----------
    trajectories
        By the name of a search its repetitions: each a `bloxdb.Problem` that was searched, or what its
        ``trajectory`` has.
    ax
        Two axes of matplotlib; a new figure if None.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        The axes: regret, test accuracy.

    Raises
    ------
    QueryError
        There is no search, or one without an evaluation.
    MissingExtraError
        matplotlib is not installed.

    Notes
    -----
    A line begins where all repetitions have evaluated something; one that has ended keeps what it found.
    """
    if not isinstance(trajectories, Mapping) or not trajectories:
        raise QueryError("trajectories is a dict with one search at least: its name, and its repetitions")
    found = {str(name): _repetitions(str(name), given) for name, given in trajectories.items()}
    axes = panels(ax, 2, 4.4, 3.6)
    lowest = []
    for at, (name, repetitions) in enumerate(found.items()):
        colour = SERIES[at % len(SERIES)]
        for one, what in zip(axes, ("regret", "test_top1"), strict=True):
            times, (low, middle, high) = _over_time(repetitions, what)
            several = f" ({len(repetitions)} repetitions)" if len(repetitions) > 1 else ""
            one.plot(
                times / _HOUR, middle, color=colour, linewidth=1.6, drawstyle="steps-post",
                label=f"{name}{several}", linestyle=("solid", "dashed")[at // len(SERIES) % 2],
            )  # fmt: skip
            if len(repetitions) > 1:
                one.fill_between(
                    times / _HOUR, low, high, step="post", color=colour, alpha=0.2, linewidth=0,
                    label=f"middle half of {name}",
                )  # fmt: skip
            if what == "regret":
                lowest.append(low)
    regrets = np.concatenate(lowest)
    regrets = regrets[~np.isnan(regrets)]  # where the test was not measured
    positive = regrets[regrets > 0]
    if len(positive) == len(regrets):
        axes[0].set_yscale("log")
    else:  # none, which a search can reach, has no place on a logarithmic axis; below this it is linear
        axes[0].set_yscale("symlog", linthresh=float(positive.min(initial=1.0)))
        axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    if axes[0].get_yscale() == "log":  # over less than a power of ten only such a mark is there
        axes[0].yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "235" else "")
    for one, words in zip(axes, ("regret (percentage points)", "test accuracy (%)"), strict=True):
        one.set_xscale("log")
        one.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        tidy(one, "simulated training time (hours)", words)
    axes[1].legend(frameon=False, fontsize=8, loc="lower right", handles=axes[1].get_lines())
    return tuple(axes)


def _repetitions(name: str, given: Any) -> list[tuple[Floats, dict[str, Floats]]]:
    """Of each repetition the times, and what had been found then."""
    if isinstance(given, Problem) or (isinstance(given, Sequence) and given and isinstance(given[0], Point)):
        given = [given]
    found = []
    for one in _listed(given):
        trajectory = one.trajectory if isinstance(one, Problem) else _listed(one)
        if not trajectory or not all(isinstance(point, Point) for point in trajectory):
            raise QueryError(
                f"the search {name!r} has a repetition without evaluations; one is a Problem that was "
                "searched, or its trajectory"
            )
        times = np.array([point.seconds for point in trajectory])
        values = {
            what: np.array([getattr(point, what) for point in trajectory]) for what in ("regret", "test_top1")
        }
        found.append((times, values))
    if not found:
        raise QueryError(f"the search {name!r} has no repetition")
    return found


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Iterable) else [given]


def _over_time(repetitions: list[tuple[Floats, dict[str, Floats]]], what: str) -> tuple[Floats, Floats]:
    """Times, and the quartiles of what repetitions had found then."""
    first = max(times[0] for times, _ in repetitions)
    last = max(times[-1] for times, _ in repetitions)
    first = min(first, last)
    if len(repetitions) == 1:
        times = repetitions[0][0]
    else:
        every = np.unique(np.concatenate([times for times, _ in repetitions]))
        every = every[every >= first]
        times = every if len(every) <= _TIMES else np.geomspace(first, last, _TIMES)
    rows = [values[what][np.searchsorted(of_one, times, side="right") - 1] for of_one, values in repetitions]
    return times, np.percentile(rows, _QUARTILES, axis=0)
