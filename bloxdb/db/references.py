"""What runs and latencies refer to: recipes, environments, devices, seeds; found, or added.

A recipe, an environment or a device is one row, however many runs refer to it. Whoever brings in runs asks
here for its id, and whoever asks for runs names them here, so that the same name means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bloxdb.arguments import MOST, integer, is_several, text
from bloxdb.counts import agreed
from bloxdb.db.database import Database, asked
from bloxdb.db.dialects import engines_of
from bloxdb.db.recipes import DATASETS, RecipeFacts, new_name
from bloxdb.db.schema import Device, Env, Recipe, Run, StaticInfo
from bloxdb.db.statuses import FINISHED
from bloxdb.device_names import new_device_name
from bloxdb.errors import DatabaseError, QueryError, ReleaseError, spelled
from bloxdb.grouping import AVERAGES
from bloxdb.measures import ENVIRONMENT
from bloxdb.settings import settings as json_settings
from bloxdb.space.keys import Ids

_T = TypeVar("_T")
_TRIES = 20  # of rows that others add at the same moment

Seeds = int | Iterable[int] | str | None
"""Which seeds: one, several, or all that there are; where averages can be asked for, the name of one."""


_FEW = 5_000  # architectures that are named in a query; of more, the whole table is quicker


def costs_of(session: Session, indices: Ids) -> dict[int, tuple[int, int]]:
    """FLOPs and parameters of architectures, as the database has them; perhaps of others, too.

    Parameters
    ----------
    session
        The session that reads.
    indices
        The architectures.

    Raises
    ------
    DatabaseError
        The database has lost those of one.
    """
    query = select(StaticInfo.arch_id, StaticInfo.flops, StaticInfo.params)
    if len(indices) <= _FEW:
        query = query.where(StaticInfo.arch_id.in_(indices.tolist()))
    found = {index: (flops, params) for index, flops, params in session.execute(query)}
    lost = [index for index in indices.tolist() if index not in found]
    if lost:
        of = agreed(len(lost), "[architecture|architectures, the first of them]")
        advice = (
            engines_of(session.get_bind().dialect).REPAIR or "`bloxdb check --repair` makes a copy with them"
        )
        raise DatabaseError(f"the database has lost FLOPs and parameters of {of} {min(lost)}; {advice}")
    return found


def recipe_for(session: Session, facts: RecipeFacts, advice: str) -> Recipe:
    """The recipe that is meant, as `known_recipe` says; it is added if it is new, and learns what it did not
    know.

    Parameters
    ----------
    session
        The session that reads and adds.
    facts
        What is known.
    advice
        What to do if the database has another recipe of this name, for the error.

    Raises
    ------
    ReleaseError
        It has: the results of two recipes would be mixed.
    QueryError
        It would be a new one, of a name that nothing can be asked for by.
    """
    found = known_recipe(session, facts.name, facts.digest)
    if found is None:
        found = Recipe(name=new_name(facts.name), dataset=facts.dataset, epochs=facts.epochs)
        session.add(found)
        images = facts.images or DATASETS.get(facts.dataset)
    else:
        differs = RecipeFacts.of(found).contradicts(facts)
        if differs:
            raise ReleaseError(f"there is another recipe named {found.name} already ({differs}); {advice}")
        images = facts.images
    if images is not None:
        found.train_images, found.val_images, found.test_images = images
    if found.digest is None:
        found.config = found.config if facts.config is None else facts.config
        found.digest = facts.digest
    found.first_epoch_is_best = found.first_epoch_is_best or facts.first_epoch_is_best
    session.flush()
    return found


def known_recipe(session: Session, name: str, digest: str | None) -> Recipe | None:
    """The recipe of a name; if there is none, the one with the same settings, whatever it is called.

    What a later version calls by another name goes on under the name that it has in a database.

    Parameters
    ----------
    session
        To ask.
    name
        The recipe's name.
    digest
        A text that is equal for equal settings only; None if they are not known.

    Returns
    -------
    Recipe or None
        None if there is neither.
    """
    found = session.scalar(select(Recipe).where(Recipe.name == name))
    if found is None and digest is not None:
        found = session.scalar(select(Recipe).where(Recipe.digest == digest).order_by(Recipe.id).limit(1))
    return found


def find_recipe(db: Database, name: str | None, session: Session | None = None) -> Recipe:
    """The recipe of this name; the only one that there is if no name is given.

    Parameters
    ----------
    db
        The database.
    name
        A recipe's name, or None.
    session
        To ask; the database's reader if None.

    Raises
    ------
    QueryError
        There is none, or the name is needed; the error lists the choices.
    """
    recipes = list((session or db.reader).scalars(select(Recipe).order_by(Recipe.name)))
    found = [recipe for recipe in recipes if name in (None, recipe.name)]
    if len(found) == 1:
        return found[0]
    if not recipes:
        raise QueryError(f"{db.name} holds no runs yet: train or import some")
    choices = ", ".join(recipe.name for recipe in recipes)
    if name is None:
        raise QueryError(f"there are several recipes, name one of: {choices}")
    raise QueryError(f"there is no recipe {spelled(name)}; choose one of: {choices}")


def listed_seeds(seeds: Seeds) -> list[int] | None:
    """Seeds as a list, each once; None for all. `QueryError` if there is none in it, or what is no seed."""
    if seeds is None:
        return None
    several = seeds if is_several(seeds) else [seeds]
    if isinstance(seeds, str):
        where = "which Dataset.table, top, pareto, Problem and frames take"
        averages = " and ".join(map(repr, AVERAGES))
        raise QueryError(
            f"a seed is an integer, not {seeds!r:.80}; averages over seeds are {averages}, {where}"
        )
    found = list(dict.fromkeys(integer(seed, "a seed") for seed in several))
    if not found:
        raise QueryError("seeds names no seed; give one, several, or None for all")
    return found


def average_of(seeds: Seeds) -> str | None:
    """The name of the average that is asked for instead of seeds; None where there is none."""
    return seeds if isinstance(seeds, str) and seeds in AVERAGES else None


def find_seeds(
    session: Session,
    seeds: Seeds,
    recipe: Recipe | None,
    *,
    statuses: Sequence[str] = (FINISHED,),
) -> list[int]:
    """The seeds that are meant, of those that runs have; all of them, in order, if None.

    Parameters
    ----------
    session
        To ask.
    seeds
        One, several, or None.
    recipe
        The recipe of the runs; all if None.
    statuses
        Which runs count.

    Raises
    ------
    QueryError
        No such run has a seed; the error lists those that there are.
    """
    query = select(Run.seed).where(Run.status.in_(statuses))
    if recipe is not None:
        query = query.where(Run.recipe_id == recipe.id)
    wanted = listed_seeds(seeds)
    if wanted is not None:
        absent = [seed for seed in wanted if session.scalar(query.where(Run.seed == seed).limit(1)) is None]
        if not absent:
            return wanted
    known = sorted(session.scalars(query.distinct()))
    if wanted is None:
        return known
    whose = "" if recipe is None else f" of recipe {recipe.name}"
    if not known:
        raise QueryError(f"there are no runs{whose} yet, and so none with seed {absent[0]!r}")
    choices = ", ".join(map(str, known))
    raise QueryError(f"there is no run{whose} with seed {absent[0]!r}; choose of: {choices}")


class Environments:
    """The ids of environments, which are added as they come.

    Parameters
    ----------
    session
        The session that reads and adds.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        columns = [getattr(Env, name) for name in ENVIRONMENT]
        self._known: dict[tuple[str, ...], int] = {
            tuple(row[1:]): row[0] for row in session.execute(select(Env.id, *columns))
        }

    def id_of(self, texts: Sequence[str]) -> int:
        """The id of the environment with these texts, in the order of `ENVIRONMENT`."""
        key = tuple(texts)
        if key not in self._known:
            env = Env(**dict(zip(ENVIRONMENT, key, strict=True)))
            self._session.add(env)
            self._session.flush()
            self._known[key] = env.id
        return self._known[key]


