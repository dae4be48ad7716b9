"""Measure a database on a server beside the same one in an SQLite file, each question of both in turn.

    python benchmarks/servers.py WORKFOLDER URL [--archs 91125] [--epochs 200] [--repeats 3] [--write]

The database of the URL has to be empty, or the one of a run before. `--write` puts the table into
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import click
import numpy as np
from harness import Result, clock, machine, markdown, today, write_between
from measure_database import import_, worst
from measure_questions import DEVICE, FRONT, LEADERBOARD, LEADERBOARD_COLUMNS, ONE_EPOCH, limits, median_of
from run import prepare
from sqlalchemy import text

import bloxdb
from bloxdb import Database, runs, space
from bloxdb.errors import DatabaseExistsError

COLUMNS = ["what", "SQLite, s", "server, s", "ratio", "met"]
BOUND = 3.0
"""Times SQLite's, that a question may take on the server."""

SIZE = (
    "SELECT sum(pg_total_relation_size(conrelid)) / 1e9 AS gb, version() AS version "
    "FROM pg_constraint WHERE conname = 'pk_epochs'"
)

Question = Callable[[Database], float]
"""Seconds that it takes; what takes shorter is asked several times, and the median counts."""


def of_sql(sql: str) -> Question:
    """A query as anybody writes it, all rows fetched."""
    return lambda db: median_of(lambda: db.rows(sql), 3)


def of_table(**options: object) -> Question:
    """Columns as arrays."""

    def ask(db: Database) -> float:
        data = bloxdb.from_database(db)
        return median_of(lambda: data.table(**options), 3)  # type: ignore[arg-type]

    return ask


def top(db: Database) -> float:
    """The slowest of all limits and measures."""
    return worst(lambda limit, by: bloxdb.top(10, db, max_flops=limit, by=by))


def top_latency(work: Path, db: Database) -> float:
    """The slowest of all limits."""
    asks = [partial(bloxdb.top, 10, db, max_latency=(DEVICE, limit)) for limit in limits(work)]
    return max(map(median_of, asks))


def some(count: int) -> list[space.ArchVec]:
    """The same architectures each time."""
    return [space.arch_vec(i) for i in np.random.default_rng(0).integers(0, space.NUM_ARCHS, count).tolist()]


def arch_get(db: Database) -> float:
    """The mean of many, by vector."""
    return median_of(lambda: [bloxdb.Arch.get(vec, db) for vec in some(200)], 3) / 200


def arch_epochs(db: Database) -> float:
    """The mean of many, from one that is not loaded."""
    return median_of(lambda: [len(bloxdb.Arch.get(vec, db).epochs) for vec in some(50)], 3) / 50


def accuracies(db: Database) -> float:
    """The mean of many lookups of a benchmark."""
    data = bloxdb.from_database(db)
    return median_of(lambda: [data.val_acc(vec) for vec in some(500)], 3) / 500


def arrow(db: Database) -> float:
    """18 million rows."""
    result: Result = {}
    with clock(result):
        bloxdb.to_arrow("epochs", db)
    return result["seconds"]


def export(db: Database) -> float:
    """A whole release."""
    result: Result = {}
    with tempfile.TemporaryDirectory() as folder, clock(result):
        bloxdb.export_release(folder, db)
    return result["seconds"]


def questions(work: Path) -> dict[str, Question]:
    """What is asked of both, by the lines of the table."""
    return {
        "top 10, worst limit and measure": top,
        "top 10, worst limit of latency": partial(top_latency, work),
        "Pareto front": lambda db: median_of(lambda: bloxdb.pareto(db=db)),
        "Pareto front, plain SQL": of_sql(FRONT),
        "the whole leaderboard, plain SQL": of_sql(LEADERBOARD),
        "the whole leaderboard as arrays": of_table(columns=LEADERBOARD_COLUMNS, best=True),
        "one epoch of all runs, plain SQL": of_sql(ONE_EPOCH),
        "one epoch of all runs, as an array": of_table(columns=["val_top1"], epoch=12),
        "Arch.get(vec)": arch_get,
        "arch.epochs": arch_epochs,
        "val_acc": accuracies,
        "status of all runs": lambda db: median_of(lambda: runs.overview(db), 3),
        "all epochs to Arrow": arrow,
        "export as .blox": export,
    }


def line(what: str, lite: list[float], server: list[float], bound: float | None) -> str:
    """A line of the table, of medians."""
    ours, base = statistics.median(server), statistics.median(lite)
    met = "" if bound is None else ("yes" if ours <= bound * base else "**no**")
    return f"| {what} | {base:.3g} | {ours:.3g} | {ours / base:.2f} | {met} |"


@click.command()
@click.argument("work", type=click.Path(path_type=Path, file_okay=False))
@click.argument("url")
@click.option("--archs", default=space.NUM_ARCHS, show_default=True)
@click.option("--epochs", default=200, show_default=True)
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--only", multiple=True, help="Only lines that begin so; may be repeated.")
@click.option("--write", "write_results", is_flag=True, help="Put the table into RESULTS.md.")
def main(
    work: Path, url: str, archs: int, epochs: int, repeats: int, only: tuple[str, ...], write_results: bool
) -> None:
    """Measure a server, in folder WORK (about 8 GB) and in the database of URL."""
    work.mkdir(parents=True, exist_ok=True)
    prepare(work, archs, epochs)
    if not (work / "full.db").exists():
        import_(work, "blox", "full.db")
    with suppress(DatabaseExistsError):
        bloxdb.create(url, current=False).close()
    lines = []
    with (
        bloxdb.open(work / "full.db", read_only=True, current=False) as lite,
        bloxdb.open(url, current=False) as server,
    ):
        if not runs.overview(server):
            result: Result = {}
            with clock(result):
                bloxdb.import_release(work / "release", server)
            with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM (ANALYZE)"))
            click.echo(f"imported in {result['seconds']:.1f} s", err=True)
        for what, ask in questions(work).items():
            if only and not what.startswith(only):
                continue
            times = [(ask(lite), ask(server)) for _ in range(repeats)]
            lines.append(line(what, *map(list, zip(*times, strict=True)), BOUND))
            click.echo(lines[-1], err=True)
        (told,) = server.rows(SIZE)
    shown = (
        f"{archs:,} architectures, {epochs} epochs; epochs and their key take {told['gb']:.2f} GB on the "
        f"server; median of {repeats}; bound {BOUND:g} x; {today()}; {machine()}, "
        f"{told['version'].split(' (')[0]}.\n\n{markdown(COLUMNS, lines)}\n"
    )
    click.echo(shown)
    if write_results:
        write_between("<!-- server -->", "<!-- end of server -->", shown)


if __name__ == "__main__":
    main()
