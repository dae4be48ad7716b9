"""The API of the original `blox` package, over release files or over a database.

``import bloxdb.compat as blox`` has it under the original's names.
"""

from bloxdb.dataset.database import DatabaseSource
from bloxdb.dataset.dataset import Dataset
from bloxdb.dataset.folder import FolderSource
from bloxdb.dataset.opening import from_database, from_folder
from bloxdb.dataset.source import Source

__all__ = ["DatabaseSource", "Dataset", "FolderSource", "Source", "from_database", "from_folder"]
