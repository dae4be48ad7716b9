"""`top`, `pareto`, `show`, `sql`: reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from typing import Any

import click

from bloxdb import queries
from bloxdb.cli.cells import draw_cells, side_by_side
from bloxdb.cli.common import IntRange, csv_option, db_option, json_option, show_json, show_rows
from bloxdb.cli.curve import WIDTH, draw_curve
from bloxdb.cli.terminal import is_terminal, note, say, tell, width
from bloxdb.db import Arch, Database, Run, open
from bloxdb.db.leaderboard import LEADERBOARD_COLUMNS
from bloxdb.db.recipes import ALL_RECIPES
from bloxdb.db.references import Seeds, average_of, find_recipe, find_seeds
from bloxdb.db.schema import RUN_MEASURES
from bloxdb.grouping import AVERAGES
from bloxdb.measures import COSTS, LATENCY, RANKED_BY, RUN, first_of_curve
from bloxdb.space import arch_index


class _Measure(click.ParamType[str]):
    """A measure of runs, or the latency on a device; which devices there are the database knows."""

    name = "measure"
    choices = (*RUN_MEASURES, f"{LATENCY.name}:DEVICE")

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in RUN_MEASURES and not value.startswith(f"{LATENCY.name}:"):
            self.fail(f"{value!r} is not one of {', '.join(self.choices)}", param, ctx)
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self.choices)}]"


class _Seed(click.ParamType[int | str]):
    """A seed, or the name of an average over all of them."""

    name = "seed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        return value if value in AVERAGES else click.INT.convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[INTEGER|{'|'.join(AVERAGES)}]"


_CURVE = "val_top1"
by_option = _Measure()
_SCALE = 9  # columns that a curve's scale takes
_KEPT = 100_000  # rows that are read before the first is written
_GAP = 2
_LEAST_CURVE = 24  # columns of a curve that is worth standing at the side of the cells


def seeds_of(given: tuple[int | str, ...]) -> Seeds:
    """What ``--seed`` says in the terms of `bloxdb.top`."""
    averages = [one for one in given if isinstance(one, str)]
    if averages and len(given) > 1:
        raise click.UsageError(f"--seed {averages[0]} is over all seeds; give it alone")
    return averages[0] if averages else [one for one in given if isinstance(one, int)] or None


def _say_what_rows_are(
    seeds: Seeds, recipe: str | None, rows: Sequence[dict[str, Any]], db: Database
) -> None:
    """A note where an architecture may stand there several times, and the luckiest seed first."""
    if seeds is not None or not rows:
        return
    one = None if recipe == ALL_RECIPES else find_recipe(db, recipe)
    if len(find_seeds(db.reader, None, one)) > 1:
        note("note: each row is a run of one seed; --seed mean ranks architectures by their averages")


Command = Callable[..., Any]


def choice_options(command: Command) -> Command:
    """The options that choose among runs, for every command that is about many."""
    for option in (
        click.option(
            "--seed",
            "seeds",
            type=_Seed(),
            multiple=True,
            help="Only this seed; may be repeated. mean or median: a row an architecture, over its seeds.",
        ),
        click.option("--recipe", help="Runs of this recipe; needed where there are several, * for all."),
    ):
        command = option(command)
    return command


def limit_options(command: Command) -> Command:
    """The options that leave out what costs too much."""
    for option in (
        click.option(
            "--max-latency", type=(str, float), metavar="DEVICE MS", help="Milliseconds on a device."
        ),
        click.option("--max-params", type=float, help="Trainable parameters at the most."),
        click.option("--max-flops", type=float, help="Multiply-accumulates at the most, as 150e6."),
    ):
        command = option(command)
    return command


def runs_options(command: Command) -> Command:
    """`choice_options`, and the forms of an answer of rows."""
    return choice_options(json_option(csv_option(command)))


@click.command()
@click.argument("n", type=IntRange(0), default=10)
@db_option
@click.option("--by", type=by_option, default=RANKED_BY, show_default=True, help="What to order by.")
@limit_options
@runs_options
def top(
    n: int, db: str | None, as_json: bool, as_csv: bool, seeds: tuple[int | str, ...], **options: Any
) -> None:
    """Show the N best finished runs (10 if not given)."""
    chosen = seeds_of(seeds)
    with open(db, read_only=True) as opened:
        rows = queries.top(n, opened, seeds=chosen, **options)
        _say_what_rows_are(chosen, options["recipe"], rows, opened)
    show_rows(rows, _columns(chosen, options["by"]), as_json=as_json, as_csv=as_csv)


@click.command()
@db_option
@click.option("--x", type=by_option, default="flops", show_default=True, help="One of two measures.")
@click.option("--y", type=by_option, default=RANKED_BY, show_default=True, help="The other one.")
@runs_options
def pareto(db: str | None, as_json: bool, as_csv: bool, seeds: tuple[int | str, ...], **options: Any) -> None:
    """Show the finished runs that no other run beats in both of two measures."""
    chosen = seeds_of(seeds)
    with open(db, read_only=True) as opened:
        rows = queries.pareto(db=opened, seeds=chosen, **options)
        _say_what_rows_are(chosen, options["recipe"], rows, opened)
    show_rows(rows, _columns(chosen, options["x"], options["y"]), as_json=as_json, as_csv=as_csv)


def _columns(seeds: Seeds, *measures: str) -> list[str]:
    """The columns of an answer that has no rows."""
    if average_of(seeds) is None:
        return list(dict.fromkeys((*LEADERBOARD_COLUMNS, *measures)))
    names = ["seeds" if name == "seed" else name for name in LEADERBOARD_COLUMNS]
    return list(dict.fromkeys((*names, *measures, *(f"{name}_std" for name in measures if name in RUN))))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("key", metavar="VEC|HASH|INDEX")
@db_option
@json_option
@csv_option
def show(key: str, db: str | None, as_json: bool, as_csv: bool) -> None:
    """Show one architecture: blocks, costs, latencies, runs, and its curve.

    With --csv there is a line a run.
    """
    with open(db, read_only=True) as opened:
        arch = opened.reader.get_one(Arch, arch_index(key))
        if as_json:
            show_json(_as_dict(arch))
        elif as_csv:
            show_rows(_as_rows(arch), as_csv=True)
        else:
            _print_arch(arch)


def _as_rows(arch: Arch) -> list[dict[str, Any]]:
    """A row a run, or one without a run: what an architecture costs is known without."""
    costs = {name: getattr(arch, name) for name in COSTS}
    about = {"arch_id": arch.id, "hash": arch.hash, "vec": arch.vec_text, **costs}
    return [{**about, **row} for row in map(_run_row, arch.runs)] or [
        {**about, **dict.fromkeys(_RUN_COLUMNS)}
    ]


def _as_dict(arch: Arch) -> dict[str, Any]:
    return {
        "index": arch.id,
        "hash": arch.hash,
        "vec": arch.vec,
        "flops": arch.flops,
        "params": arch.params,
        "blocks": [{"scheme": b.scheme, "op1": b.op1, "op2": b.op2} for b in arch.blocks],
        "latencies_ms": {latency.device.name: latency.latency_ms for latency in arch.latencies},
        "runs": [
            {
                **_run_row(run),
                "val_top1_by_epoch": [epoch.val_top1 for epoch in run.epochs],
            }
            for run in arch.runs
        ],
    }


def _run_row(run: Run) -> dict[str, Any]:
    return {"recipe": run.recipe.name, **{name: getattr(run, name) for name in _RUN_COLUMNS[1:]}}


_RUN_COLUMNS = (
    "recipe",
    "seed",
    "status",
    "best_epoch",
    *(name for name in RUN_MEASURES if name not in COSTS),
)


def _print_arch(arch: Arch) -> None:
    tell(f"architecture {arch.id}  {arch.hash}")
    tell(f"{arch.vec_text}")
    for stage, block in enumerate(arch.blocks, start=1):
        ops = block.op1 if block.op2 is None else f"{block.op1}, {block.op2}"
        tell(f"  stage {stage}: {block.scheme}({ops})")
    tell(f"{arch.flops:,} FLOPs (multiply-accumulates), {arch.params:,} parameters")
    for latency in arch.latencies:
        tell(f"{latency.latency_ms} ms on {latency.device.name}")
    if not arch.runs:
        tell("no runs")
        _say_cells(arch)
        return
    show_rows([_run_row(run) for run in arch.runs])
    recipe = arch.runs[0].recipe
    first = first_of_curve(_CURVE, recipe.first_epoch_is_best)
    shown = [getattr(epoch, _CURVE) for epoch in arch.epochs if epoch.epoch >= first]
    values = [value for value in shown if value is not None]
    if not values:
        _say_cells(arch)
        return
    without = ", but for epoch 1, which has the best epoch's value" if first > 1 else ""
    title = f"{_CURVE} by epoch{without}, {recipe.name}, seed {arch.runs[0].seed}:"
    _say_cells(arch, title, lambda room: draw_curve(values, room, first=first))


def _say_cells(arch: Arch, title: str = "", curve: Callable[[int], str] | None = None) -> None:
    """The cells with a curve at their side, or one below the other where that is too wide."""
    blocks = [(block.scheme, block.op1, block.op2) for block in arch.blocks]
    columns = width() if is_terminal() else WIDTH + _SCALE
    cells = draw_cells(blocks)
    room = columns - len(cells[0]) - _GAP - _SCALE
    if curve is not None and is_terminal() and room >= _LEAST_CURVE:
        tell(title)
        say("\n".join(side_by_side(cells, ["", *curve(min(WIDTH, room)).split("\n")], _GAP)))
        return
    if len(cells[0]) > columns:
        cells = [line for stage, block in enumerate(blocks, start=1) for line in draw_cells([block], stage)]
    say("\n".join(line.rstrip() for line in cells))
    if curve is not None:
        tell(title)
        say(curve(max(min(WIDTH, columns - _SCALE), 1)))


class _Query(click.Command):
    """A query that begins with a comment is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_comment = (arg.startswith("--") and (arg[2:3].isspace() or "\n" in arg) for arg in args)
        return super().parse_args(
            ctx, [f" {arg}" if so else arg for arg, so in zip(args, is_comment, strict=True)]
        )


@click.command(cls=_Query)
@click.argument("statement", metavar="SQL")
@db_option
@json_option
@csv_option
def sql(statement: str, db: str | None, as_json: bool, as_csv: bool) -> None:
    """Run a query of yours, which can only read.

    On a terminal long fractions are shortened; --json and --csv have all digits. Any number of rows is
    written in flat memory, but for a table on a terminal.
    """
    with open(db, read_only=True) as opened, ExitStack() as asking:
        names, rows = asking.enter_context(opened.stream(statement))
        first = list(islice(rows, _KEPT))
        if len(first) < _KEPT:  # so that nobody waits for whoever reads them
            asking.close()
        found = (dict(zip(names, row, strict=True)) for row in chain(first, rows))
        show_rows(found, names, as_json=as_json, as_csv=as_csv)
