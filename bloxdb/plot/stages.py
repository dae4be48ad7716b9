"""What each block does in each stage: mean effects, how stages act together, and distributions."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds
from bloxdb.draw.palette import OP_COLOURS, SERIES
from bloxdb.extras import library
from bloxdb.measures import RANKED_BY
from bloxdb.plot.axes import INK, Axes, given, key, label, panels, pyplot, short_numbers, tidy
from bloxdb.plot.points import Floats, Points, points
from bloxdb.selection import selected
from bloxdb.space.cells import BLOCKS, NUM_BLOCKS, OPS, STAGES

_PAIRS = list(itertools.combinations(range(STAGES), 2))
_ORDER = sorted(range(NUM_BLOCKS), key=lambda index: (BLOCKS[index].scheme, *BLOCKS[index].ops))
_SCHEMES = sorted({block.scheme for block in BLOCKS})
_LETTERS = dict(zip(OPS, "cmb", strict=True))
_STAGE_COLOURS = ("#d0e3f2", "#6aaed6", "#1f5a94")  # from the first stage to the last
_WHISKERS = (5, 95)  # percent


def blocks(
    measure: str = RANKED_BY,
    db: Database | None = None,
    *,
    ax: Any = None,
    recipe: str | None = None,
    seeds: Seeds = None,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
) -> tuple[Axes, ...]:
    """The mean effect of each block in each stage, and what two stages have beyond the sum of theirs.

    An effect is how far the mean of the runs with a block is from the mean of all. The interaction of two
    blocks in two stages is how far the mean of the runs with both is from the mean of all and both effects.

    Parameters
    ----------
    measure
        A measure of runs.
    db
        The database; the current one if not given.
    ax
        Four axes of matplotlib, for the effects and for three pairs of stages; a new figure if None.
    recipe, seeds, max_flops, max_params, max_latency
        Which runs, as of `bloxdb.top`; with ``seeds='mean'`` or ``'median'`` means are over architectures.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        The axes.

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
    found = points(chosen, seeds, measure)
    mean, single, pairs = _effects(found, measure)
    axes = _four() if ax is None else given(ax, 1 + len(_PAIRS))
    words, _, unit = label(measure, chosen.measure(measure)).partition(" (")
    unit = {"%)": "percentage points"}.get(unit, unit.removesuffix(")"))
    image = _heat(axes[0], single)
    _scale(image, axes[0], f"from the mean\n({unit})" if unit else "from the mean")
    axes[0].set_yticks(range(STAGES), [f"stage {stage + 1}" for stage in range(STAGES)])
    axes[0].set_xticks(range(NUM_BLOCKS), [_short(index) for index in _ORDER], fontsize=6.5)
    axes[0].set_title(f"mean {words} by block ({mean:.5g} over all)", fontsize=9)
    _name_schemes(axes[0])
    largest = float(np.nanmax(np.abs(np.array(list(pairs.values()))), initial=0.0)) or 1.0
    for one, (a, b) in zip(axes[1:], _PAIRS, strict=True):
        image = _heat(one, pairs[a, b], largest)
        one.set_aspect("equal")
        one.set(xlabel=f"stage {b + 1}", ylabel=f"stage {a + 1}")
        middles = [(first + last) / 2 for first, last in _spans().values()]
        one.set_xticks(middles, list(_spans()), fontsize=7)
        one.set_yticks(middles, list(_spans()), fontsize=7)
        for _, last in list(_spans().values())[:-1]:
            one.axhline(last + 0.5, color="white", linewidth=0.8)
    _scale(image, axes[1:], f"beyond both effects\n({unit})" if unit else "beyond both effects", shrink=0.85)
    return tuple(axes)


