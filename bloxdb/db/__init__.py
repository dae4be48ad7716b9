"""A database, whoever asks it: where it is, its schema, its rows; nothing of release files.

`open` and `create` give a `Database`; its `reader` is a session of SQLAlchemy for the classes below, one a
table.
"""

from bloxdb.db.creation import UpgradeReport, create, open_or_create, upgrade
from bloxdb.db.database import Database, current, open
from bloxdb.db.leaderboard import leaderboard
from bloxdb.db.recipes import DATASETS, RELEASED, Images, RecipeFacts
from bloxdb.db.references import Seeds
from bloxdb.db.schema import Arch, Base, Block, Device, Env, Epoch, Latency, Recipe, Run, StaticInfo
from bloxdb.db.statuses import (
    DIVERGED,
    ENDED,
    FAILED,
    FINISHED,
    PENDING,
    RUNNING,
    STATUSES,
    UNFINISHED,
    UNSUCCESSFUL,
)

__all__ = [
    "DATASETS",
    "DIVERGED",
    "ENDED",
    "FAILED",
    "FINISHED",
    "PENDING",
    "RELEASED",
    "RUNNING",
    "STATUSES",
    "UNFINISHED",
    "UNSUCCESSFUL",
    "Arch",
    "Base",
    "Block",
    "Database",
    "Device",
    "Env",
    "Epoch",
    "Images",
    "Latency",
    "Recipe",
    "RecipeFacts",
    "Run",
    "Seeds",
    "StaticInfo",
    "UpgradeReport",
    "create",
    "current",
    "leaderboard",
    "open",
    "open_or_create",
    "upgrade",
]
