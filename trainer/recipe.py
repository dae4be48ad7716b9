"""How runs are trained: the recipe of the release, and what may be changed in it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bloxdb.arguments import as_index, integer, number
from bloxdb.codecs.header import MAX_EPOCHS
from bloxdb.db.recipes import DATASETS, RELEASED, Images, RecipeFacts, new_name
from bloxdb.errors import QueryError, spelled
from bloxdb.files import expanded, open_file

from .sources import unknown

PRECISIONS = ("fp32", "tf32", "bf16")
SHEARS = ("corner", "centre")
INIT_ORDERS = ("cells", "stages")
VARIANTS = ("public", "paper")
_LONGEST_FILE = 1 << 16  # bytes: all fields with their values, and many comments
OWN_SEED = "run"
"""What a TOML file says for a `data_seed` that is the run's."""


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides what a run computes, besides architecture and seed.

    Attributes
    ----------
    dataset
        A key of `bloxdb.db.DATASETS`, or the name of a data set of one's own.
    epochs
        The number of epochs; the learning rate goes to 0 over them on a cosine, stepped per epoch.
    batch
        Images a step; the last batch of an epoch may be smaller.
    eval_batch
        Images at once when evaluating; it changes results by no more than rounding.
    lr, momentum, weight_decay
        Settings of SGD without Nesterov; the decay is on all parameters.
    precision
        ``'fp32'``; ``'tf32'``, which lets a GPU round the factors of products to 10 bits; or ``'bf16'``,
        which computes layers in bfloat16 and keeps weights in float32.
    augment
        Whether training images are changed at random by what follows.
    randaugment_ops, randaugment_magnitude
        Operations on each image, and their strength in 31 bins.
    flip
        The probability of a horizontal flip.
    crop_padding
        Zeros around the image before a random crop of its own size.
    cutout
        The side of the square of zeros.
    deterministic
        Whether only algorithms are used that give the same numbers each time.
    compile
        Whether `torch.compile` makes the kernels; on a GPU only.
    shear
        Whose RandAugment it is: ``'centre'`` for the release's (torchvision's before 0.12, on Pillow), which
        shears around the middle of an image by an angle, solarises from 256 down, and turns in Pillow's fixed
        point; ``'corner'`` for today's, which shears from a corner by a slope and solarises from 255 down.
    init_order
        In which order initial weights are drawn between stem and head: ``'stages'``, as in the release, each
        stage's cell and then its reduction; ``'cells'``, all cells and then all reductions.
    data_seed
        The seed of the order of images and of what changes them; the run's if None. With a number, as in the
        release, runs of several seeds differ in their initial weights only.
    variant
        ``'public'`` for the networks of the public release; ``'paper'`` for those of the first one, which the
        paper's numbers are of, where a cell's first operation is given x + x in place of x by mistake.
    data_digest
        The digest of a data set of one's own, as `DataSet.digest`; None of those that are known.
    called
        What the recipe is called, of your choice; no part of what it says.

    Notes
    -----
    A field that came after the first runs has as its default what runs did before, and is left out of
    `config` there; so recipes in databases stay what they are, with their names and digests. What the
    release does is said by `default_recipe`.

    Raises
    ------
    QueryError
        A value is of a wrong type or out of range.
    """

    dataset: str
    epochs: int
    batch: int = 256
    eval_batch: int = 1000
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    precision: str = "fp32"
    augment: bool = True
    randaugment_ops: int = 2
    randaugment_magnitude: int = 14
    flip: float = 0.5
    crop_padding: int = 4
    cutout: int = 16
    deterministic: bool = True
    compile: bool = False
    shear: str = "corner"
    init_order: str = "cells"
    data_seed: int | None = None
    variant: str = "public"
    data_digest: str | None = None
    called: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for one in fields(self):
            object.__setattr__(self, one.name, checked(one.name, getattr(self, one.name)))

    @property
    def name(self) -> str:
        """What it is called; else ``DATASET-EPOCHS`` of the default recipe; with another variant its name
        follows, with other changes the start of the digest.
        """
        if self.called is not None:
            return self.called
        plain = f"{self.dataset}-{self.epochs}"
        own = None if self.dataset in DATASETS else self.data_digest
        default = default_recipe(self.dataset, self.epochs, data_digest=own)
        if self == default:
            return plain
        is_variant = self == replace(default, variant=self.variant)
        return f"{plain}-{self.variant if is_variant else self.digest[:8]}"

    @property
    def digest(self) -> str:
        """SHA-256, as hex digits, of the fields as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.config(), sort_keys=True).encode()).hexdigest()

    def config(self) -> dict[str, Any]:
        """The fields as JSON values, without those that came later where they are what runs did before."""
        values = asdict(self)
        del values["called"]
        return {name: value for name, value in values.items() if name not in _LATER or value != _LATER[name]}

    def facts(self, images: Images) -> RecipeFacts:
        """What the database keeps of a recipe.

        Parameters
        ----------
        images
            The numbers of images that it is used on.

        Returns
        -------
        RecipeFacts
            The facts, with the digest of all settings.
        """
        return RecipeFacts(self.name, self.dataset, self.epochs, images, self.config(), self.digest)


_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, MAX_EPOCHS),
    "batch": (1, 1_000_000),
    "eval_batch": (1, 1_000_000),
    "lr": (0, 1e30),
    "momentum": (0, 1),
    "weight_decay": (0, 1e30),
    "randaugment_ops": (0, 10),
    "randaugment_magnitude": (0, 30),
    "flip": (0, 1),
    "crop_padding": (0, 1_000),
    "cutout": (0, 1_000),
    "data_seed": (0, 2**63 - 1),
}

