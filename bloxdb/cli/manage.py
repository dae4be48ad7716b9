"""`init`, `upgrade`, `status`: the database itself."""

from __future__ import annotations

import json

import click

import bloxdb
from bloxdb import queries
from bloxdb.cli.common import db_option, json_option, note, show_rows

_GAPS_SHOWN = 8


@click.command()
@db_option
def init(db: str | None) -> None:
    """Create a database with all 91,125 architectures, their FLOPs and parameters."""
    with bloxdb.create(db) as made:
        click.echo(f"created {made.name}")


@click.command()
@db_option
def upgrade(db: str | None) -> None:
    """Bring a database of an older bloxdb up to date; a copy of the file is kept."""
    copy = bloxdb.upgrade(db)
    with bloxdb.open(db) as opened:
        note(f"the database before the upgrade is kept in {copy}" if copy else "nothing to do")
        click.echo(f"{opened.name} is up to date")


@click.command()
@db_option
@json_option
def status(db: str | None, as_json: bool) -> None:
    """Show how many runs there are, and which architectures have none.

    A gap is a range of architecture indices without a finished run.
    """
    with bloxdb.open(db, read_only=True) as opened:
        rows = queries.progress(opened)
        found = [queries.gaps(row["recipe"], row["seed"], opened) for row in rows]
        counts = {
            name: opened.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"]  # noqa: S608
            for name in ("archs", "runs", "epochs", "envs", "devices", "latencies")
        }
        if as_json:
            listed = [{**row, "gaps": gaps} for row, gaps in zip(rows, found, strict=True)]
            click.echo(json.dumps({"database": opened.name, "counts": counts, "runs": listed}, indent=2))
            return
        click.echo(opened.name)
        click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
        if not rows:
            note("no runs yet: `bloxdb import` a release, or `bloxdb train`")
            return
        show_rows(rows)
        for row, gaps in zip(rows, found, strict=True):
            texts = [f"{a}" if a == b else f"{a}-{b}" for a, b in gaps[:_GAPS_SHOWN]]
            more = f", … ({len(gaps)} ranges)" if len(gaps) > _GAPS_SHOWN else ""
            gap_text = ", ".join(texts) + more if texts else "none"
            click.echo(f"gaps of {row['recipe']}, seed {row['seed']}: {gap_text}")
