"""Learning curves, and how soon they tell the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.arguments import listed_epochs, number
from bloxdb.dataset.dataset import Dataset
from bloxdb.dataset.opening import from_database
from bloxdb.dataset.source import CURVES
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds, average_of
from bloxdb.db.schema import RUN_MEASURES, Run
from bloxdb.draw.palette import SERIES
from bloxdb.errors import QueryError, spelled
from bloxdb.grouping import AVERAGES, average
from bloxdb.measures import EPOCH, RANKED_BY
from bloxdb.plot.axes import Axes, label, panels, tidy
from bloxdb.plot.ranks import kendall, overlap, spearman
from bloxdb.selection import selected
from bloxdb.space.keys import Ids, arch_indices

Floats = npt.NDArray[np.float64]

_EPOCHS_SHOWN = 30  # of a longer training; each costs a look at all runs, and the line is smooth
_DASHES = ("solid", "dashed", "dotted", "dashdot")


def curves(
    archs: Iterable[Any],
    measure: str = "val_top1",
    db: Database | None = None,
    *,
    ax: Any = None,
    recipe: str | None = None,
    seeds: Seeds = None,
    first_epoch: bool = False,
) -> Axes:
    """Learning curves: the mean over seeds as a line, from the lowest to the highest seed as a band.

    Parameters
    ----------
    archs
        The architectures, in whatever way they are named.
    measure
        A measure of epochs.
    db
        The database; the current one if not given.
    ax
        An axes of matplotlib; a new figure if None.
    recipe
        The name of the recipe of the runs; needed where there are several.
    seeds
        Only runs of this seed, or of these; ``'median'`` for medians instead of means.
    first_epoch
        Whether epoch 1 is drawn also where it has the best epoch's validation instead of its own.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    QueryError
        There is no such measure, recipe or seed, or no finished run of an architecture.
    InvalidArchError
        There is no such architecture.
    MissingExtraError
        matplotlib is not installed.
    """
    how = average_of(seeds)
    _check_measure(measure)
    dataset = from_database(asked(db), recipe=recipe, seeds=None if how else seeds)
    ids = list(dict.fromkeys(arch_indices(archs).tolist()))
    if not ids:
        raise QueryError("archs names no architecture; give one at least, in a list")
    of_archs = [_of_seeds(dataset, index, measure, first_epoch) for index in ids]
    (axes,) = panels(ax, 1, 5.2, 3.6)
    lines = []
    for at, (index, values) in enumerate(zip(ids, of_archs, strict=True)):
        colour = SERIES[at % len(SERIES)]
        known = ~np.isnan(values).all(axis=0)
        epochs = np.arange(1, values.shape[1] + 1)[known]
        middle = average(how or AVERAGES[0], values)[known]
        of = f", {how or AVERAGES[0]} of {len(values)} seeds" if len(values) > 1 else ""
        lines += axes.plot(
            epochs, middle, color=colour, linewidth=1.6, label=f"{index}{of}",
            linestyle=_DASHES[at // len(SERIES) % len(_DASHES)],
        )  # fmt: skip
        if len(values) > 1:
            low, high = np.nanmin(values[:, known], axis=0), np.nanmax(values[:, known], axis=0)
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0, label=f"band {index}")
    tidy(axes, "epoch", label(measure, EPOCH[measure]))
    axes.set_xlim(0, dataset.epochs)
    axes.legend(handles=lines, title="architecture", frameon=False, fontsize=8, title_fontsize=8)
    return axes


def agreement(
    measure: str = "val_top1",
    target: str = RANKED_BY,
    db: Database | None = None,
    *,
    ax: Any = None,
    recipe: str | None = None,
    seeds: Seeds = None,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
    epochs: int | Iterable[int] | None = None,
    share: float = 0.01,
    first_epoch: bool = False,
) -> Axes:
    """How well the ranking after each epoch agrees with the final one.

    A line is the mean over seeds, with a band from the lowest to the highest. Dotted lines say how well the
    final rankings of two seeds agree, which no early ranking can be expected to exceed by much.

    Parameters
    ----------
    measure
        The measure of epochs that ranks early.
    target
        The measure of runs that ranks in the end.
    db
        The database; the current one if not given.
    ax
        An axes of matplotlib; a new figure if None.
    recipe, seeds, max_flops, max_params, max_latency
        Which runs, as of `bloxdb.top`, of one recipe; with ``seeds='mean'`` or ``'median'`` averages are
        ranked.
    epochs
        The epochs that are looked at; all if None, or thirty of more than these, denser at the beginning.
    share
        How many are the best, for the overlap: this share of the architectures.
    first_epoch
        Whether epoch 1 counts also where it has the best epoch's validation instead of its own.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    QueryError
        There is no such measure, recipe, seed or epoch, the share is none, or fewer than two architectures
        have runs.
    MissingExtraError
        matplotlib is not installed.
    """
    _check_measure(measure)
    if target not in RUN_MEASURES:
        raise QueryError(f"there is no measure {spelled(target)}; choose one of: {', '.join(RUN_MEASURES)}")
    part = number(share, "the share of the best")
    if not 0 < part <= 1:
        raise QueryError(f"the share of the best is more than 0 and at most 1, not {part}")
    db, how = asked(db), average_of(seeds)
    dataset = from_database(db, recipe=recipe, seeds=None if how else seeds)
    chosen = selected(db, recipe, seeds, max_flops=max_flops, max_params=max_params, max_latency=max_latency)
    ids = np.unique(chosen.array(Run.arch_id)[0]).astype(np.int64)
    numbers = _looked_at(dataset.epochs, epochs)
    signs = [1 if one.higher_is_better else -1 for one in (EPOCH[measure], RUN_MEASURES[target])]
    early, final = _early_and_final(dataset, ids, measure, target, how, numbers, first_epoch)
    early, final = signs[0] * early, signs[1] * final
    if max((~np.isnan(final)).sum(axis=1), default=0) < 2:
        raise QueryError(f"{db.name} has fewer than two architectures whose {target} could be ranked")
    (axes,) = panels(ax, 1, 5.2, 3.6)
    ways: dict[str, Callable[[Floats, Floats], float]] = {
        "Spearman's ρ": spearman,
        "Kendall's τ": kendall,
        f"best {100 * part:g} % in common": lambda a, b: overlap(a, b, part),
    }
    lines, of_two = [], []
    for (title, way), colour in zip(ways.items(), SERIES, strict=False):
        values = np.array(
            [
                [_agree(way, one[:, at], last) for at in range(len(numbers))]
                for one, last in zip(early, final, strict=True)
            ]
        )
        known = ~np.isnan(values).all(axis=0)
        shown = np.array(numbers)[known]
        lines += axes.plot(shown, average("mean", values)[known], color=colour, linewidth=1.6, label=title)
        if len(values) > 1:
            low, high = np.nanmin(values[:, known], axis=0), np.nanmax(values[:, known], axis=0)
            axes.fill_between(shown, low, high, color=colour, alpha=0.2, linewidth=0, label=f"band {title}")
            pairs = np.array([[_agree(way, a, b)] for a, b in itertools.combinations(final, 2)])
            between = float(average("mean", pairs)[0])
            named = f"between seeds, {title}"
            of_two.append(axes.axhline(between, color=colour, linestyle="dotted", label=named))
    tidy(axes, "epoch", f"agreement of {label(measure, EPOCH[measure]).partition(' (')[0]}\nwith the final "
         f"{label(target, RUN_MEASURES[target]).partition(' (')[0]}")  # fmt: skip
    axes.set_xlim(0, dataset.epochs)
    axes.set_ylim(top=1.02)
    titles = [*ways, *["two seeds in the end"][: len(of_two)]]
    axes.legend([*lines, *of_two[:1]], titles, frameon=False, fontsize=8)
    return axes


def _check_measure(measure: object) -> None:
    if measure not in CURVES:
        raise QueryError(
            f"there is no measure {spelled(measure, 80)} of epochs; choose of: {', '.join(CURVES)}"
        )


def _of_seeds(dataset: Dataset, index: int, measure: str, first_epoch: bool) -> Floats:
    """The curves of an architecture, a row a seed that it has."""
    each = [dataset.curve(index, measure, seed=seed, first_epoch=first_epoch) for seed in dataset.seeds]
    found = [values for values in each if values is not None and not np.isnan(values).all()]
    if not found:
        raise QueryError(f"there is no finished run of architecture {index} with {measure} to draw")
    return np.array(found)


def _looked_at(last: int, epochs: int | Iterable[int] | None) -> list[int]:
    if epochs is not None:
        found = listed_epochs(epochs, last)
        if found == []:
            raise QueryError("epochs names no epoch; give one, several, or None for all")
        return [found] if isinstance(found, int) else sorted(set(found))
    if last <= _EPOCHS_SHOWN:
        return list(range(1, last + 1))
    some = np.unique(np.round(np.geomspace(1, last, _EPOCHS_SHOWN)).astype(int))
    return [int(epoch) for epoch in some]


def _early_and_final(
    dataset: Dataset, ids: Ids, measure: str, target: str, how: str | None, epochs: list[int], first: bool
) -> tuple[Floats, Floats]:
    """Values after epochs (seeds, archs, epochs), and in the end (seeds, archs)."""
    seeds: list[Any] = [how] if how else list(dataset.seeds)
    early, final = [], []
    for seed in seeds:
        table = dataset.table(ids, [measure], epoch=epochs, seed=seed, first_epoch=first)
        early.append(table[measure].reshape(len(ids), len(epochs)))
        final.append(dataset.table(ids, [target], seed=seed, best=True)[target])
    return np.array(early), np.array(final)


def _agree(way: Callable[[Floats, Floats], float], a: Floats, b: Floats) -> float:
    """The agreement of those that have both."""
    known = ~np.isnan(a) & ~np.isnan(b)
    return way(a[known], b[known]) if known.sum() > 1 else float("nan")
