"""The questions people ask first: the best architectures, and the Pareto front."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from bloxdb.db.database import Database, current
from bloxdb.db.schema import Arch, Device, Latency, Recipe, Run
from bloxdb.errors import QueryError

Row = dict[str, Any]

MEASURES: dict[str, ColumnElement[Any]] = {
    "test_top1": Run.test_top1.expression,
    "val_top1": Run.val_top1.expression,
    "test_top5": Run.test_top5.expression,
    "test_loss": Run.test_loss.expression,
    "train_time_s": Run.train_time_s.expression,
    "flops": Run.flops.expression,
    "params": Run.params.expression,
}
"""What results can be ordered by."""

_BELOW_ALL = -1e308
_HIGHER_IS_BETTER = {"test_top1", "val_top1", "test_top5"}


def top(
    n: int = 10,
    *,
    max_flops: float | None = None,
    max_params: float | None = None,
    max_latency: tuple[str, float] | None = None,
    by: str = "test_top1",
    recipe: str | None = None,
    seed: int | None = None,
    db: Database | None = None,
) -> list[Row]:
    """The best finished runs.

    Parameters
    ----------
    n
        How many.
    max_flops, max_params
        Upper limits, inclusive: multiply-accumulates, trainable parameters.
    max_latency
        A device's name and milliseconds, inclusive.
    by
        A key of `MEASURES`: accuracies count as better when higher, everything else when lower.
    recipe, seed
        Only runs of this recipe, of this seed.
    db
        The database to ask; the one opened last if not given.

    Returns
    -------
    list of dict
        The columns of the ``leaderboard`` view, and `by` if it is not among them.

    Raises
    ------
    QueryError
        There is no such measure, recipe or device.
    """
    db = db or current()
    measure = _measure(by)
    if n < 0:
        raise QueryError(f"the number of results must not be negative, but is {n}")
    query = _finished(db, by, recipe=recipe, seed=seed)
    # IS NOT NULL is a look at each row that is passed; where the order begins, and what ends it, cost nothing
    if by in _HIGHER_IS_BETTER:
        order = measure.desc().nulls_last()
    else:
        order = measure.asc()
        query = query.where(measure > _BELOW_ALL)
    if max_flops is not None:
        query = query.where(Run.flops <= max_flops)
    if max_params is not None:
        query = query.where(Run.params <= max_params)
    if max_latency is not None:
        name, milliseconds = max_latency
        query = query.join(Latency, Latency.arch_id == Run.arch_id).where(
            Latency.device_id == _device_id(db, name), Latency.latency_ms <= milliseconds
        )
    rows = rows_of(db, query.order_by(order, Run.arch_id, Run.seed).limit(n))
    return [row for row in rows if row[by] is not None]


def pareto(
    x: str = "flops",
    y: str = "test_top1",
    *,
    recipe: str | None = None,
    seed: int | None = None,
    db: Database | None = None,
) -> list[Row]:
    """The finished runs that no other run beats in both measures.

    Parameters
    ----------
    x, y
        Keys of `MEASURES`; accuracies count as better when higher, everything else when lower.
    recipe, seed, db
        As for `top`.

    Returns
    -------
    list of dict
        Like those of `top`, from the best `x` on; each is better in `y` than the one before.
    """
    db = db or current()
    ranks = []
    for name in (x, y):
        measure = _measure(name)
        ranks.append(-measure if name in _HIGHER_IS_BETTER else measure)
    inner = (
        _finished(db, x, recipe=recipe, seed=seed)
        .add_columns(ranks[0].label("rank_x"), ranks[1].label("rank_y"), Run.id.label("run_id"))
        .where(_measure(x).is_not(None), _measure(y).is_not(None))
        .subquery()
    )
    best_before = func.min(inner.c.rank_y).over(
        order_by=[inner.c.rank_x, inner.c.rank_y, inner.c.arch_id, inner.c.seed], rows=(None, -1)
    )
    names = [column.name for column in inner.c if column.name not in ("rank_x", "rank_y", "run_id")]
    ranked = select(inner, best_before.label("best_before")).subquery()
    query = (
        select(*(ranked.c[name] for name in names))
        .where((ranked.c.best_before.is_(None)) | (ranked.c.rank_y < ranked.c.best_before))
        .order_by(ranked.c.rank_x)
    )
    return rows_of(db, query)


def find_recipe(db: Database, name: str | None) -> Recipe:
    """The recipe of this name; the only one that has runs if no name is given.

    Raises
    ------
    QueryError
        There is none, or the name is needed; the error lists the choices.
    """
    recipes = list(db.reader.scalars(select(Recipe).order_by(Recipe.name)))
    found = [recipe for recipe in recipes if name in (None, recipe.name)]
    if len(found) == 1:
        return found[0]
    if not recipes:
        raise QueryError(f"{db.name} holds no runs yet: train or import some")
    choices = ", ".join(recipe.name for recipe in recipes)
    if name is None:
        raise QueryError(f"there are several recipes, name one of: {choices}")
    raise QueryError(f"there is no recipe {name!r}; choose one of: {choices}")


def _finished(db: Database, by: str, *, recipe: str | None, seed: int | None) -> Select[Any]:
    """The leaderboard's columns, and `by`, of finished runs."""
    columns: list[Any] = [
        Run.arch_id,
        Arch.hash,
        Arch.vec_text.label("vec"),
        Recipe.name.label("recipe"),
        Run.seed,
        Run.flops,
        Run.params,
        Run.val_top1,
        Run.test_top1,
        Run.train_time_s,
    ]
    if by in ("test_top5", "test_loss"):
        columns.append(_measure(by))
    query = (
        select(*columns)
        .select_from(Run)
        .join(Arch, Arch.id == Run.arch_id)
        .join(Recipe, Recipe.id == Run.recipe_id)
        .where(Run.status == "finished")
    )
    if recipe is not None:
        query = query.where(Run.recipe_id == find_recipe(db, recipe).id)
    return query if seed is None else query.where(Run.seed == seed)


def _measure(name: str) -> ColumnElement[Any]:
    if name not in MEASURES:
        raise QueryError(f"there is no measure {name!r}; choose one of: {', '.join(MEASURES)}")
    return MEASURES[name]


def _device_id(db: Database, name: str) -> int:
    found = db.reader.scalar(select(Device.id).where(Device.name == name))
    if found is None:
        names = list(db.reader.scalars(select(Device.name).order_by(Device.name)))
        known = f"choose one of: {', '.join(names)}" if names else "the database has no latencies"
        raise QueryError(f"there is no device {name!r}; {known}")
    return found


def rows_of(db: Database, query: Select[*tuple[Any, ...]]) -> list[Row]:
    """The rows of a query as dicts."""
    return [dict(row) for row in db.reader.execute(query).mappings()]
