"""What tests of many modules share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SEEDS: dict[str, Callable[[int], Any]] = {
    "int": lambda seed: seed,
    "NumPy integer": np.int64,
    "list": lambda seed: [seed],
    "tuple of NumPy integers": lambda seed: (np.int32(seed),),
    "array": lambda seed: np.array([seed, seed]),
    "iterator": lambda seed: iter([seed]),
}
"""Ways to write one seed, which must mean the same wherever seeds are given."""
