"""The names of the original `blox` package: ``import bloxdb.compat as blox``."""

from bloxdb.compat import io, search_space
from bloxdb.compat.files import BenchmarkingDataset, EnvInfoDataset, StaticInfoDataset, from_folder
from bloxdb.dataset import Dataset

__all__ = [
    "BenchmarkingDataset",
    "Dataset",
    "EnvInfoDataset",
    "StaticInfoDataset",
    "from_folder",
    "io",
    "search_space",
]