CHOICES = {"precision": PRECISIONS, "shear": SHEARS, "init_order": INIT_ORDERS, "variant": VARIANTS}
"""Fields that are one of a few texts, and which."""

_LATER = {
    one.name: one.default
    for one in fields(TrainingRecipe)
    if one.name in ("shear", "init_order", "data_seed", "variant", "data_digest")
}
"""Fields that came after the first runs. Add yours here, and as its default what runs did until then."""

_RELEASE: dict[str, Any] = {"epochs": 200, "shear": "centre", "init_order": "stages", "data_seed": 0}
"""What the release has otherwise than the fields' defaults."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    # small batches of few small images; a mirrored digit is another
    "digits": {
        "epochs": 3,
        "batch": 64,
        "eval_batch": 360,
        "augment": False,
        "flip": 0.0,
        "crop_padding": 1,
        "cutout": 3,
        # as in the databases that there are
        "shear": "corner",
        "init_order": "cells",
        "data_seed": None,
    },
}
"""What a data set has otherwise than the release."""


def checked(name: str, value: Any) -> Any:
    """What a field of a recipe is given, as the recipe keeps it: equal recipes have one digest.

    Parameters
    ----------
    name
        A field of `TrainingRecipe`.
    value
        A value of any type.

    Returns
    -------
    Any
        An int, float, bool or str of Python's, as the field has it, or None where that can be.

    Raises
    ------
    QueryError
        It is of a wrong type or out of range, or none of the field's choices.
    """
    what = f"{name} of a recipe"
    kind, _, without = _TYPES[name].partition(" | ")
    if value is None and without:
        return None
    if kind == "int":
        value = integer(value, what)
    elif kind == "float":
        whole, value = as_index(value), float(number(value, what)) + 0.0  # of -0.0 that is 0.0
        if whole is not None and value != whole:
            raise QueryError(f"{what} has more digits than a float can hold")
    elif not isinstance(value, _PLAIN[kind]):
        raise QueryError(f"{what} is {'a text' if kind == 'str' else 'True or False'}, not {spelled(value)}")
    else:
        value = str(value) if kind == "str" else bool(value)
    if name in CHOICES and value not in CHOICES[name]:
        raise QueryError(f"there is no {name} {spelled(value)}; choose one of: {', '.join(CHOICES[name])}")
    low, high = _RANGES.get(name, (value, value))
    if not low <= value <= high:
        raise QueryError(f"{what} is in {low} … {high}, not {value}")
    if name == "called":
        new_name(value)
    return value


_TYPES = {one.name: str(one.type) for one in fields(TrainingRecipe)}
_PLAIN: dict[str, Any] = {"str": str, "bool": bool | np.bool_}


def default_recipe(
    dataset: str, epochs: int | None = None, *, data_digest: str | None = None
) -> TrainingRecipe:
    """The recipe of a data set: for CIFAR-100, and for data sets of one's own, that of the release.

    Parameters
    ----------
    dataset
        A key of `bloxdb.db.DATASETS`, or the name of a data set of one's own.
    epochs
        The number of epochs; that of the data set's recipe if None.
    data_digest
        The digest of a data set of one's own.

    Returns
    -------
    TrainingRecipe
        The recipe.

    Raises
    ------
    QueryError
        There is no such data set.
    """
    if dataset not in DATASETS and data_digest is None:
        raise unknown(dataset)
    values = _RELEASE | _DEFAULTS.get(dataset, {}) | ({} if epochs is None else {"epochs": epochs})
    return TrainingRecipe(dataset, **values, data_digest=data_digest)


def make_recipe(dataset: str | None, toml: Path | None, changes: Mapping[str, Any]) -> TrainingRecipe:
    """The default recipe with what a TOML file and, over it, `changes` say otherwise.

    Parameters
    ----------
    dataset
        The data set; that of the file, or CIFAR-100, if not given.
    toml
        A file whose top-level keys are fields of `TrainingRecipe`, `called` as `name`.
    changes
        Fields of `TrainingRecipe`.

    Returns
    -------
    TrainingRecipe
        The recipe.

    Raises
    ------
    QueryError
        There is no such field or data set, or a value is of a wrong type or out of range.
    """
    given = _read(toml) if toml else {}
    named = given.pop("dataset", None)
    if dataset is not None and named not in (None, dataset):
        raise QueryError(f"{toml} is a recipe for {named!r}, not for {dataset!r}")
    given.update(changes)
    digest = given.pop("data_digest", None)
    if named is None:
        named = RELEASED
    return replace(default_recipe(dataset or named, data_digest=digest), **given)


def _read(path: Path) -> dict[str, Any]:
    with open_file(expanded(path), QueryError) as stream:
        data = stream.read(_LONGEST_FILE + 1)
    if len(data) > _LONGEST_FILE:
        raise QueryError(f"{path} has more than the {_LONGEST_FILE:,} bytes of any recipe; is it one?")
    try:
        given = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # among them: a whole number of thousands of digits
        raise QueryError(f"{path} is not TOML: {str(error) or 'too much is nested':.200}") from error
    names = ["name" if one.name == "called" else one.name for one in fields(TrainingRecipe)]
    found = {}
    for name, value in given.items():
        if name not in names:
            raise QueryError(f"{path}: a recipe has no {spelled(name)}; it has {', '.join(names)}")
        known = "called" if name == "name" else name
        is_own = name == "data_seed" and value == OWN_SEED
        try:
            found[known] = None if is_own else checked(known, value)
        except QueryError as error:
            also = f"; {OWN_SEED!r} means the run's" if name == "data_seed" else ""
            raise QueryError(f"{path}: {error}{also}") from error
    return found
