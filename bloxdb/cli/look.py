"""`draw`, `plot`: pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bloxdb import draw as drawings
from bloxdb import plot as figures
from bloxdb.cli.common import PATH, IntRange, db_option
from bloxdb.cli.query import by_option, choice_options, limit_options, seeds_of
from bloxdb.cli.terminal import note, write_data
from bloxdb.db import open
from bloxdb.db.schema import EPOCH_MEASURES
from bloxdb.draw.output import ENDINGS
from bloxdb.draw.svg import THEMES
from bloxdb.extras import library
from bloxdb.measures import RANKED_BY
from bloxdb.plot.axes import ENDINGS as FIGURES
from bloxdb.plot.axes import checked


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("key", metavar="[VEC|HASH|INDEX]", required=False)
@click.option("--schemes", is_flag=True, help="Draw the six ways in which operations are wired.")
@click.option("--supernet", is_flag=True, help="Draw the network that all architectures are taken from.")
@click.option("--costs", is_flag=True, help="Show each block's share of FLOPs and parameters.")
@click.option(
    "--theme", type=click.Choice(THEMES), default="auto", show_default=True, help="For light or dark."
)
@click.option("--width", type=IntRange(1), help="Pixels of a .png from side to side.")
@click.option(
    "--out", type=PATH, metavar="FILE", help=f"Where to: {', '.join(ENDINGS)}; SVG on stdout if not given."
)
def draw(
    key: str | None,
    schemes: bool,
    supernet: bool,
    costs: bool,
    theme: str,
    width: int | None,
    out: Path | None,
) -> None:
    """Draw an architecture, or what all have in common.

    .png and .pdf need `pip install 'bloxdb[plot]'`.
    """
    if [key is not None, schemes, supernet].count(True) != 1:
        raise click.UsageError("name one architecture, or give --schemes or --supernet")
    if costs and key is None:
        raise click.UsageError("--costs is for one architecture")
    if width is not None and out is None:
        raise click.UsageError("--width is for a .png; name one with --out")
    if key is not None:
        drawing = drawings.arch(key, costs=costs, theme=theme)
    else:
        drawing = drawings.schemes(theme=theme) if schemes else drawings.supernet(theme=theme)
    if out is None:
        write_data(drawing)
    else:
        note(f"wrote {drawing.save(out, width=width)}")


_LIMITS = ("max_flops", "max_params", "max_latency")
_TAKES: dict[str, tuple[Callable[..., Any], dict[str, str]]] = {
    "costs": (figures.costs, {"x": "x", "by": "y"}),
    "curves": (figures.curves, {"keys": "archs", "epoch_measure": "measure"}),
    "agreement": (figures.agreement, {"epoch_measure": "measure", "by": "target"}),
    "blocks": (figures.blocks, {"by": "measure"}),
    "spread": (figures.spread, {"by": "measure"}),
}
"""Figures: the function, and what it calls the options that not all of them have."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("figure", type=click.Choice(list(_TAKES)))
@click.argument("keys", metavar="[VEC|HASH|INDEX]...", nargs=-1)
@click.option("--out", type=PATH, metavar="FILE", required=True, help=f"Where to: {', '.join(FIGURES)}.")
@db_option
@click.option("--x", type=by_option, multiple=True, help="costs: against this; may be repeated.")
@click.option("--by", type=by_option, help=f"The measure of runs that is drawn; {RANKED_BY} if not given.")
@click.option(
    "--measure",
    "epoch_measure",
    type=click.Choice(list(EPOCH_MEASURES)),
    help="curves, agreement: the measure of epochs; val_top1 if not given.",
)
@limit_options
@choice_options
def plot(
    figure: str,
    keys: tuple[str, ...],
    out: Path,
    db: str | None,
    recipe: str | None,
    seeds: tuple[int | str, ...],
    **options: Any,
) -> None:
    """Draw a figure: costs, curves of the architectures that are named, agreement, blocks or spread.

    It needs `pip install 'bloxdb[plot]'`.
    """
    function, names = _TAKES[figure]
    if figure == "curves" and not keys:
        raise click.UsageError("curves are of architectures; name one or more")
    limits = () if figure == "curves" else _LIMITS
    given = {name: value for name, value in {"keys": keys, **options}.items() if value not in (None, ())}
    for name in given:
        if name not in names and name not in limits:
            written = _WRITTEN.get(name, f"--{name.replace('_', '-')}")
            raise click.UsageError(f"{written} says nothing of {figure}")
    checked(out)
    library("matplotlib", "plot").use("agg")  # no window: the figure goes to a file
    arguments = {names.get(name, name): value for name, value in given.items()}
    if "x" in arguments and len(arguments["x"]) == 1:
        arguments["x"] = arguments["x"][0]
    with open(db, read_only=True) as opened:
        axes = function(db=opened, recipe=recipe, seeds=seeds_of(seeds), **arguments)
        note(f"wrote {figures.save(axes, out)}")


_WRITTEN = {"keys": "an architecture", "epoch_measure": "--measure"}