def environment_id(facts: Mapping[str, str], db: Database | None = None) -> int:
    """The id of an environment, which is stored if it is new.

    Parameters
    ----------
    facts
        Texts by the names of `bloxdb.measures.ENVIRONMENT`; '' for what is left out.
    db
        The database; the current one if not given.

    Returns
    -------
    int
        What `RunQueue.claim` takes as ``env_id``.

    Raises
    ------
    QueryError
        An environment has no such fact, or a fact is no text.
    """
    if not isinstance(facts, Mapping):
        raise QueryError(f"an environment is a mapping of names to texts, not {spelled(facts)}")
    strange = [name for name in facts if name not in ENVIRONMENT]
    if strange:
        raise QueryError(f"an environment has no {strange[0]!r}; it has {', '.join(ENVIRONMENT)}")
    values = [text(facts.get(name, ""), f"{name} of an environment") for name in ENVIRONMENT]
    return added_once(asked(db), lambda session: Environments(session).id_of(values))


def known_environment(db: Database, env_id: int) -> int:
    """The id of an environment that is there; `QueryError` if there is none of this id."""
    env_id = integer(env_id, "the id of an environment", low=1, high=MOST)
    if db.reader.get(Env, env_id) is None:
        raise QueryError(
            f"{db.name} has no environment {env_id}; bloxdb.runs.environment_id gives the id of one"
        )
    return env_id


def added_once(db: Database, add: Callable[[Session], _T]) -> _T:
    """What adds rows where they are not there yet gives, in a transaction of its own.

    On a server another process may add the same at the same moment; then it is done again, and finds them.

    Parameters
    ----------
    db
        The database.
    add
        Looks for the rows, and adds those that are not there.

    Raises
    ------
    DatabaseError
        It was in vain again and again, or something else went wrong.
    """
    for left in reversed(range(_TRIES)):
        try:
            with db.transaction() as session:
                return add(session)
        except DatabaseError as error:
            if not left or not isinstance(error.__cause__, IntegrityError):
                raise
    raise DatabaseError(f"{db.name}: nothing was added")


def device_id(session: Session, name: str, settings: Mapping[str, Any] | None = None) -> int:
    """The id of a device, which is added if it is new.

    Parameters
    ----------
    session
        The session that reads and adds.
    name
        What the device is called.
    settings
        How its latencies are measured, if it is new; of one that is there it would say too much.

    Raises
    ------
    QueryError
        It would be a new one, of a name that no file can be named after.
    """
    device = session.scalar(select(Device).where(Device.name == text(name, "a device's name")))
    if device is None:
        name = new_device_name(name)
        kept = None if settings is None else json_settings(settings, f"the settings of device {name}")
        device = Device(name=name, settings=kept)
        session.add(device)
        session.flush()
    return device.id


def find_device(db: Database, name: str) -> int:
    """The id of a device; `QueryError` if there is none of this name, with the choices."""
    found = db.reader.scalar(select(Device.id).where(Device.name == text(name, "a device's name")))
    if found is None:
        names = list(db.reader.scalars(select(Device.name).order_by(Device.name)))
        known = f"choose one of: {', '.join(names)}" if names else "the database has no latencies"
        raise QueryError(f"there is no device {spelled(name)}; {known}")
    return found
