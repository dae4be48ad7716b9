"""How runs are trained: the recipe of the release, and what may be changed in it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bloxdb.codecs.header import MAX_EPOCHS
from bloxdb.db.references import DATASETS, RELEASED, Images, RecipeFacts
from bloxdb.errors import QueryError
from bloxdb.files import expanded

PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides what a run computes, besides architecture and seed.

    Attributes
    ----------
    dataset
        A key of `bloxdb.db.DATASETS`.
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

    Raises
    ------
    QueryError
        A value is out of range.
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

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise QueryError(f"{name} of a recipe is in {low} … {high}, not {value}")
        if self.precision not in PRECISIONS:
            raise QueryError(
                f"there is no precision {self.precision!r}; choose one of: {', '.join(PRECISIONS)}"
            )

    @property
    def name(self) -> str:
        """``DATASET-EPOCHS``, and the start of the digest if it is not the default recipe."""
        plain = f"{self.dataset}-{self.epochs}"
        return plain if self == default_recipe(self.dataset, self.epochs) else f"{plain}-{self.digest[:8]}"

    @property
    def digest(self) -> str:
        """SHA-256, as hex digits, of the fields as JSON with sorted keys."""
        return hashlib.sha256(json.dumps(self.config(), sort_keys=True).encode()).hexdigest()

    def config(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

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
}

_EPOCHS = 200  # of the release

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
    },
}
"""What a data set has otherwise than the release."""


def default_recipe(dataset: str, epochs: int | None = None) -> TrainingRecipe:
    """The recipe of a data set: for CIFAR-100 that of the release.

    Parameters
    ----------
    dataset
        A key of `bloxdb.db.DATASETS`.
    epochs
        The number of epochs; that of the data set's recipe if None.

    Returns
    -------
    TrainingRecipe
        The recipe.

    Raises
    ------
    QueryError
        There is no such data set.
    """
    if dataset not in DATASETS:
        raise QueryError(f"there is no data set {dataset!r}; choose one of: {', '.join(DATASETS)}")
    values = {"epochs": _EPOCHS} | _DEFAULTS.get(dataset, {}) | ({} if epochs is None else {"epochs": epochs})
    return TrainingRecipe(dataset, **values)


def make_recipe(dataset: str | None, toml: Path | None, changes: Mapping[str, Any]) -> TrainingRecipe:
    """The default recipe with what a TOML file and, over it, `changes` say otherwise.

    Parameters
    ----------
    dataset
        The data set; that of the file, or CIFAR-100, if not given.
    toml
        A file whose top-level keys are fields of `TrainingRecipe`.
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
    return replace(default_recipe(dataset or named or RELEASED), **given)


def _read(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(expanded(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise QueryError(f"{path} is not TOML: {error}") from error
    types = {field.name: str(field.type) for field in fields(TrainingRecipe)}
    for name, value in given.items():
        if name not in types:
            raise QueryError(f"{path}: a recipe has no {name!r}; it has {', '.join(types)}")
        if types[name] == "float" and type(value) is int:
            given[name] = float(value)
        elif type(value).__name__ != types[name]:
            raise QueryError(f"{path}: {name} must be of type {types[name]}, not {value!r}")
    return given
