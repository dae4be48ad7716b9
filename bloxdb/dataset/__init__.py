"""The API of the original `blox` package, over release files or over a database.

``import bloxdb.compat as blox`` has it under the original's names.
"""

from bloxdb.dataset.dataset import Dataset, from_database, from_folder
from bloxdb.dataset.folder import FolderSource

__all__ = [
    "Dataset",
    "FolderSource",
    "from_database",
    "from_folder",
]
