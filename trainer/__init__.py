"""Training architectures into a database; the only part of the project that imports torch.

Its names are imported when they are first used, so that `import bloxdb.trainer` itself imports no torch. If
that is missing, each that needs it says so.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from bloxdb.extras import needed

if TYPE_CHECKING:
    from .data import load_data as load_data
    from .images import DataSet as DataSet
    from .loop import Training as Training
    from .model import Network as Network
    from .recipe import TrainingRecipe as TrainingRecipe
    from .recipe import default_recipe as default_recipe
    from .recipe import make_recipe as make_recipe
    from .weights import load_network as load_network
    from .worker import Job as Job

_HOMES = {
    "DataSet": "images",
    "Job": "worker",
    "Network": "model",
    "Training": "loop",
    "TrainingRecipe": "recipe",
    "default_recipe": "recipe",
    "load_data": "data",
    "load_network": "weights",
    "make_recipe": "recipe",
}
"""Where each public name is at home."""

__all__ = sorted(_HOMES)


def part(name: str) -> ModuleType:
    """A module of the trainer.

    Parameters
    ----------
    name
        Its name within the trainer, as ``'worker'``.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingExtraError
        It needs torch, or another library of the extra ``train``, and that is not installed.
    """
    with needed("train", "the trainer"):
        return import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name in _HOMES:
        found: object = getattr(part(_HOMES[name]), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
