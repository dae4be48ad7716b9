"""`quickstart`: the whole loop on real images, in about a minute."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from bloxdb import codecs
from bloxdb.cli.common import PATH, progress_bar, show_rows
from bloxdb.cli.terminal import note, say
from bloxdb.cli.train import INTERRUPTED, check_means, train_shown
from bloxdb.db import FINISHED, Database, create, open, open_or_create
from bloxdb.errors import DatabaseExistsError, ReleaseError
from bloxdb.measures import EPOCH, RUN
from bloxdb.queries import top
from bloxdb.release import export_release, import_release
from bloxdb.runs.status import finished_archs
from bloxdb.trainer.recipe import TrainingRecipe, default_recipe
from bloxdb.writing import is_workspace

_ARCHS = (9, 20_295, 44_100, 62_000)
_EPOCHS = 3
_SEED = 0
_MAX_FLOPS = 245e6


@click.command()
@click.argument("folder", type=PATH, default="bloxdb-quickstart")
def quickstart(folder: Path) -> None:
    """Train four architectures, query, export, rebuild and compare, in a new FOLDER.

    After an interruption the same command goes on where it stopped.
    """
    try:
        finished = _steps(folder)
    except KeyboardInterrupt:
        finished = False
    if not finished:
        note(f"interrupted; to go on: {_command('quickstart', folder)}")
        sys.exit(INTERRUPTED)


def _steps(folder: Path) -> bool:
    """All steps, but for what an earlier call has done; whether the training has ended."""
    place, recipe = folder / "blox.db", default_recipe("digits", _EPOCHS)
    with _database(place, recipe) as db:
        done = set(finished_archs(recipe.name, _SEED, db))
        left = [arch for arch in _ARCHS if arch not in done]
        say(f"2. Training {len(_ARCHS)} of them for {_EPOCHS} epochs on scikit-learn's digits")
        if left and not train_shown(db, left, recipe, _SEED):
            return False
        say(f"3. The best with at most {_MAX_FLOPS / 1e6:.0f} MFLOPs")
        show_rows(top(10, db, max_flops=_MAX_FLOPS, seeds=_SEED))
        say("4. Exporting all formats, and rebuilding a database from each")
        with progress_bar("rebuilding") as progress:
            for count, name in enumerate(codecs.FORMATS):
                progress(count, len(codecs.FORMATS), name)
                _rebuild(db, folder, name)
    say("   all three rebuilt databases are equal to the first")
    say("\nWhat to try next:")
    for words in (
        ("top", "--db", place, "--by", "val_top1"),
        ("show", "--db", place, _ARCHS[0]),
        ("sql", "--db", place, "SELECT hash, test_top1 FROM leaderboard WHERE flops < 245e6"),
        ("train", "--db", place, "--dataset", "digits", "--random", 1, "--epochs", _EPOCHS, "--seed", 1),
        ("status", "--db", place),
    ):
        say(f"  {_command(*words)}")
    return True


def _command(*words: object) -> str:
    """A command as a shell takes it, whatever characters the folder's name has."""
    return shlex.join(["bloxdb", *map(str, words)])


def _database(place: Path, recipe: TrainingRecipe) -> Database:
    """The database: a new one, or that of an earlier call.

    Raises
    ------
    DatabaseExistsError
        The folder has something that no quickstart wrote.
    MissingExtraError
        Nothing can be trained here; nothing was made.
    """
    folder = place.parent
    if place.exists():
        db = open(place)
        others = [row["name"] for row in db.rows("SELECT name FROM recipes WHERE name <> :n", n=recipe.name)]
        if others:
            db.close()
            raise DatabaseExistsError(
                f"{place} has runs of {others[0]}, which no quickstart trains; name another folder"
            )
        say(f"1. Going on with {place}")
        return db
    if folder.exists() and not (folder.is_dir() and _is_ours(folder)):
        raise DatabaseExistsError(f"{folder} exists already; name another folder, or remove it")
    check_means(recipe, place)
    say(f"1. Creating {place} with all 91,125 architectures")
    return create(place)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is as a call leaves it that ends before it has made the database.

    It is empty then, or has a folder of `bloxdb.writing.workspace` if it was killed.
    """
    return all(is_workspace(path) for path in folder.iterdir())


def _rebuild(db: Database, folder: Path, name: str) -> None:
    """Export one format, import it into a database of its own, and compare.

    A new one appears when it is equal. One of an earlier call gets what the first has had since.
    """
    release, target = folder / f"release-{name}", folder / f"from-{name}.db"
    with open_or_create(target) as (rebuilt, is_new):
        if not is_new and _difference(db, rebuilt) is None:
            return
        export_release(release, db, format=name)
        import_release(release, rebuilt, replace=not is_new)
        if query := _difference(db, rebuilt):
            raise ReleaseError(f"the database rebuilt from {release} differs in: {query}")


def _difference(one: Database, other: Database) -> str | None:
    """The first question that two databases answer differently; None if they are equal."""
    return next((query for query in _COMPARED if one.rows(query) != other.rows(query)), None)


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
