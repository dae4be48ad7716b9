"""Whether a recipe may go into a database under its name; without torch."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from bloxdb.db.references import known_recipe
from bloxdb.db.schema import Recipe
from bloxdb.errors import QueryError

from .recipe import TrainingRecipe


def check_recipe(session: Session, recipe: TrainingRecipe) -> None:
    """Make sure that a name is not given twice, and that a data set of one's own is still the same.

    Whether the name belongs to other settings is asked by `bloxdb.db.references.recipe_for`.

    Parameters
    ----------
    session
        To ask.
    recipe
        What is to be trained.

    Raises
    ------
    QueryError
        The database has these settings under another name, or with a data set of this name that was
        another.
    """
    found = known_recipe(session, recipe.name, recipe.digest)
    if recipe.called is not None:
        if found is not None and found.name != recipe.called:
            raise QueryError(
                f"these settings are called {found.name} in this database; leave the name {recipe.called} out"
            )
        return
    if found is not None or recipe.data_digest is None:
        return
    for other in session.scalars(select(Recipe).where(Recipe.dataset == recipe.dataset)):
        settings = dict(other.config or {})
        before = settings.pop("data_digest", None)
        now = recipe.config()
        if before not in (None, now.pop("data_digest")) and settings == now:
            raise QueryError(
                f"the data set {recipe.dataset} is not the one that the runs of {other.name} have (digest "
                f"{before[:8]} there, {recipe.data_digest[:8]} here); go on with that one, or name the new "
                "recipe with --recipe-name NAME"
            )
