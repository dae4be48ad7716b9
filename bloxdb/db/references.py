"""What runs and latencies refer to: recipes, environments, devices, seeds; found, or added.

A recipe, an environment or a device is one row, however many runs refer to it. Whoever brings in runs asks
here for its id, and whoever asks for runs names them here, so that the same name means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bloxdb.arguments import integer, is_several
from bloxdb.db.database import Database, asked
from bloxdb.db.schema import Device, Env, Recipe, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import DatabaseError, QueryError, ReleaseError
from bloxdb.grouping import AVERAGES
from bloxdb.measures import ENVIRONMENT

_T = TypeVar("_T")
_TRIES = 20  # of rows that others add at the same moment

Seeds = int | Iterable[int] | str | None
"""Which seeds: one, several, or all that there are; where averages can be asked for, the name of one."""

_LONGEST_NAME = 200  # as the column has room for

ALL_RECIPES = "*"
"""What stands for the runs of all recipes together, so that no recipe is called so."""


class Images(NamedTuple):
    """How many images train, validate and test.

    Attributes
    ----------
    train
        Images to train on.
    val
        Images to validate on.
    test
        Images to test on.
    """

    train: int
    val: int
    test: int


DATASETS = {
    "cifar100": Images(45_000, 5_000, 10_000),
    "cifar10": Images(45_000, 5_000, 10_000),
    "digits": Images(1_257, 180, 360),
}
"""The data sets that are known by name. Add yours here, and its loader in `bloxdb.trainer.data`."""

RELEASED = "cifar100"
"""The data set of the release, which is trained on where nothing else is said."""


@dataclass(frozen=True)
class RecipeFacts:
    """What is known of a recipe.

    Attributes
    ----------
    name
        The name of the recipe, unique in a database.
    dataset
        What is trained on.
    epochs
        How many epochs a run has.
    images
        How many images there are; None if that is not known, as where runs come with release files.
    config
        Every setting, as JSON values; None if not known.
    digest
        A text that is equal for equal settings only, as a SHA-256; None if not known.
    first_epoch_is_best
        Whether epoch 1 of its runs has the best epoch's validation instead of its own, as in release files
        that the original's trainer made.
    """

    name: str
    dataset: str
    epochs: int
    images: Images | None = None
    config: dict[str, Any] | None = field(default=None, compare=False)
    digest: str | None = None
    first_epoch_is_best: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", integer(self.epochs, "the number of epochs", low=0))
        if self.images is not None:
            counts = (integer(count, "the number of images", low=0) for count in self.images)
            object.__setattr__(self, "images", Images(*counts))

    @classmethod
    def of(cls, recipe: Recipe) -> RecipeFacts:
        """What a database knows of a recipe.

        Parameters
        ----------
        recipe
            A row of the database.

        Returns
        -------
        RecipeFacts
            The facts in the row.
        """
        counts = (recipe.train_images, recipe.val_images, recipe.test_images)
        images = None if None in counts else Images(*counts)  # type: ignore[arg-type]
        settings = (recipe.config, recipe.digest, recipe.first_epoch_is_best)
        return cls(recipe.name, recipe.dataset, recipe.epochs, images, *settings)

    def contradicts(self, other: RecipeFacts) -> str:
        """Where two recipes differ in what is known of both.

        Parameters
        ----------
        other
            The facts to compare with.

        Returns
        -------
        str
            A phrase that names the first difference; empty if there is none.
        """
        for name in ("dataset", "epochs", "images", "digest"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if None not in (ours, theirs) and ours != theirs:
                settings = self._settings(other) if name == "digest" else ""
                return settings or f"{name} {_shown(ours)} there, {_shown(theirs)} here"
        return ""

    def _settings(self, other: RecipeFacts) -> str:
        """The settings in which two recipes differ; empty if those of one are not known."""
        return differing(self.config or None, other.config or None)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Images) else str(value)


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
        found.config, found.digest = facts.config, facts.digest
    found.first_epoch_is_best = found.first_epoch_is_best or facts.first_epoch_is_best
    session.flush()
    return found


def new_name(name: str) -> str:
    """The name of a recipe that is made, by whichever way in.

    Parameters
    ----------
    name
        What it is to be called.

    Returns
    -------
    str
        The name as it is.

    Raises
    ------
    QueryError
        It is no text, blank, too long, not printable, or what stands for all recipes.
    """
    is_text = isinstance(name, str) and len(name) <= _LONGEST_NAME and name.isprintable()
    if not is_text or name.strip() in ("", ALL_RECIPES):
        raise QueryError(
            f"a recipe's name is a text of at most {_LONGEST_NAME} characters that can be printed, not "
            f"blank, and not {ALL_RECIPES!r}, which stands for all recipes; {name!r:.100} is none: choose "
            "another, such as 'cifar100-200'"
        )
    return str(name)


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
    raise QueryError(f"there is no recipe {name!r}; choose one of: {choices}")


def listed_seeds(seeds: Seeds) -> list[int] | None:
    """Seeds as a list, each once; None for all. `QueryError` if there is none in it, or what is no seed."""
    if seeds is None:
        return None
    several = seeds if is_several(seeds) else [seeds]
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
    choices = ", ".join(map(str, known)) or "none yet"
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
        An environment has no such fact.
    """
    strange = [name for name in facts if name not in ENVIRONMENT]
    if strange:
        raise QueryError(f"an environment has no {strange[0]!r}; it has {', '.join(ENVIRONMENT)}")
    values = [facts.get(name, "") for name in ENVIRONMENT]
    return added_once(asked(db), lambda session: Environments(session).id_of(values))


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
    """
    device = session.scalar(select(Device).where(Device.name == name))
    if device is None:
        device = Device(name=name, settings=None if settings is None else dict(settings))
        session.add(device)
        session.flush()
    return device.id


def differing(ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> str:
    """Where settings that are both known differ, as a phrase; empty if nowhere."""
    if ours is None or theirs is None:
        return ""
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return "; ".join(
        f"{name} {ours.get(name, 'left out')} there, {theirs.get(name, 'left out')} here" for name in names
    )


def find_device(db: Database, name: str) -> int:
    """The id of a device; `QueryError` if there is none of this name, with the choices."""
    found = db.reader.scalar(select(Device.id).where(Device.name == name))
    if found is None:
        names = list(db.reader.scalars(select(Device.name).order_by(Device.name)))
        known = f"choose one of: {', '.join(names)}" if names else "the database has no latencies"
        raise QueryError(f"there is no device {name!r}; {known}")
    return found
