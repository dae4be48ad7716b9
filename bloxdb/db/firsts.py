"""What the first epochs of a recipe's runs look like in a database, and what its row says of them.

The rule is that of `bloxdb.overwritten`; imports and merges ask here, and give the same notes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from bloxdb.db.epochs import stored_curves
from bloxdb.db.schema import Recipe, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.overwritten import LOOKED_AT, FirstEpochs

_SLICE = 1_000  # runs that are read at once


def first_epochs(session: Session, recipe: Recipe) -> dict[int, FirstEpochs]:
    """What the first epochs of the runs of a recipe look like, by seed.

    Parameters
    ----------
    session
        To ask; what is to be looked at is written.
    recipe
        The recipe.
    """
    query = select(Run.seed, Run.id).where(Run.recipe_id == recipe.id, Run.status == FINISHED)
    ids: dict[int, list[int]] = {}
    for seed, run_id in session.execute(query.order_by(Run.seed, Run.id)):
        ids.setdefault(seed, []).append(run_id)
    found = {}
    for seed, of_seed in ids.items():
        found[seed] = FirstEpochs({})
        for first in range(0, len(of_seed), _SLICE):
            run_ids = np.array(of_seed[first : first + _SLICE], dtype=np.int64)
            found[seed].add(stored_curves(session, run_ids, LOOKED_AT, recipe.epochs))
    return found


def lost(where: str, recipe: Recipe) -> str:
    """The note that first epochs are the best ones, and that their recipe says so from now on.

    Parameters
    ----------
    where
        What has them.
    recipe
        Their recipe.
    """
    return (
        f"{where}: validation of epoch 1 equals the best of later epochs, as in files that the original "
        "trainer made, which wrote its best epoch over the first; the values are kept as they are, and "
        f"recipe {recipe.name} says so, so that Problem and table leave epoch 1 out"
    )


def reconsider(recipe: Recipe, found: Mapping[int, FirstEpochs]) -> str | None:
    """Take back that the first epochs of a recipe are the best ones, where they are not any more.

    Parameters
    ----------
    recipe
        A recipe that says so.
    found
        What `first_epochs` gives of it.

    Returns
    -------
    str or None
        A note, where they count again or some are their own; None where all is as it was.
    """
    if found and all(of_seed.are_own for of_seed in found.values()):
        recipe.first_epoch_is_best = False
        return f"validation of epoch 1 of recipe {recipe.name} is its own now, and counts as any other"
    if own := ", ".join(f"{runs} of seed {seed}" for seed, runs in found.items() if runs.own):
        return (
            f"validation of epoch 1 is its own in {own}, but not in others of recipe {recipe.name}; "
            "so Problem and table leave it out: first_epoch=True takes it, and another recipe would "
            "tell them apart"
        )
    return None
