"""The API of the original `blox` package, over release files or over a database.

``import bloxdb.compat as blox`` has it under the original's names.
"""

from bloxdb.dataset.facts import BenchmarkingDataset, EnvInfoDataset, StaticInfoDataset
from bloxdb.dataset.folder import FolderSource
from bloxdb.dataset.runs import Dataset, from_database, from_folder

__all__ = [
    "BenchmarkingDataset",
    "Dataset",
    "EnvInfoDataset",
    "FolderSource",
    "StaticInfoDataset",
    "from_database",
    "from_folder",
]
