"""The embedded database of the Blox macro-NAS benchmark.

>>> import bloxdb
>>> bloxdb.model_hash([[[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]], [[0], [0, 1, 0, 0]]])
'39554afd1b33a44663e653ad10137b9a'
"""

from bloxdb.database import Database, create, open, upgrade
from bloxdb.errors import (
    BloxError,
    BloxFormatError,
    ConflictError,
    DatabaseError,
    DatabaseExistsError,
    DatabaseNotFoundError,
    InvalidArchError,
    MissingExtraError,
    NotADatabaseError,
    QueryError,
    ReleaseError,
    RevisionError,
)
from bloxdb.queries import pareto, top
from bloxdb.release import export_release, import_release
from bloxdb.schema import Arch, Block, Device, Env, Epoch, Latency, Recipe, Run
from bloxdb.space import arch_index, arch_vec, canonical, model_hash

__version__ = "0.1.0"

__all__ = [
    "Arch",
    "Block",
    "BloxError",
    "BloxFormatError",
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
    "MissingExtraError",
    "NotADatabaseError",
    "QueryError",
    "Recipe",
    "ReleaseError",
    "RevisionError",
    "Run",
    "__version__",
    "arch_index",
    "arch_vec",
    "canonical",
    "create",
    "export_release",
    "import_release",
    "model_hash",
    "open",
    "pareto",
    "top",
    "upgrade",
]
