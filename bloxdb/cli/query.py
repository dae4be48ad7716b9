"""`top`, `pareto`, `show`, `sql`: reading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from bloxdb import queries
from bloxdb.cli.common import csv_option, db_option, json_option, show_json, show_rows
from bloxdb.cli.curve import WIDTH, draw_curve
from bloxdb.cli.terminal import is_terminal, say, width
from bloxdb.db import Arch, Run, open
from bloxdb.db.schema import LEADERBOARD_COLUMNS, RUN_MEASURES
from bloxdb.measures import COSTS, RANKED_BY
from bloxdb.space import arch_index

by_option = click.Choice(list(RUN_MEASURES))


def runs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose among runs, for every command that ranks them."""
    for option in (
        csv_option,
        json_option,
        click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed; may be repeated."),
        click.option("--recipe", help="Only runs of this recipe."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("n", type=click.IntRange(0), default=10)
@db_option
@click.option("--by", type=by_option, default=RANKED_BY, show_default=True, help="What to order by.")
@click.option("--max-flops", type=float, help="Multiply-accumulates at the most, as 150e6.")
@click.option("--max-params", type=float, help="Trainable parameters at the most.")
@click.option("--max-latency", type=(str, float), metavar="DEVICE MS", help="Milliseconds on a device.")
@runs_options
def top(n: int, db: str | None, as_json: bool, as_csv: bool, seeds: tuple[int, ...], **options: Any) -> None:
    """Show the N best finished runs (10 if not given)."""
    with open(db, read_only=True) as opened:
        rows = queries.top(n, opened, seeds=seeds or None, **options)
    show_rows(rows, _columns(options["by"]), as_json=as_json, as_csv=as_csv)


@click.command()
@db_option
@click.option("--x", type=by_option, default="flops", show_default=True, help="One of two measures.")
@click.option("--y", type=by_option, default=RANKED_BY, show_default=True, help="The other one.")
@runs_options
def pareto(db: str | None, as_json: bool, as_csv: bool, seeds: tuple[int, ...], **options: Any) -> None:
    """Show the finished runs that no other run beats in both of two measures."""
    with open(db, read_only=True) as opened:
        rows = queries.pareto(db=opened, seeds=seeds or None, **options)
    show_rows(rows, _columns(options["x"], options["y"]), as_json=as_json, as_csv=as_csv)


def _columns(*measures: str) -> list[str]:
    """The columns of an answer that has no rows."""
    return list(dict.fromkeys((*LEADERBOARD_COLUMNS, *measures)))


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
    say(f"architecture {arch.id}  {arch.hash}")
    say(f"{arch.vec_text}")
    for stage, block in enumerate(arch.blocks, start=1):
        ops = block.op1 if block.op2 is None else f"{block.op1}, {block.op2}"
        say(f"  stage {stage}: {block.scheme}({ops})")
    say(f"{arch.flops:,} FLOPs (multiply-accumulates), {arch.params:,} parameters")
    for latency in arch.latencies:
        say(f"{latency.latency_ms} ms on {latency.device.name}")
    if not arch.runs:
        say("no runs")
        return
    show_rows([_run_row(run) for run in arch.runs])
    values = [epoch.val_top1 for epoch in arch.epochs if epoch.val_top1 is not None]
    if values:
        say(f"val_top1 by epoch, {arch.runs[0].recipe.name}, seed {arch.runs[0].seed}:")
        say(draw_curve(values, max(min(WIDTH, width() - 9), 1) if is_terminal() else WIDTH))


@click.command()
@click.argument("statement", metavar="SQL")
@db_option
@json_option
@csv_option
def sql(statement: str, db: str | None, as_json: bool, as_csv: bool) -> None:
    """Run a query of yours, which can only read."""
    with open(db, read_only=True) as opened:
        names, found = opened.ask(statement)
    rows = [dict(zip(names, row, strict=True)) for row in found]
    show_rows(rows, names, as_json=as_json, as_csv=as_csv)
