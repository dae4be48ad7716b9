"""The embedded database of the Blox macro-NAS benchmark.

>>> import bloxdb
>>> bloxdb.model_hash([[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]])
'39554afd1b33a44663e653ad10137b9a'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bloxdb.db.database import Database, create, open, upgrade
    from bloxdb.db.schema import Arch, Block, Device, Env, Epoch, Latency, Recipe, Run
    from bloxdb.errors import (
        BloxError,
        BloxFormatError,
        BudgetExhausted,
        ConflictError,
        DatabaseError,
        DatabaseExistsError,
        DatabaseNotFoundError,
        InvalidArchError,
        MissingDataError,
        MissingExtraError,
        NotADatabaseError,
        QueryError,
        ReleaseError,
        RevisionError,
        TrainingError,
    )
    from bloxdb.frames import to_arrow, to_pandas, to_polars
    from bloxdb.merging import MergeReport, merge
    from bloxdb.parquet import export_parquet, import_parquet
    from bloxdb.problem import Problem
    from bloxdb.queries import pareto, top
    from bloxdb.release import export_release, import_release
    from bloxdb.space import arch_index, arch_vec, canonical, model_hash

__version__ = "0.1.0"

__all__ = [
    "Arch",
    "Block",
    "BloxError",
    "BloxFormatError",
    "BudgetExhausted",
    "ConflictError",
    "Database",
    "DatabaseError",
    "DatabaseExistsError",
    "DatabaseNotFoundError",
    "Device",
    "Env",
    "Epoch",
    "InvalidArchError",
    "Latency",
    "MergeReport",
    "MissingDataError",
    "MissingExtraError",
    "NotADatabaseError",
    "Problem",
    "QueryError",
    "Recipe",
    "ReleaseError",
    "RevisionError",
    "Run",
    "TrainingError",
    "__version__",
    "arch_index",
    "arch_vec",
    "canonical",
    "create",
    "export_parquet",
    "export_release",
    "import_parquet",
    "import_release",
    "merge",
    "model_hash",
    "open",
    "pareto",
    "to_arrow",
    "to_pandas",
    "to_polars",
    "top",
    "upgrade",
]

_HOMES = (
    "errors",
    "space",
    "db.schema",
    "db.database",
    "queries",
    "release",
    "merging",
    "problem",
    "frames",
    "parquet",
)
_SUBMODULES = (
    "codecs",
    "compat",
    "dataset",
    "db",
    "errors",
    "frames",
    "merging",
    "parquet",
    "problem",
    "queries",
    "release",
    "runs",
    "space",
    "trainer",
)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import bloxdb` itself costs nothing."""
    if name in _SUBMODULES:
        return import_module(f"bloxdb.{name}")
    if name in __all__:
        for home in _HOMES:
            found = vars(import_module(f"bloxdb.{home}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module 'bloxdb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_SUBMODULES]
