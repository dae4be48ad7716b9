"""Options that choose architectures, of `train` and `bench`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import click

from bloxdb import space
from bloxdb.cli.common import IntRange
from bloxdb.db import Database
from bloxdb.errors import QueryError


def arch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose architectures; they reach the command as `chosen`, a dict."""
    for option in (
        click.option(
            "--missing", is_flag=True, help="Only those that have no result yet; alone, all of them."
        ),
        click.option("--sql", metavar="SELECT", help="Those whose ids a query gives."),
        click.option(
            "--random",
            "count",
            type=IntRange(1, space.NUM_ARCHS),
            help="So many of the others' choice, or of all, drawn by --seed.",
        ),
        click.option(
            "--range",
            "bounds",
            type=(IntRange(0, space.NUM_ARCHS), IntRange(0, space.NUM_ARCHS)),
            metavar="FIRST END",
            help="Indices from FIRST up to, not with, END.",
        ),
        click.option(
            "--arch",
            "keys",
            multiple=True,
            metavar="VEC|HASH|INDEX",
            help="An architecture; may be repeated.",
        ),
    ):
        command = option(command)
    return command


def taken(options: dict[str, Any]) -> dict[str, Any]:
    """What `arch_options` gave, out of all options; `click.UsageError` if that is nothing."""
    chosen = {name: options.pop(name) for name in ("keys", "bounds", "count", "sql", "missing")}
    if not any(value for value in chosen.values()):
        raise click.UsageError("say which: --arch, --range, --random, --sql or --missing")
    return chosen


def chosen_archs(
    db: Database, chosen: dict[str, Any], seed: int, done: Callable[[], Iterable[int]]
) -> list[int]:
    """The architectures that `arch_options` name.

    Parameters
    ----------
    db
        Where queries are asked.
    chosen
        What the options gave.
    seed
        The seed of the draw.
    done
        Gives the ids that ``--missing`` passes over.
    """
    ids = [space.arch_index(key) for key in chosen["keys"]]
    if chosen["bounds"]:
        ids += range(*chosen["bounds"])
    if chosen["sql"]:
        ids += _ids_of(db, chosen["sql"])
    if not ids:
        if chosen["bounds"] or chosen["sql"]:
            raise QueryError("--range or --sql names no architecture")
        ids = list(range(space.NUM_ARCHS))
    if chosen["missing"]:
        passed = set(done())
        ids = [index for index in ids if index not in passed]
    ids = list(dict.fromkeys(ids))
    if chosen["count"] is not None:
        ids = random.Random(seed).sample(ids, min(chosen["count"], len(ids)))  # noqa: S311
    return ids


def _ids_of(db: Database, sql: str) -> list[int]:
    ids = []
    for row in db.rows(sql):
        (value, *_) = row.values()
        if not isinstance(value, int) or not 0 <= value < space.NUM_ARCHS:
            raise QueryError(f"--sql must give architecture indices in its first column, not {value!r}")
        ids.append(value)
    return ids
