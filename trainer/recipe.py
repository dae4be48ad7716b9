"""How runs are trained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes, besides architecture and seed.

    Attributes
    ----------
    dataset
        A key of `trainer.data.DATASETS`.
    epochs
        How many; the learning rate goes to 0 over them on a cosine, stepped per epoch.
    lr, momentum, weight_decay
        Of SGD without Nesterov; the decay is on all parameters.
    batch, eval_batch
        Images a step; the last batch of an epoch may be smaller.
    """

    dataset: str
    epochs: int
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch: int = 256
    eval_batch: int = 100

    @property
    def name(self) -> str:
        """How the database calls it: ``DATASET-EPOCHS``."""
        return f"{self.dataset}-{self.epochs}"

    def config(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


def digits_recipe(epochs: int) -> Recipe:
    """The recipe of the embedded data set: small batches, no augmentation and so no flips."""
    return Recipe("digits", epochs, batch=64, eval_batch=360)


RECIPES = {"digits": digits_recipe}
