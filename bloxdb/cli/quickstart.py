"""`quickstart`: the whole loop on real images, in about a minute."""

from __future__ import annotations

from pathlib import Path

import click

from bloxdb import codecs
from bloxdb.cli.common import progress_bar, show_rows
from bloxdb.cli.train import train_shown
from bloxdb.db import FINISHED, Database, create
from bloxdb.errors import DatabaseExistsError, ReleaseError, TrainingError
from bloxdb.measures import EPOCH, RUN
from bloxdb.queries import top
from bloxdb.release import export_release, import_release
from bloxdb.trainer.recipe import default_recipe

_ARCHS = (9, 20_295, 44_100, 62_000)
_EPOCHS = 3
_MAX_FLOPS = 245e6


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="bloxdb-quickstart")
def quickstart(folder: Path) -> None:
    """Train four architectures, query, export, rebuild and compare, in a new FOLDER."""
    if folder.exists():
        raise DatabaseExistsError(f"{folder} exists already; name another folder, or remove it")
    click.echo(f"1. Creating {folder / 'blox.db'} with all 91,125 architectures")
    with create(folder / "blox.db") as db:
        click.echo(f"2. Training {len(_ARCHS)} of them for {_EPOCHS} epochs on scikit-learn's digits")
        recipe = default_recipe("digits", _EPOCHS)
        if not train_shown(db, list(_ARCHS), recipe, 0):
            raise TrainingError("not all runs have ended; `bloxdb status` says why")
        click.echo(f"3. The best with at most {_MAX_FLOPS / 1e6:.0f} MFLOPs")
        show_rows(top(10, db, max_flops=_MAX_FLOPS))
        click.echo("4. Exporting all formats, and rebuilding a database from each")
        with progress_bar("rebuilding") as progress:
            for done, name in enumerate(codecs.FORMATS):
                progress(done, len(codecs.FORMATS), name)
                _rebuild(db, folder, name)
    click.echo("   all three rebuilt databases are equal to the first")
    place = folder / "blox.db"
    click.echo("\nWhat to try next:")
    for line in (
        f"bloxdb top --db {place} --by val_top1",
        f"bloxdb show --db {place} {_ARCHS[0]}",
        f'bloxdb sql --db {place} "SELECT hash, test_top1 FROM leaderboard WHERE flops < 245e6"',  # noqa: S608
        f"bloxdb train --db {place} --dataset digits --random 3 --epochs {_EPOCHS} --seed 1",
        f"bloxdb status --db {place}",
    ):
        click.echo(f"  {line}")


def _rebuild(db: Database, folder: Path, name: str) -> None:
    """Export one format, import it into a new database, and compare."""
    release = folder / f"release-{name}"
    export_release(release, db, format=name)
    with create(folder / f"from-{name}.db") as rebuilt:
        import_release(release, rebuilt)
        for query in _COMPARED:
            if db.rows(query) != rebuilt.rows(query):
                raise ReleaseError(f"the database rebuilt from {release} differs in: {query}")


_COMPARED = (
    "SELECT * FROM leaderboard ORDER BY arch_id, seed",
    f"SELECT arch_id, seed, best_epoch, {', '.join(RUN)} FROM runs "  # noqa: S608 - names of ours
    f"WHERE status = '{FINISHED}' ORDER BY arch_id, seed",
    f"SELECT runs.arch_id, epochs.epoch, {', '.join(f'epochs.{name}' for name in EPOCH)} "  # noqa: S608
    f"FROM epochs JOIN runs ON runs.id = run_id WHERE status = '{FINISHED}' "
    "ORDER BY runs.arch_id, runs.seed, epochs.epoch",
    "SELECT runs.arch_id, gpu, platform, python, torch_version FROM runs JOIN envs ON envs.id = env_id "
    "ORDER BY runs.arch_id, runs.seed",
    "SELECT arch_id, flops, params FROM static_info ORDER BY arch_id",
    "SELECT arch_id, name, latency_ms FROM latencies JOIN devices ON devices.id = device_id "
    "ORDER BY arch_id, name",
)
