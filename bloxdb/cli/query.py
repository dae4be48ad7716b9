"""`top`, `show`, `sql`: reading."""

from __future__ import annotations

import json
from typing import Any

import click

from bloxdb import queries
from bloxdb.cli.common import db_option, json_option, show_rows
from bloxdb.cli.curve import draw_curve
from bloxdb.db import Arch, Run, open
from bloxdb.db.schema import RUN_MEASURES
from bloxdb.measures import COSTS, RANKED_BY
from bloxdb.space import arch_index


@click.command()
@click.argument("n", type=click.IntRange(0), default=10)
@db_option
@click.option(
    "--by",
    type=click.Choice(list(RUN_MEASURES)),
    default=RANKED_BY,
    show_default=True,
    help="What to order by.",
)
@click.option("--max-flops", type=float, help="Multiply-accumulates at the most, as 150e6.")
@click.option("--max-params", type=float, help="Trainable parameters at the most.")
@click.option("--max-latency", type=(str, float), metavar="DEVICE MS", help="Milliseconds on a device.")
@click.option("--recipe", help="Only runs of this recipe.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed; may be repeated.")
@json_option
def top(n: int, db: str | None, as_json: bool, seeds: tuple[int, ...], **limits: Any) -> None:
    """Show the N best finished runs (10 if not given)."""
    with open(db, read_only=True) as opened:
        show_rows(queries.top(n, opened, seeds=seeds or None, **limits), as_json=as_json)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("key", metavar="VEC|HASH|INDEX")
@db_option
@json_option
def show(key: str, db: str | None, as_json: bool) -> None:
    """Show one architecture: blocks, costs, latencies, runs, and its curve."""
    with open(db, read_only=True) as opened:
        arch = opened.reader.get_one(Arch, arch_index(key))
        if as_json:
            click.echo(json.dumps(_as_dict(arch), indent=2))
        else:
            _print_arch(arch)


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
    measures = (name for name in RUN_MEASURES if name not in COSTS)
    names = ("seed", "status", "best_epoch", *measures)
    return {"recipe": run.recipe.name, **{name: getattr(run, name) for name in names}}


def _print_arch(arch: Arch) -> None:
    click.echo(f"architecture {arch.id}  {arch.hash}")
    click.echo(f"{arch.vec_text}")
    for stage, block in enumerate(arch.blocks, start=1):
        ops = block.op1 if block.op2 is None else f"{block.op1}, {block.op2}"
        click.echo(f"  stage {stage}: {block.scheme}({ops})")
    click.echo(f"{arch.flops:,} FLOPs (multiply-accumulates), {arch.params:,} parameters")
    for latency in arch.latencies:
        click.echo(f"{latency.latency_ms} ms on {latency.device.name}")
    if not arch.runs:
        click.echo("no runs")
        return
    show_rows([_run_row(run) for run in arch.runs])
    values = [epoch.val_top1 for epoch in arch.epochs if epoch.val_top1 is not None]
    if values:
        click.echo(f"val_top1 by epoch, {arch.runs[0].recipe.name}, seed {arch.runs[0].seed}:")
        click.echo(draw_curve(values))


@click.command()
@click.argument("statement", metavar="SQL")
@db_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
def sql(statement: str, db: str | None, as_json: bool, as_csv: bool) -> None:
    """Run a query of yours; the database is open read only."""
    with open(db, read_only=True) as opened:
        show_rows(opened.rows(statement), as_json=as_json, as_csv=as_csv)
