"""What tests of many modules share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bloxdb.measures import MEASURES, Measure

SEEDS: dict[str, Callable[[int], Any]] = {
    "int": lambda seed: seed,
    "NumPy integer": np.int64,
    "list": lambda seed: [seed],
    "tuple of NumPy integers": lambda seed: (np.int32(seed),),
    "array": lambda seed: np.array([seed, seed]),
    "iterator": lambda seed: iter([seed]),
}
"""Ways to write one seed, which must mean the same wherever seeds are given."""


INFINITE = "is infinite; write nan where nothing was measured"
BAD: list[tuple[Measure, float, str]] = [
    *((measure, value, INFINITE) for measure in MEASURES for value in (math.inf, -math.inf)),
    *(
        (measure, value, "is outside 0 … 100 percent")
        for measure in MEASURES
        if measure.unit == "percent"
        for value in (-1.0, 100.5)
    ),
    *((measure, -1.0, "is negative") for measure in MEASURES if measure.unit != "percent"),
]
"""Values that measures cannot have, and what is wrong with each."""
