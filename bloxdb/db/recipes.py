"""What is known of a recipe, whether a database has it or not, and the data sets that are known by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bloxdb.arguments import MOST, integer, is_several, text
from bloxdb.db.schema import Recipe
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import EPOCHS
from bloxdb.settings import settings

LONGEST_NAME = 200
"""How many characters the columns of names have room for."""

_NAMED = re.compile(r"(.+?)-(\d{1,5})(?:-.*)?")
_SHOWN, _BEFORE = 200, 40  # letters of a setting, and of them before those that differ
_LONGEST_DIGEST = 64  # as its column

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
        Every setting, by name, of what JSON has; None if not known.
    digest
        A text that is equal for equal settings only, as a SHA-256; None if not known. Of two recipes that
        both have one it tells whether they are the same, else their settings do.
    first_epoch_is_best
        Whether epoch 1 of its runs has the best epoch's validation instead of its own, as in release files
        that the original's trainer made.

    Raises
    ------
    QueryError
        A name is no text, a count no integer, or a setting nothing that JSON has.
    """

    name: str
    dataset: str
    epochs: int
    images: Images | None = None
    config: dict[str, Any] | None = field(default=None, compare=False)
    digest: str | None = None
    first_epoch_is_best: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        given = {
            "name": text(self.name, "a recipe's name"),
            "dataset": text(self.dataset, "the name of a data set", longest=LONGEST_NAME, filled=True),
            "epochs": integer(self.epochs, "the number of epochs", low=0, high=EPOCHS.stop - 1),
            "digest": None if self.digest is None else _digest(self.digest),
            "config": None if self.config is None else settings(self.config, "the settings of a recipe"),
        }
        if self.images is not None:
            given["images"] = _images(self.images)
        for name, value in given.items():
            object.__setattr__(self, name, value)

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
        rest = (recipe.config, recipe.digest, recipe.first_epoch_is_best)
        return cls(recipe.name, recipe.dataset, recipe.epochs, images, *rest)

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
                apart = self._settings(other) if name == "digest" else ""
                return apart or f"{name} {_shown(ours)} there, {_shown(theirs)} here"
        has_digests = None not in (self.digest, other.digest)  # which tell then whether settings are equal
        return "" if has_digests else differing(self.config, other.config)

    def _settings(self, other: RecipeFacts) -> str:
        """The settings in which two recipes differ; empty if those of one are not known."""
        return differing(self.config or None, other.config or None)


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
    is_text = isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable()
    if not is_text or name.strip() in ("", ALL_RECIPES):
        raise QueryError(
            f"a recipe's name is a text of at most {LONGEST_NAME} characters that can be printed, not "
            f"blank, and not {ALL_RECIPES!r}, which stands for all recipes; {spelled(name)} is none: choose "
            "another, such as 'cifar100-200'"
        )
    return str(name)


def said_by(name: str) -> tuple[str, int] | None:
    """What the name of a recipe says where nobody chose it: DATASET-EPOCHS, and whatever follows.

    Parameters
    ----------
    name
        The name.

    Returns
    -------
    tuple of str and int, or None
        A data set that is known by name, and a number of epochs that there can be; None if it says nothing.

    Examples
    --------
    >>> said_by("cifar100-200-cutout"), said_by("exp-2")
    (('cifar100', 200), None)
    """
    found = _NAMED.fullmatch(name)
    if found is None or found[1] not in DATASETS or int(found[2]) not in EPOCHS:
        return None
    return found[1], int(found[2])


def differing(ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> str:
    """Where settings that are both known differ, as a phrase; empty if nowhere."""
    if ours is None or theirs is None:
        return ""
    told = []
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            there, here = _apart(*(str(known.get(name, "left out")) for known in (ours, theirs)))
            told.append(f"{name} {there} there, {here} here")
    return "; ".join(told)


def _apart(one: str, other: str) -> tuple[str, str]:
    """Two texts that differ, of long ones the part around where they begin to."""
    pairs = enumerate(zip(one, other, strict=False))
    same = next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
    is_short = max(len(one), len(other)) <= _SHOWN
    start = 0 if is_short else max(0, same - _BEFORE)
    before = "…" if start else ""
    parts = (whole[start:] for whole in (one, other))
    first, second = (before + part[:_SHOWN] + ("…" if len(part) > _SHOWN else "") for part in parts)
    return first, second


def _digest(given: str) -> str:
    return text(given, "a digest", longest=_LONGEST_DIGEST, filled=True)


def _images(given: Images) -> Images:
    counts = list(given) if is_several(given) else []
    if len(counts) != len(Images._fields):
        raise QueryError(f"images are three counts, of {', '.join(Images._fields)}, not {spelled(given)}")
    return Images(*(integer(count, "the number of images", low=0, high=MOST) for count in counts))


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Images) else str(value)
