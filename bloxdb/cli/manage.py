"""`init`, `upgrade`, `status`, `retry`, `merge`: the database itself, and the runs in it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import click

from bloxdb import merging
from bloxdb.cli.common import csv_option, db_option, json_option, progress_bar, show_json, show_rows
from bloxdb.cli.terminal import note, print_notes, say, tell
from bloxdb.counts import counted
from bloxdb.db import DIVERGED, FAILED, Database, create, open
from bloxdb.db import upgrade as upgrade_database
from bloxdb.runs import failures, gaps, overview, workers
from bloxdb.runs import retry as retry_runs
from bloxdb.runs.status import OVERVIEW_COLUMNS

_ONE = {"latencies": "latency"}  # of other tables one is without the s
_SHOWN = 8  # gaps of one recipe and seed, and failures


@click.command()
@db_option
def init(db: str | None) -> None:
    """Create a database with all 91,125 architectures, their FLOPs and parameters."""
    with create(db) as made:
        say(f"created {made.name}")


@click.command()
@db_option
def upgrade(db: str | None) -> None:
    """Bring a database of an older bloxdb up to date; a copy of the file is kept."""
    report = upgrade_database(db)
    with open(db) as opened:
        if report.before == report.after:
            note("nothing to do")
        elif report.copy is not None:
            note(f"the database before the upgrade is kept in {report.copy}")
        say(f"{opened.name} is up to date")


@click.command()
@db_option
@json_option
@csv_option
def status(db: str | None, as_json: bool, as_csv: bool) -> None:
    """Show how many runs there are, who trains, what is missing and what failed.

    A gap is a range of architecture indices without a finished run. With --csv there is a line a recipe and
    seed.
    """
    with open(db, read_only=True) as opened:
        found = _status(opened)
        if as_json:
            show_json(found)
        elif as_csv:
            show_rows([_counts(row) for row in found["runs"]], OVERVIEW_COLUMNS, as_csv=True)
        else:
            _print_status(found)


def _status(db: Database) -> dict[str, Any]:
    tables = ("archs", "runs", "epochs", "envs", "devices", "latencies")
    rows = overview(db)
    return {
        "database": db.name,
        "counts": {name: db.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in tables},  # noqa: S608
        "runs": [{**row, "gaps": gaps(row["recipe"], row["seed"], db)} for row in rows],
        "workers": workers(db),
        "failures": failures(db),
    }


def _counts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "gaps"}


def _print_status(found: dict[str, Any]) -> None:
    tell(found["database"])
    tell(", ".join(counted(n, _ONE.get(name, name[:-1]), name) for name, n in found["counts"].items()))
    if not found["runs"]:
        note("no runs yet: `bloxdb import` a release, or `bloxdb train`")
        return
    show_rows([_counts(row) for row in found["runs"]])
    for row in found["runs"]:
        tell(f"gaps of {row['recipe']}, seed {row['seed']}: {ranges(row['gaps'])}")
    if found["workers"]:
        show_rows(found["workers"])
    for row in found["failures"][:_SHOWN]:
        said = f": {row['message']}" if row["message"] else ""
        tell(f"architecture {row['arch_id']}, {row['recipe']}, seed {row['seed']} {row['status']}{said}")
    if len(found["failures"]) > _SHOWN:
        tell(f"… {len(found['failures'])} runs failed or diverged; --json shows all")


def ranges(found: list[tuple[int, int]]) -> str:
    """Ranges of indices as a person reads them."""
    texts = [f"{a}" if a == b else f"{a}-{b}" for a, b in found[:_SHOWN]]
    more = f", … ({len(found)} ranges)" if len(found) > _SHOWN else ""
    return ", ".join(texts) + more if texts else "none"


@click.command()
@db_option
@click.option("--failed", is_flag=True, help="Runs that failed.")
@click.option("--diverged", is_flag=True, help="Runs whose loss was not finite.")
@click.option("--recipe", help="Only runs of this recipe.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Only this seed; may be repeated.")
def retry(db: str | None, failed: bool, diverged: bool, recipe: str | None, seeds: tuple[int, ...]) -> None:
    """Let runs that failed or diverged be trained once more, from their first epoch."""
    chosen = [name for name, wanted in ((FAILED, failed), (DIVERGED, diverged)) if wanted]
    if not chosen:
        raise click.UsageError("say which: --failed, --diverged or both")
    with open(db) as opened:
        report = retry_runs(chosen, opened, recipe=recipe, seeds=seeds or None)
    say(str(report))


@click.command()
@click.argument("others", nargs=-1, required=True, metavar="OTHER...")
@db_option
@click.option(
    "--prefer",
    type=click.Choice(merging.PREFERENCES),
    help="Of runs that contradict each other, take the one that ended later, is there, or was named last.",
)
@json_option
def merge(others: tuple[str, ...], db: str | None, prefer: str | None, as_json: bool) -> None:
    """Bring the runs and latencies of other databases into one, all of them or none.

    The others are only read. Runs that have not ended stay where they are.
    """
    with open(db) as opened, progress_bar("merging") as shown:
        report = merging.merge(others, opened, prefer=prefer, progress=shown)
    if as_json:
        gaps_of = [
            {"recipe": name, "seed": seed, "gaps": found} for (name, seed), found in report.gaps.items()
        ]
        show_json({**asdict(replace(report, gaps={})), "gaps": gaps_of})
        return
    print_notes(report.notes)
    say(str(report))
    for (recipe, seed), found in report.gaps.items():
        say(f"gaps of {recipe}, seed {seed}: {ranges(found)}")