def spread(
    measure: str = RANKED_BY,
    db: Database | None = None,
    *,
    ax: Any = None,
    recipe: str | None = None,
    seeds: Seeds = None,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
) -> tuple[Axes, ...]:
    """Distributions by scheme and by operation, for each stage.

    A box is the middle half, the line in it the median; whiskers go from 5 to 95 percent. A run is under each
    operation that its block has.

    Parameters
    ----------
    measure
        A measure of runs, or ``'latency:DEVICE'``.
    db
        The database; the current one if not given.
    ax
        Two axes of matplotlib; a new figure if None.
    recipe, seeds, max_flops, max_params, max_latency
        Which runs, as of `bloxdb.top`; with ``seeds='mean'`` or ``'median'`` of architectures.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        The axes: schemes, operations.

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
    found = points(chosen, seeds, measure)
    of_blocks = found.blocks()
    schemes = np.array([block.scheme for block in BLOCKS])
    has = {op: np.array([at in block.ops for block in BLOCKS]) for at, op in enumerate(OPS)}
    if ax is None:
        _, axes = pyplot().subplots(
            1,
            2,
            figsize=(8.8, 3.8),
            layout="constrained",
            sharey=True,
            width_ratios=(len(_SCHEMES), len(OPS) + 1),
        )
        axes = list(axes)
    else:
        axes = panels(ax, 2, 4.4, 3.8)
    groups = {scheme: schemes == scheme for scheme in _SCHEMES}
    for one, choices, title in (
        (axes[0], groups, "scheme of the block"),
        (axes[1], has, "operation in the block"),
    ):
        _boxes(one, found.values[measure], of_blocks, choices)
        tidy(one, title)
        one.grid(visible=False, axis="x")
        short_numbers(one.yaxis, measure)
    axes[0].set_ylabel(label(measure, chosen.measure(measure)))
    patches: Any = library("matplotlib.patches", "plot")
    handles = [
        patches.Patch(facecolor=colour, edgecolor=INK, label=f"stage {stage}")
        for stage, colour in enumerate(_STAGE_COLOURS, start=1)
    ]
    key(axes, handles, is_new=ax is None, columns=len(handles))
    return tuple(axes)


def _effects(found: Points, measure: str) -> tuple[float, Floats, dict[tuple[int, int], Floats]]:
    """The mean of all, effects (stages, blocks) and interactions (blocks, blocks), NaN where nothing is."""
    values, of_blocks = found.values[measure], found.blocks()
    mean = float(values.mean())
    effects = np.array([_means(of_blocks[:, stage], values - mean, NUM_BLOCKS) for stage in range(STAGES)])
    pairs = {}
    for a, b in _PAIRS:
        rest = values - mean - effects[a, of_blocks[:, a]] - effects[b, of_blocks[:, b]]
        both = of_blocks[:, a] * NUM_BLOCKS + of_blocks[:, b]
        table = _means(both, rest, NUM_BLOCKS**2).reshape(NUM_BLOCKS, NUM_BLOCKS)
        pairs[a, b] = table[np.ix_(_ORDER, _ORDER)]
    return mean, effects[:, _ORDER], pairs


def _means(groups: npt.NDArray[np.int64], values: Floats, count: int) -> Floats:
    counts = np.bincount(groups, minlength=count)
    sums = np.bincount(groups, values, minlength=count)
    means: Floats = np.divide(sums, counts, out=np.full(count, np.nan), where=counts > 0)
    return means


def _four() -> list[Axes]:
    figure = pyplot().figure(figsize=(9.2, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, len(_PAIRS), height_ratios=(1, 2.1))
    top = figure.add_subplot(grid[0, :])
    return [top, *(figure.add_subplot(grid[1, at]) for at in range(len(_PAIRS)))]


def _heat(ax: Axes, values: Floats, largest: float | None = None) -> Any:
    """Values as colours, white for 0, grey for what is not there."""
    most = largest or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours = library("matplotlib", "plot").colormaps["RdBu"].with_extremes(bad="#b8bec4")
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=colours, vmin=-most, vmax=most, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    for _, last in list(_spans().values())[:-1]:
        ax.axvline(last + 0.5, color="white", linewidth=0.8)
    ax.tick_params(length=0)
    return image


def _scale(image: Any, axes: Any, words: str, shrink: float = 1.0) -> None:
    """What the colours mean, at the right of one or several axes."""
    bar = image.get_figure().colorbar(image, ax=axes, pad=0.01, shrink=shrink)
    bar.set_label(words, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _spans() -> dict[str, tuple[int, int]]:
    """The first and the last column of each scheme."""
    names = [BLOCKS[index].scheme for index in _ORDER]
    return {scheme: (names.index(scheme), len(names) - 1 - names[::-1].index(scheme)) for scheme in _SCHEMES}


def _short(index: int) -> str:
    """A block's operations as letters, one below the other."""
    return "\n".join(_LETTERS[OPS[op]] for op in BLOCKS[index].ops)


def _name_schemes(ax: Axes) -> None:
    for scheme, (first, last) in _spans().items():
        ax.text((first + last) / 2, STAGES - 0.42 + 0.62, scheme, ha="center", va="top", fontsize=8)
    letters = ", ".join(f"{letter} {op}" for op, letter in _LETTERS.items())
    ax.set_xlabel(letters, fontsize=8, labelpad=14)


def _boxes(
    ax: Axes, values: Floats, of_blocks: npt.NDArray[np.int64], choices: dict[str, npt.NDArray[np.bool_]]
) -> None:
    """A box a stage for each choice; none where there is no run."""
    for at, (name, is_in) in enumerate(choices.items()):
        for stage in range(STAGES):
            some = values[is_in[of_blocks[:, stage]]]
            if not len(some):
                continue
            low, q1, median, q3, high = np.percentile(some, (_WHISKERS[0], 25, 50, 75, _WHISKERS[1])).tolist()
            drawn = ax.bxp(
                [{"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high, "fliers": [],
                  "label": f"{name}, stage {stage + 1}"}],
                positions=[at + 0.27 * (stage - 1)], widths=0.22, patch_artist=True, showfliers=False,
                manage_ticks=False,
                boxprops={"facecolor": _STAGE_COLOURS[stage], "edgecolor": INK, "linewidth": 0.8},
                medianprops={"color": SERIES[1], "linewidth": 1.6},
                whiskerprops={"color": INK, "linewidth": 0.8}, capprops={"color": INK, "linewidth": 0.8},
            )  # fmt: skip
            drawn["boxes"][0].set_label(f"{name}, stage {stage + 1}")
            drawn["medians"][0].set_label(f"median of {name}, stage {stage + 1}")
    ax.set_xticks(range(len(choices)), list(choices))
    for tick, name in zip(ax.get_xticklabels(), choices, strict=True):
        if name in OP_COLOURS:
            tick.set_bbox({"facecolor": OP_COLOURS[name], "edgecolor": "none", "alpha": 0.35, "pad": 2})
