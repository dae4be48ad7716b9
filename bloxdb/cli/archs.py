"""Options that choose architectures, of `train` and `bench`."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import click

from bloxdb import space
from bloxdb.cli.arrays import Part, part_of_array
from bloxdb.cli.common import IntRange
from bloxdb.db import Database
from bloxdb.errors import QueryError

_RANGE = "--range"
_INDEX = IntRange(0, space.NUM_ARCHS)
_PART = re.compile(r"(array|[0-9]{1,9})/([0-9]{1,9})")


class ArchCommand(click.Command):
    """A command with `arch_options`, whose ``--range`` has two words, or one that names a part."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the two words, for click, whose options have as many words each time."""
        return super().parse_args(ctx, _joined(args))


def _joined(args: list[str]) -> list[str]:
    """Words of a command, the two of a range as one."""
    split = (word.split("=", 1) if word.startswith(f"{_RANGE}=") else [word] for word in args)
    words, joined = list(chain.from_iterable(split)), []
    while words:
        joined.append(words.pop(0))
        has_two = joined[-1] == _RANGE and len(words) > 1 and not words[1].startswith("--")
        if has_two and "/" not in words[0] and words[0] not in ("array", "--"):
            joined.append(f"{words.pop(0)} {words.pop(0)}")
    return joined


class _Range(click.ParamType[range | Part]):
    """Architectures by their indices, or a part of those that are chosen."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range | Part:
        """The range, or the part."""
        try:
            if value == "array":
                return part_of_array()
            if found := _PART.fullmatch(value):
                index, count = found[1], int(found[2])
                return part_of_array(count) if index == "array" else Part(int(index), count)
        except QueryError as error:
            self.fail(str(error), param, ctx)
        first, *end = value.split(" ", 1)
        if not end:
            self.fail(
                f"{value!r} is no range; say FIRST END, as 0 1000, or a part, as 3/100, array or array/100",
                param,
                ctx,
            )
        return range(_INDEX.convert(first, param, ctx), _INDEX.convert(end[0], param, ctx))


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
            _RANGE,
            "ranges",
            type=_Range(),
            multiple=True,
            metavar="FIRST END|PART/PARTS|array[/PARTS]",
            help="Indices from FIRST up to, not with, END; or one of equal parts of the others' choice, or "
            "of all: by its number, or that of this task of a batch system's array. May be repeated.",
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
    """What `arch_options` gave, out of all options; `click.UsageError` if that is nothing, or cannot be."""
    chosen = {name: options.pop(name) for name in ("keys", "ranges", "count", "sql", "missing")}
    if not any(value for value in chosen.values()):
        raise click.UsageError("say which: --arch, --range, --random, --sql or --missing")
    parts = [one for one in chosen["ranges"] if isinstance(one, Part)]
    if len(parts) > 1:
        raise click.UsageError("--range names two parts; a part of a part is nobody's, give one of them")
    if parts and chosen["missing"] and chosen["count"] is not None:
        raise click.UsageError(
            "--random draws others with --missing each time, so that parts of them are not the whole; leave "
            "--missing out, since what is finished is passed over"
        )
    return chosen


def chosen_archs(
    db: Database, chosen: dict[str, Any], seed: int, done: Callable[[], Iterable[int]]
) -> list[int]:
    """The architectures that `arch_options` name.

    A part is one of all that were asked for, whatever is done: what others have done meanwhile moves nothing
    from one part into another.

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
    named = [one for one in chosen["ranges"] if isinstance(one, range)]
    part = next((one for one in chosen["ranges"] if isinstance(one, Part)), None)
    ids = [space.arch_index(key) for key in chosen["keys"]]
    ids += (index for one in named for index in one)
    if chosen["sql"]:
        ids += _ids_of(db, chosen["sql"])
    if not ids:
        if named or chosen["sql"]:
            raise QueryError("--range or --sql names no architecture")
        ids = list(range(space.NUM_ARCHS))
    ids = list(dict.fromkeys(ids))
    if part is not None and chosen["count"] is None:
        ids = part.of(ids)
    if chosen["missing"]:
        passed = set(done())
        ids = [index for index in ids if index not in passed]
    if chosen["count"] is not None:
        ids = random.Random(seed).sample(ids, min(chosen["count"], len(ids)))  # noqa: S311
        ids = ids if part is None else part.of(ids)
    return ids


def _ids_of(db: Database, sql: str) -> list[int]:
    ids = []
    for row in db.rows(sql):
        (value, *_) = row.values()
        if not isinstance(value, int) or not 0 <= value < space.NUM_ARCHS:
            raise QueryError(f"--sql must give architecture indices in its first column, not {value!r}")
        ids.append(value)
    return ids
