"""The columns that release files have: what each one holds, and which file has it in which order."""

from __future__ import annotations

from enum import Enum

from bloxdb.measures import ENVIRONMENT, MEASURES, Measure
from bloxdb.space.keys import KEY


class Kind(Enum):
    """What a column's values are."""

    HASH = "model hash"
    ARCH = "architecture vector"
    INT = "whole number"
    TEXT = "text"
    ACCURACY = "accuracy in percent"
    FLOAT = "loss or milliseconds"


def _in_file(name: str) -> tuple[str, ...]:
    return tuple(measure.name for measure in MEASURES if measure.file == name)


INFO = (KEY, *_in_file("info"), "arch_vec")
BASE = (KEY, *_in_file("base"))
EXT = (KEY, *_in_file("ext"))
BENCH = (KEY, *_in_file("bench"))
ENV = (KEY, *ENVIRONMENT)

_MEASURES = {measure.name: measure for measure in MEASURES if measure.file is not None}


def measure_of(name: str) -> Measure:
    """The measure that a column of a file holds; `KeyError` for a column of something else."""
    return _MEASURES[name]


def _kind(measure: Measure) -> Kind:
    if measure.scale == 1:
        return Kind.INT
    return Kind.ACCURACY if measure.unit == "percent" else Kind.FLOAT


COLUMNS: dict[str, Kind] = {
    KEY: Kind.HASH,
    "arch_vec": Kind.ARCH,
    **{name: _kind(measure) for name, measure in _MEASURES.items()},
    **dict.fromkeys(ENVIRONMENT, Kind.TEXT),
}

MEASURED = (Kind.ACCURACY, Kind.FLOAT)
"""Kinds whose values are fixed point, or floats where that is not exact."""

_IMAGES = {"train": 45_000, "val": 5_000, "test": 10_000}
"""Images that the release's accuracies are shares of: the splits of CIFAR-100 that it was trained on. `.blox`
holds
an accuracy as a count of them, so these numbers belong to the format."""


def is_list(name: str) -> bool:
    """Whether the column has one value an epoch."""
    return name in _MEASURES and _MEASURES[name].of == "epoch"


def images_counted(name: str) -> int:
    """How many images an accuracy of the release is a share of."""
    return _IMAGES[name.partition("_")[0]]
