"""The embedded database of the Blox macro-NAS benchmark.

What is public: the names below, and what stands in `__all__` of `bloxdb.codecs`, `bloxdb.space`, `bloxdb.db`,
`bloxdb.runs`, `bloxdb.dataset`, `bloxdb.compat`, `bloxdb.draw`, `bloxdb.plot`, `bloxdb.trainer` and
`bloxdb.errors`. Everything else may move.

Functions take what they are about first, then ``db``, the database that is asked (the current one if it is
not given), and all options by name; so do methods, and what makes an object, but that one that keeps a
database takes it first. What is about two things takes both so: ``pareto("flops", "test_top1")``,
``Problem.cost(arch, epoch)``, ``Dataset.table(archs, columns)``, ``trainer.load_network(run, folder)``. A
value, such as `runs.RecipeFacts`, `runs.Intervals` or a report, takes its fields by name or in their order.
Calls of the original package stay as they are. ``recipe`` is the name of one; ``seeds`` is one seed, several,
or None for all. Whatever writes gives a report of what it did.

>>> import bloxdb
>>> bloxdb.model_hash([[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]])
'39554afd1b33a44663e653ad10137b9a'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bloxdb.extras import provide as _provide

if TYPE_CHECKING:
    from bloxdb.care.checking import CheckReport as CheckReport
    from bloxdb.care.checking import Finding as Finding
    from bloxdb.care.checking import check as check
    from bloxdb.care.repairing import RepairReport as RepairReport
    from bloxdb.care.repairing import repair as repair
    from bloxdb.dataset.dataset import Dataset as Dataset
    from bloxdb.dataset.opening import from_database as from_database
    from bloxdb.dataset.opening import from_folder as from_folder
    from bloxdb.db.backups import BackupReport as BackupReport
    from bloxdb.db.backups import backup as backup
    from bloxdb.db.creation import UpgradeReport as UpgradeReport
    from bloxdb.db.creation import create as create
    from bloxdb.db.creation import upgrade as upgrade
    from bloxdb.db.database import Database as Database
    from bloxdb.db.database import current as current
    from bloxdb.db.database import open as open
    from bloxdb.db.schema import Arch as Arch
    from bloxdb.db.schema import Block as Block
    from bloxdb.db.schema import Device as Device
    from bloxdb.db.schema import Env as Env
    from bloxdb.db.schema import Epoch as Epoch
    from bloxdb.db.schema import Latency as Latency
    from bloxdb.db.schema import Recipe as Recipe
    from bloxdb.db.schema import Run as Run
    from bloxdb.errors import BloxError as BloxError
    from bloxdb.errors import BloxFormatError as BloxFormatError
    from bloxdb.errors import BudgetExhausted as BudgetExhausted
    from bloxdb.errors import ConflictError as ConflictError
    from bloxdb.errors import DatabaseError as DatabaseError
    from bloxdb.errors import DatabaseExistsError as DatabaseExistsError
    from bloxdb.errors import DatabaseNotFoundError as DatabaseNotFoundError
    from bloxdb.errors import InvalidArchError as InvalidArchError
    from bloxdb.errors import MissingDataError as MissingDataError
    from bloxdb.errors import MissingExtraError as MissingExtraError
    from bloxdb.errors import NotADatabaseError as NotADatabaseError
    from bloxdb.errors import QueryError as QueryError
    from bloxdb.errors import ReleaseError as ReleaseError
    from bloxdb.errors import RevisionError as RevisionError
    from bloxdb.errors import RunLostError as RunLostError
    from bloxdb.errors import TrainingError as TrainingError
    from bloxdb.errors import WeightsError as WeightsError
    from bloxdb.files import ExportReport as ExportReport
    from bloxdb.frames import to_arrow as to_arrow
    from bloxdb.frames import to_pandas as to_pandas
    from bloxdb.frames import to_polars as to_polars
    from bloxdb.merging import MergeReport as MergeReport
    from bloxdb.merging import merge as merge
    from bloxdb.parquet import export_parquet as export_parquet
    from bloxdb.parquet import import_parquet as import_parquet
    from bloxdb.problem import Problem as Problem
    from bloxdb.progress import Progress as Progress
    from bloxdb.queries import pareto as pareto
    from bloxdb.queries import top as top
    from bloxdb.release.changes import ImportReport as ImportReport
    from bloxdb.release.exporter import export_release as export_release
    from bloxdb.release.importer import import_release as import_release
    from bloxdb.space.cells import arch_vec as arch_vec
    from bloxdb.space.keys import arch_index as arch_index
    from bloxdb.space.keys import canonical as canonical
    from bloxdb.space.keys import model_hash as model_hash

__version__ = "0.1.0"

_HOMES = {
    "Arch": "db.schema",
    "BackupReport": "db.backups",
    "Block": "db.schema",
    "BloxError": "errors",
    "BloxFormatError": "errors",
    "BudgetExhausted": "errors",
    "CheckReport": "care.checking",
    "ConflictError": "errors",
    "Database": "db.database",
    "DatabaseError": "errors",
    "DatabaseExistsError": "errors",
    "DatabaseNotFoundError": "errors",
    "Dataset": "dataset.dataset",
    "Device": "db.schema",
    "Env": "db.schema",
    "Epoch": "db.schema",
    "ExportReport": "files",
    "Finding": "care.checking",
    "ImportReport": "release.changes",
    "InvalidArchError": "errors",
    "Latency": "db.schema",
    "MergeReport": "merging",
    "MissingDataError": "errors",
    "MissingExtraError": "errors",
    "NotADatabaseError": "errors",
    "Problem": "problem",
    "Progress": "progress",
    "QueryError": "errors",
    "Recipe": "db.schema",
    "ReleaseError": "errors",
    "RepairReport": "care.repairing",
    "RevisionError": "errors",
    "Run": "db.schema",
    "RunLostError": "errors",
    "TrainingError": "errors",
    "UpgradeReport": "db.creation",
    "WeightsError": "errors",
    "arch_index": "space.keys",
    "arch_vec": "space.cells",
    "backup": "db.backups",
    "canonical": "space.keys",
    "check": "care.checking",
    "create": "db.creation",
    "current": "db.database",
    "export_parquet": "parquet",
    "export_release": "release.exporter",
    "from_database": "dataset.opening",
    "from_folder": "dataset.opening",
    "import_parquet": "parquet",
    "import_release": "release.importer",
    "merge": "merging",
    "model_hash": "space.keys",
    "open": "db.database",
    "pareto": "queries",
    "repair": "care.repairing",
    "to_arrow": "frames",
    "to_pandas": "frames",
    "to_polars": "frames",
    "top": "queries",
    "upgrade": "db.creation",
}
"""Where each public name is at home."""

_PACKAGES = ("codecs", "compat", "dataset", "db", "draw", "errors", "plot", "runs", "space", "trainer")
"""Modules that are public as a whole."""

__all__ = sorted(["__version__", *_HOMES])


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import bloxdb` itself costs nothing."""
    if name in _PACKAGES:
        return import_module(f"bloxdb.{name}")
    if name in _HOMES:
        found: object = getattr(import_module(f"bloxdb.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'bloxdb' has no attribute {name!r}")


_provide("load_network", lambda: import_module("bloxdb.trainer").load_network)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES]
