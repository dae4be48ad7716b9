"""Columns as Arrow has them: their types and units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bloxdb.db.schema import RUN_MEASURES
from bloxdb.measures import ENVIRONMENT, LATENCY, MEASURES

UNITS = {
    **{measure.name: measure.unit for measure in MEASURES},
    LATENCY.column: LATENCY.unit,
    "spread_ms": LATENCY.unit,
    "started_at": "UTC",
    "finished_at": "UTC",
}
"""The units of columns that have one; they stand in the metadata of their fields."""

_TYPES = {
    "arch_id": "int32",
    "seed": "int64",
    "seeds": "int64",
    "best_epoch": "int32",
    "device_workers": "int32",
    **{name: "int64" for name, measure in RUN_MEASURES.items() if measure.scale == 1},
    "hash": "string",
    "vec": "string",
    "status": "string",
    "started_at": "timestamp[us]",
    "finished_at": "timestamp[us]",
    "epoch": "int32",
    "epochs": "int32",
    **dict.fromkeys(("env_id", "block_id", "block1_id", "block2_id", "block3_id"), "int32"),
    **dict.fromkeys(("train_images", "val_images", "test_images"), "int64"),
    **dict.fromkeys(
        ("scheme", "op1", "op2", "cell", "dataset", "config", "settings", "digest", *ENVIRONMENT), "string"
    ),
    "first_epoch_is_best": "bool_",
}
"""The Arrow types of columns that are not float64."""

_FEW = ("recipe", "device")  # the same few names for very many rows


def field(arrow: Any, name: str) -> Any:
    """The Arrow field of a column, with its unit."""
    kind = _TYPES.get(name, "float64")
    if name in _FEW:
        arrow_type = arrow.dictionary(arrow.int32(), arrow.string())
    else:
        arrow_type = arrow.timestamp("us") if kind.startswith("timestamp") else getattr(arrow, kind)()
    return arrow.field(name, arrow_type, metadata={"unit": UNITS[name]} if name in UNITS else None)


def schema(arrow: Any, names: Iterable[str]) -> Any:
    """The Arrow schema of some columns."""
    return arrow.schema([field(arrow, name) for name in names])
