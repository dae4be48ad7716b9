"""Runs by architecture, over release files or over a database.

`Dataset` has plain shapes; ``import bloxdb.compat as blox`` has the same runs in the shapes of the original
`blox` package. Both ask a `Source`.
"""

from bloxdb.dataset.base import Runs
from bloxdb.dataset.database import DatabaseSource
from bloxdb.dataset.dataset import Dataset
from bloxdb.dataset.folder import FolderSource
from bloxdb.dataset.opening import from_database, from_folder
from bloxdb.dataset.source import Source

__all__ = ["DatabaseSource", "Dataset", "FolderSource", "Runs", "Source", "from_database", "from_folder"]
