"""What runs refer to, as Arrow tables: architectures, costs, latencies, environments, and their kin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from bloxdb import space
from bloxdb.arguments import names
from bloxdb.db.damage import kinds_told
from bloxdb.db.database import Database
from bloxdb.db.recipes import ALL_RECIPES
from bloxdb.db.references import Seeds, average_of, find_recipe, find_seeds
from bloxdb.db.schema import Arch, Block, Device, Env, Latency, Recipe, Run, StaticInfo
from bloxdb.db.statuses import STATUSES
from bloxdb.errors import QueryError, spelled
from bloxdb.fields import schema
from bloxdb.measures import ENVIRONMENT
from bloxdb.selection import parts_of


@dataclass(frozen=True)
class _Lookup:
    """A table: what a row is, its columns, their order, and by what rows can be chosen besides."""

    row: str
    columns: dict[str, Any]
    order: tuple[Any, ...]
    chosen_by: tuple[str, ...] = ()
    arch_id: Any = None


def _of(model: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(model, name) for name in names}


LOOKUPS = {
    "archs": _Lookup(
        "an architecture",
        {
            "arch_id": Arch.id,
            "hash": Arch.hash,
            "vec": Arch.vec_text,
            **_of(Arch, *(f"block{stage}_id" for stage in range(1, space.STAGES + 1))),
        },
        (Arch.id,),
        ("archs",),
        Arch.id,
    ),
    "static_info": _Lookup(
        "an architecture",
        _of(StaticInfo, "arch_id", "flops", "params"),
        (StaticInfo.arch_id,),
        ("archs",),
        StaticInfo.arch_id,
    ),
    "latencies": _Lookup(
        "a latency",
        {
            "arch_id": Latency.arch_id,
            "device": Device.name,
            **_of(Latency, "latency_ms", "spread_ms"),
        },
        (Latency.arch_id, Device.name),
        ("archs",),
        Latency.arch_id,
    ),
    "envs": _Lookup(
        "an environment",
        {"env_id": Env.id, **_of(Env, *ENVIRONMENT)},
        (Env.id,),
        ("recipe", "seeds"),
    ),
    "recipes": _Lookup(
        "a recipe",
        {
            "recipe": Recipe.name,
            **_of(Recipe, "dataset", "epochs", "train_images", "val_images", "test_images"),
            **_of(Recipe, "config", "digest", "first_epoch_is_best"),
        },
        (Recipe.name,),
        ("recipe",),
    ),
    "devices": _Lookup("a device", {"device": Device.name, "settings": Device.settings}, (Device.name,)),
    "blocks": _Lookup(
        "a block", {"block_id": Block.id, **_of(Block, "scheme", "op1", "op2", "cell")}, (Block.id,)
    ),
}
"""Tables by name. A row of the first three is of an architecture."""

_JSON = ("config", "settings")  # columns that have JSON, which is a text in a table


def lookup(
    arrow: Any,
    db: Database,
    what: str,
    columns: Iterable[str] | None,
    *,
    archs: Iterable[Any] | None,
    recipe: str | None,
    seeds: Seeds,
) -> Any:
    """One of `LOOKUPS` as an Arrow table.

    Parameters
    ----------
    arrow
        The module pyarrow.
    db
        The database.
    what
        The name of the table.
    columns
        Only these, in this order; all if None.
    archs
        Only rows of these architectures.
    recipe
        Only this recipe, or environments of its runs.
    seeds
        Only environments of runs of these seeds.

    Returns
    -------
    pyarrow.Table
        The rows, in the order of architectures, numbers or names.

    Raises
    ------
    QueryError
        There is no such column, recipe or seed, or rows of this table cannot be chosen so.
    InvalidArchError
        There is no such architecture.
    """
    table = LOOKUPS[what]
    recipe = None if recipe == ALL_RECIPES else recipe
    for name, given in (("archs", archs), ("recipe", recipe), ("seeds", seeds)):
        if given is not None and name not in table.chosen_by:
            raise QueryError(_says_nothing(name, what))
    if average_of(seeds) is not None:
        raise QueryError(f"{spelled(what)} has no averages; they are of 'leaderboard' or of 'epochs'")
    names = chosen_columns(columns, tuple(table.columns))
    indices = None if archs is None else np.unique(space.arch_indices(archs))
    query = select(*(table.columns[name].label(name) for name in names)).order_by(*table.order)
    if what == "latencies":
        query = query.select_from(Latency).join(Device, Device.id == Latency.device_id)
    with db.snapshot() as session:
        found = None if recipe is None else find_recipe(db, recipe, session)
        if found is not None and what == "recipes":
            query = query.where(Recipe.id == found.id)
        elif found is not None or seeds is not None:
            query = query.where(Env.id.in_(_envs_of_runs(session, found, seeds)))
        return rows_of(arrow, session, parts_of(query, table.arch_id, indices), names)


def _envs_of_runs(session: Session, recipe: Recipe | None, seeds: Seeds) -> Select[Any]:
    query = select(Run.env_id)
    if recipe is not None:
        query = query.where(Run.recipe_id == recipe.id)
    if seeds is not None:
        query = query.where(Run.seed.in_(find_seeds(session, seeds, recipe, statuses=STATUSES)))
    return query


def _says_nothing(name: str, what: str) -> str:
    others = ", ".join(f"{other!r}" for other, table in LOOKUPS.items() if name in table.chosen_by)
    return (
        f"{name}=… says nothing of {what!r}, where a row is {LOOKUPS[what].row}; it is for 'runs', 'epochs', "
        f"'leaderboard' and {others}"
    )


def chosen_columns(columns: Iterable[str] | None, choices: Sequence[str]) -> list[str]:
    """Columns of a table as a list, each once.

    Parameters
    ----------
    columns
        One or several; all if None.
    choices
        Those that the table has.

    Raises
    ------
    QueryError
        There is no such column, or none is named.
    """
    if columns is None:
        return list(choices)
    found = names(columns, "columns")
    for name in found:
        if name not in choices:
            raise QueryError(f"there is no column {spelled(name)}; choose of: {', '.join(choices)}")
    if not found:
        raise QueryError(f"a frame has one column at the least; choose of: {', '.join(choices)}")
    return found


def rows_of(arrow: Any, session: Session, queries: Iterable[Select[Any]], names: Sequence[str]) -> Any:
    """What queries give, one after the other, as an Arrow table; settings are JSON as text.

    Parameters
    ----------
    arrow
        The module pyarrow.
    session
        To ask.
    queries
        Each of these columns.
    names
        The names of the columns.
    """
    rows = [row for query in queries for row in session.execute(query)]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in names]
    for at, name in enumerate(names):
        if name in _JSON:
            columns[at] = [None if value is None else json.dumps(value) for value in columns[at]]
    with kinds_told():
        return arrow.table(columns, schema=schema(arrow, names))
