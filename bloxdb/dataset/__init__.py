"""Runs by architecture, over release files or over a database.

`Dataset` has plain shapes; ``import bloxdb.compat as blox`` has the same runs in the shapes of the original
`blox` package. Both ask a `Source`. Names are imported when they are first used, so that what asks a database
loads nothing of release files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bloxdb.dataset.base import Runs as Runs
    from bloxdb.dataset.database import DatabaseSource as DatabaseSource
    from bloxdb.dataset.dataset import Dataset as Dataset
    from bloxdb.dataset.folder import FolderSource as FolderSource
    from bloxdb.dataset.opening import from_database as from_database
    from bloxdb.dataset.opening import from_folder as from_folder
    from bloxdb.dataset.source import Source as Source

_HOMES = {
    "DatabaseSource": "database",
    "Dataset": "dataset",
    "FolderSource": "folder",
    "Runs": "base",
    "Source": "source",
    "from_database": "opening",
    "from_folder": "opening",
}
"""Where each public name is at home."""

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name in _HOMES:
        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__]
