"""The names of the original `blox` package, in its shapes: ``import bloxdb.compat as blox``."""

from bloxdb.compat import dataset, graph_utils, io, model, search_space, utils
from bloxdb.compat.dataset import (
    BenchmarkingDataset,
    Dataset,
    EnvInfoDataset,
    StaticInfoDataset,
    from_database,
    from_folder,
)

__version__ = "1.0.0"
"""The version of the original package whose names these are; `bloxdb.__version__` is that of bloxdb."""

__all__ = [
    "BenchmarkingDataset",
    "Dataset",
    "EnvInfoDataset",
    "StaticInfoDataset",
    "__version__",
    "dataset",
    "from_database",
    "from_folder",
    "graph_utils",
    "io",
    "model",
    "search_space",
    "utils",
]
