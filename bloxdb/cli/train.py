"""`train`: the trainer's command; torch is imported only when it runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

import bloxdb
from bloxdb import space
from bloxdb.cli.common import db_option, progress_bar
from bloxdb.database import Database
from bloxdb.errors import MissingExtraError, QueryError
from bloxdb.schema import Arch

if TYPE_CHECKING:
    from trainer.work import Step


@click.command()
@db_option
@click.option("--dataset", default="digits", show_default=True, help="What to train on.")
@click.option(
    "--arch", "keys", multiple=True, metavar="VEC|HASH|INDEX", help="An architecture; may be repeated."
)
@click.option(
    "--random",
    "count",
    type=click.IntRange(1, space.NUM_ARCHS),
    help="So many architectures, drawn by --seed.",
)
@click.option("--epochs", type=click.IntRange(1, 65_535), default=3, show_default=True, help="Epochs a run.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The runs' seed.")
def train(
    db: str | None, dataset: str, keys: tuple[str, ...], count: int | None, epochs: int, seed: int
) -> None:
    """Train architectures and write each epoch into the database as it ends.

    Finished runs are passed over, so the same command goes on after an interruption.
    """
    if not keys and count is None:
        raise click.UsageError("say what to train: --arch VEC|HASH|INDEX or --random N")
    with bloxdb.open(db) as opened:
        arch_ids = [_arch_id(key, opened) for key in keys]
        if count is not None:
            arch_ids += random.Random(seed).sample(range(space.NUM_ARCHS), count)  # noqa: S311
        train_with_progress(opened, list(dict.fromkeys(arch_ids)), dataset=dataset, epochs=epochs, seed=seed)


def train_with_progress(db: Database, arch_ids: list[int], *, dataset: str, epochs: int, seed: int) -> None:
    """Train with a bar on a terminal and a line a run when piped; `MissingExtraError` without torch."""
    try:
        from trainer.work import train_archs
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"training needs {error.name}: pip install -c constraints.txt '.[train]'"
        ) from error
    with _shown(len(arch_ids), epochs) as on_step:
        train_archs(db, arch_ids, dataset=dataset, epochs=epochs, seed=seed, on_step=on_step)


@contextmanager
def _shown(archs: int, epochs: int) -> Iterator[Callable[[Step], None]]:
    with progress_bar("training") as progress:
        progress(0, archs * epochs, "loading torch")

        def on_step(step: Step) -> None:
            if step.epoch is None:
                click.echo(f"architecture {step.arch_id}: {step.message}")
                progress((step.position + 1) * epochs, archs * epochs, "")
            else:
                done = step.position * epochs + step.epoch.epoch
                progress(done, archs * epochs, f"architecture {step.arch_id}, {step.message}")

        yield on_step


def _arch_id(key: str, db: Database) -> int:
    arch = Arch.get(key, db)
    if arch is None:
        raise QueryError(f"there is no architecture {key}")
    return arch.id
