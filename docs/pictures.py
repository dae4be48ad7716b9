"""The pictures of the documents: python docs/pictures.py [--db PATH] [--out docs/images] [--archs N].

Without a database the results are invented: operations, wiring, size and chance make them. They show what
figures look like, and nothing about Blox.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import matplotlib as mpl
import numpy as np
from PIL import Image

import bloxdb
from bloxdb import BudgetExhausted, Database, Problem, codecs, draw, plot, space
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "examples"), str(ROOT / "docs")]
from evolution import evolve  # noqa: E402
from make_release import digests, share, static_tables  # noqa: E402
from screens import screens  # noqa: E402

ARCH = 30_181  # a block of two branches, one with both skips, one with one
EPOCHS = 24
SEEDS = 3
DOTS_PER_INCH = 110
BUDGET = 400  # architectures that a search can pay for
COLOURS = 192  # of a picture, which is a quarter of the size with a palette


@click.command()
@click.option("--db", "path", help="A database to draw; invented results if not given.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "images", show_default=False)
@click.option(
    "--archs", default=space.NUM_ARCHS, show_default=True, type=click.IntRange(100, space.NUM_ARCHS)
)
def main(path: str | None, out: Path, archs: int) -> None:
    """Write all pictures into a folder."""
    mpl.use("agg")
    out.mkdir(parents=True, exist_ok=True)
    draw.arch(ARCH, costs=True).save(out / "arch.svg")
    draw.supernet().save(out / "supernet.svg")
    draw.schemes().save(out / "schemes.svg")
    if path is not None:
        with bloxdb.open(path, read_only=True) as db:
            figures(db, out)
        return
    with TemporaryDirectory() as folder, bloxdb.create(Path(folder) / "invented.db") as db:
        invent(Path(folder) / "release", archs)
        bloxdb.import_release(Path(folder) / "release", db)
        figures(db, out)
        screens(Path(folder) / "invented.db", out, ARCH)


def figures(db: Database, out: Path) -> None:
    """Every figure of a database."""
    by_size = [row["arch_id"] for row in bloxdb.pareto(db=db, seeds="mean")]
    some = by_size[:: max(1, len(by_size) // 3)][:4]
    devices = [f"latency:{row['name']}" for row in db.rows("SELECT name FROM devices ORDER BY name LIMIT 1")]
    if devices:
        write(plot.costs(devices, db=db, seeds="mean"), out / "latency.png")
    write(plot.costs(db=db, seeds="mean"), out / "costs.png")
    write(plot.curves(some, db=db), out / "curves.png")
    write(plot.agreement(db=db), out / "agreement.png")
    write(plot.blocks(db=db, seeds="mean"), out / "blocks.png")
    write(plot.spread(db=db, seeds="mean"), out / "spread.png")
    known = [row["arch_id"] for row in db.rows("SELECT DISTINCT arch_id FROM runs WHERE status = 'finished'")]
    cost = db.rows("SELECT avg(train_time_s) AS mean FROM runs WHERE status = 'finished'")[0]["mean"]
    searches: dict[str, Callable[[Problem, int], Problem]] = {
        "random": lambda problem, seed: at_random(problem, known, random.Random(seed))  # noqa: S311
    }
    if len(known) == space.NUM_ARCHS:
        searches["evolution"] = lambda problem, seed: evolve(problem, random.Random(100 + seed))  # noqa: S311
    found = {
        name: [way(Problem(db, budget_seconds=BUDGET * cost), seed) for seed in range(15)]
        for name, way in searches.items()
    }
    write(plot.search(found), out / "search.png")


def at_random(problem: Problem, known: list[int], draws: random.Random) -> Problem:
    """Search until the budget is spent or all is known, without learning anything."""
    try:
        for index in draws.sample(known, len(known)):
            problem(index)
    except BudgetExhausted:
        pass
    return problem


def write(axes: Any, path: Path) -> None:
    """A figure as a small picture."""
    figure = (axes[0] if isinstance(axes, tuple) else axes).get_figure()
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=DOTS_PER_INCH)
    Image.open(data).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    click.echo(f"{path}  {path.stat().st_size:,} bytes")


def invent(folder: Path, archs: int) -> None:
    """A release of invented results: what a block adds in a stage, what two add, size, and chance."""
    folder.mkdir()
    ids = np.linspace(0, space.NUM_ARCHS - 1, archs).astype(np.int64)
    draws = np.random.default_rng(5)
    schemes = {"ST1": -2.5, "ST2": -0.6, "ST3": 0.3, "ST4": 0.5, "ST5": 0.7, "ST6": -0.1}
    ops = np.array(
        [[0.2, 0.6, -0.9], [0.3, 0.5, -0.5], [-0.3, 0.7, 0.1]]
    )  # a stage each: conv, mbconv, bconv
    final = 68.0 + 2.4 * np.tanh((space.all_costs()[ids, 0] / 1e6 - 215) / 40)
    blocks = np.stack([space.block_of_stage(ids, stage) for stage in range(space.STAGES)])
    for stage in range(space.STAGES):
        of_block = [
            schemes[b.scheme] * (0.7 + 0.2 * stage) + sum(ops[stage, op] for op in b.ops)
            for b in space.BLOCKS
        ]
        final += np.array(of_block)[blocks[stage]]
    deep = np.array([block.scheme in ("ST4", "ST5") for block in space.BLOCKS])
    final += 0.8 * (deep[blocks[0]] & deep[blocks[1]]) - 0.7 * (deep[blocks[1]] & deep[blocks[2]])
    final += draws.normal(0, 0.5, archs)
    for table in static_tables(ids)[:2]:
        codecs.write(table, folder / f"{table.header.stem}.blox")
    time = np.linspace(1 / EPOCHS, 1, EPOCHS)
    pace = draws.normal(1, 0.12, archs)[:, None]
    for seed in range(SEEDS):
        reached = final + draws.normal(0, 0.45, archs)
        rise = 1 - 0.75 * np.exp(-4.5 * pace * time) - 0.12 * (1 - time) ** 2
        curves = (
            reached[:, None] * rise / rise[:, -1:]
            + draws.normal(0, 1, (archs, EPOCHS)) * 2.2 * (1.05 - time) ** 1.5
        )
        values = {
            "model_hash": digests(ids),
            "val_top1": share("val_top1", curves / 100),
            "test_top1": share("test_top1", (reached + draws.normal(0, 0.25, archs)) / 100),
            "train_time_s": np.rint(space.all_costs()[ids, 0] / 2e4 * draws.lognormal(0, 0.1, archs)).astype(
                np.int64
            ),
        }
        header = Header("training", BASE, seed=seed, epochs=EPOCHS, dataset="invented", part="base")
        codecs.write(Table(header, {name: values[name] for name in BASE}), folder / f"blox-base-{seed}.blox")


if __name__ == "__main__":
    main()
