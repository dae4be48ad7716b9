"""The columns that release files have: what each one holds."""

from __future__ import annotations

from enum import Enum

from bloxdb.measures import MICRO, MILLI


class Kind(Enum):
    """What a column's values are."""

    HASH = "model hash"
    ARCH = "architecture vector"
    INT = "whole number"
    TEXT = "text"
    ACCURACY = "accuracy in percent"
    FLOAT = "loss or milliseconds"


ENV_COLUMNS = (
    "codebase_commit",
    "codebase_version",
    "cuda",
    "driver",
    "gpu",
    "platform",
    "ptflops_version",
    "python",
    "torch_commit",
    "torch_cuda_version",
    "torch_version",
    "torchvision_version",
)

INFO = ("model_hash", "params", "flops", "arch_vec")
BASE = ("model_hash", "val_top1", "test_top1", "train_time_s")
EXT = (
    "model_hash",
    "train_top1",
    "train_loss",
    "train_top5",
    "val_loss",
    "val_top5",
    "test_loss",
    "test_top5",
)
ENV = ("model_hash", *ENV_COLUMNS)
BENCH = ("model_hash", "latency")

COLUMNS: dict[str, Kind] = {
    "model_hash": Kind.HASH,
    "arch_vec": Kind.ARCH,
    "params": Kind.INT,
    "flops": Kind.INT,
    "train_time_s": Kind.INT,
    "latency": Kind.FLOAT,
    **{f"{part}_top{k}": Kind.ACCURACY for part in ("train", "val", "test") for k in (1, 5)},
    **{f"{part}_loss": Kind.FLOAT for part in ("train", "val", "test")},
    **dict.fromkeys(ENV_COLUMNS, Kind.TEXT),
}

SCALES = {Kind.ACCURACY: MILLI, Kind.FLOAT: MICRO}
"""Fixed-point scale of the measures: thousandths of a percent, millionths of a loss or millisecond."""


def is_list(name: str) -> bool:
    """Whether the column has one value an epoch."""
    return COLUMNS[name] in SCALES and name.startswith(("train_", "val_"))


def images_counted(name: str) -> int:
    """How many images an accuracy of the release is a share of."""
    if "train" in name:
        return 45_000
    return 5_000 if "val" in name else 10_000
